//! How a caption is divided into words before any vocabulary is asked.
use drgan_tensor::{Error, Result};
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{Lowercase, Replace, Sequence};
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{
    NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
    SplitDelimiterBehavior,
};

/// An error of `tokenizers`, which reports boxed ones.
pub(super) fn wrap(e: tokenizers::Error) -> Error {
    Error::input_because("tokenizer", e)
}

/// Normalizer and pre-tokenizer: a caption to words.
///
/// AttnGAN splits the lower-case caption at everything that is not a letter, digit or underscore, and then drops the
/// characters of each word that are not ASCII. Replacing the separators by blanks first and then dropping gives the same.
pub(super) struct Pipeline {
    pub(super) normalizer: Sequence,
    pub(super) split: Split,
}

impl Pipeline {
    pub(super) fn new() -> Result<Self> {
        let replace = |pattern: &str, with: &str| {
            Replace::new(ReplacePattern::Regex(pattern.to_owned()), with).map_err(wrap)
        };
        let normalizer = Sequence::new(vec![
            Lowercase.into(),
            replace(r"[^\p{L}\p{N}_]", " ")?.into(),
            replace(r"[^\x00-\x7F]", "")?.into(),
        ]);
        let word = SplitPattern::Regex("[a-z0-9_]+".to_owned());
        let split = Split::new(word, SplitDelimiterBehavior::Removed, true).map_err(wrap)?;
        Ok(Self { normalizer, split })
    }

    /// The words of `caption`, in order.
    pub(super) fn words(&self, caption: &str) -> Result<Vec<String>> {
        let mut text = NormalizedString::from(caption);
        self.normalizer.normalize(&mut text).map_err(wrap)?;
        let mut pieces = PreTokenizedString::from(text);
        self.split.pre_tokenize(&mut pieces).map_err(wrap)?;
        let words = pieces.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
        Ok(words.into_iter().map(|(w, ..)| w.to_owned()).filter(|w| !w.is_empty()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_as_the_released_code_splits_them() -> Result<()> {
        let words =
            Pipeline::new()?.words("The caf\u{e9}\u{2014}BIRD's wing\u{fffd}\u{fffd}tip, 2_x \u{9ce5}!")?;
        assert_eq!(words, ["the", "caf", "bird", "s", "wing", "tip", "2_x"]);
        Ok(())
    }
}
