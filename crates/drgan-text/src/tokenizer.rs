use crate::{END, Vocabulary, fail};
use candle_core::{Device, Tensor};
use drgan_tensor::{Result, TokenBatch};
use std::path::Path;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{Lowercase, Replace, Sequence};
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{
    Model, NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
    SplitDelimiterBehavior,
};

/// `tokenizers` reports boxed errors.
fn wrap(e: tokenizers::Error) -> drgan_tensor::Error {
    fail(format!("tokenizer: {e}"))
}

/// What happens to a caption before any vocabulary is asked.
///
/// AttnGAN splits the lower-cased caption at everything that is no letter, digit or underscore, and then drops the
/// characters of each word that are not ASCII. Replacing the separators by blanks first, then dropping, is the same.
pub(crate) struct Pipeline {
    normalizer: Sequence,
    split: Split,
}

impl Pipeline {
    pub(crate) fn new() -> Result<Self> {
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
    pub(crate) fn words(&self, caption: &str) -> Result<Vec<String>> {
        let mut text = NormalizedString::from(caption);
        self.normalizer.normalize(&mut text).map_err(wrap)?;
        let mut pieces = PreTokenizedString::from(text);
        self.split.pre_tokenize(&mut pieces).map_err(wrap)?;
        let words = pieces.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
        Ok(words.into_iter().map(|(w, ..)| w.to_owned()).filter(|w| !w.is_empty()).collect())
    }
}

/// A caption as token ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Indices of the vocabulary, never 0, at least one and at most `max_words`.
    pub ids: Vec<u32>,
    /// Words of the caption that the vocabulary lacks, as written; they were dropped.
    pub unknown: Vec<String>,
    /// Whether known words past `max_words` were dropped.
    pub truncated: bool,
}

/// What a batch lost of one caption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Index of the caption in the batch.
    pub caption: usize,
    /// See [`Encoded::unknown`].
    pub unknown: Vec<String>,
    /// See [`Encoded::truncated`].
    pub truncated: bool,
}

/// Captions to token ids: a `tokenizers` pipeline (normalizer, pre-tokenizer, word-level model), kept as one
/// `tokenizer.json` beside the weights (SPEC, Text).
#[derive(Clone, Debug)]
pub struct Tokenizer(tokenizers::Tokenizer);

impl Tokenizer {
    /// A tokenizer over `vocabulary`.
    ///
    /// # Errors
    /// Whatever `tokenizers` reports.
    pub fn new(vocabulary: &Vocabulary) -> Result<Self> {
        let pipeline = Pipeline::new()?;
        let entries = vocabulary.words().iter().zip(0u32..).map(|(w, i)| (w.clone(), i));
        // An unknown word becomes index 0, which no word of a caption can have.
        let model =
            WordLevel::builder().vocab(entries.collect()).unk_token(END.to_owned()).build().map_err(wrap)?;
        let mut inner = tokenizers::Tokenizer::new(model);
        inner.with_normalizer(Some(pipeline.normalizer)).map_err(wrap)?;
        inner.with_pre_tokenizer(Some(pipeline.split));
        Ok(Self(inner))
    }

    /// Reads what [`Tokenizer::save`] wrote.
    ///
    /// # Errors
    /// The file is missing, or no tokenizer whose index 0 is [`END`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let inner = tokenizers::Tokenizer::from_file(path)
            .map_err(|e| fail(format!("tokenizer `{}`: {e}", path.display())))?;
        if inner.token_to_id(END) != Some(0) {
            return Err(fail(format!("tokenizer `{}`: index 0 must be `{END}`", path.display())));
        }
        Ok(Self(inner))
    }

    /// Writes `tokenizer.json`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        self.0.save(path, true).map_err(|e| fail(format!("tokenizer `{}`: {e}", path.display())))
    }

    /// Number of words, [`END`] included.
    pub fn vocab_size(&self) -> usize {
        self.0.get_model().get_vocab_size()
    }

    /// Token ids of `caption`. Unknown words are dropped; of more than `max_words` known ones the first stay
    /// (docs/divergences.md, captions: the released code draws a random subset).
    ///
    /// # Errors
    /// No known word in `caption`, or `max_words` is 0.
    pub fn encode(&self, caption: &str, max_words: usize) -> Result<Encoded> {
        if max_words == 0 {
            return Err(fail("max_words: expected at least 1, got 0".into()));
        }
        let encoding = self.0.encode(caption, false).map_err(wrap)?;
        let (mut ids, mut unknown) = (Vec::new(), Vec::new());
        for (id, &(from, to)) in encoding.get_ids().iter().zip(encoding.get_offsets()) {
            match id {
                0 => unknown.push(caption.get(from..to).unwrap_or_default().to_owned()),
                _ => ids.push(*id),
            }
        }
        if ids.is_empty() {
            let why = match unknown.as_slice() {
                [] => "it has no word of ASCII letters or digits".to_owned(),
                unknown => format!("none of its words is in the vocabulary ({})", unknown.join(", ")),
            };
            return Err(fail(format!("caption `{caption}`: {why}; use other words")));
        }
        let truncated = ids.len() > max_words;
        ids.truncate(max_words);
        Ok(Encoded { ids, unknown, truncated })
    }

    /// The word behind an index, if it has one.
    pub fn word(&self, id: u32) -> Option<String> {
        self.0.id_to_token(id)
    }

    /// `captions` as one batch `(B, max_words)`. The width is fixed, so that a caption's features have the same shape
    /// and values in any batch. Reports hold the captions that lost words.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`]; no captions.
    pub fn batch(
        &self,
        captions: &[impl AsRef<str>],
        max_words: usize,
        device: &Device,
    ) -> Result<(TokenBatch, Vec<Report>)> {
        if captions.is_empty() {
            return Err(fail("captions: expected at least one, got none".into()));
        }
        let (mut ids, mut lens, mut reports) = (Vec::new(), Vec::new(), Vec::new());
        for (i, caption) in captions.iter().enumerate() {
            let Encoded { ids: row, unknown, truncated } = self.encode(caption.as_ref(), max_words)?;
            lens.push(row.len());
            ids.extend(row.iter().copied().chain(std::iter::repeat(0)).take(max_words));
            if truncated || !unknown.is_empty() {
                reports.push(Report { caption: i, unknown, truncated });
            }
        }
        let ids = Tensor::from_vec(ids, (captions.len(), max_words), device)?;
        Ok((TokenBatch { ids, lens }, reports))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer() -> Result<Tokenizer> {
        Tokenizer::new(&Vocabulary::from_captions(["a red bird", "a bird with a caf wing 2_x"])?)
    }

    #[test]
    fn words_as_the_released_code_splits_them() -> Result<()> {
        let words =
            Pipeline::new()?.words("The caf\u{e9}\u{2014}BIRD's wing\u{fffd}\u{fffd}tip, 2_x \u{9ce5}!")?;
        assert_eq!(words, ["the", "caf", "bird", "s", "wing", "tip", "2_x"]);
        Ok(())
    }

    #[test]
    fn unknown_words_are_dropped_and_reported() -> Result<()> {
        let got = tokenizer()?.encode("A Purple bird, red!", 2)?;
        assert_eq!(got, Encoded { ids: vec![1, 2], unknown: vec!["Purple".into()], truncated: true });
        assert!(!tokenizer()?.encode("a red", 2)?.truncated);
        Ok(())
    }

    #[test]
    fn a_caption_without_a_known_word_is_named() -> Result<()> {
        for caption in ["", "purple?"] {
            let e = tokenizer()?.encode(caption, 5).expect_err("nothing known");
            assert!(e.to_string().contains(&format!("`{caption}`")), "{e}");
        }
        assert!(tokenizer()?.encode("a", 0).is_err());
        assert!(tokenizer()?.batch(&[] as &[&str], 5, &Device::Cpu).is_err());
        Ok(())
    }

    #[test]
    fn a_saved_tokenizer_is_the_same() -> Result<()> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("tokenizer.json");
        let a = tokenizer()?;
        a.save(&path)?;
        let b = Tokenizer::load(&path)?;
        let text = "A caf\u{e9} bird 2_x, blue";
        assert_eq!((a.vocab_size(), a.encode(text, 9)?), (b.vocab_size(), b.encode(text, 9)?));
        assert!(Tokenizer::load(dir.path().join("none.json")).is_err());
        Ok(())
    }

    #[test]
    fn batches_have_a_fixed_width() -> Result<()> {
        let (batch, reports) = tokenizer()?.batch(&["bird", "a red blue"], 4, &Device::Cpu)?;
        assert_eq!(batch.ids.to_vec2::<u32>()?, [[2, 0, 0, 0], [1, 5, 0, 0]]);
        assert_eq!(batch.lens, [1, 2]);
        assert_eq!(reports, [Report { caption: 1, unknown: vec!["blue".into()], truncated: false }]);
        Ok(())
    }
}
