//! How a caption is divided into words before any vocabulary is asked: the one definition of a word.
use drgan_tensor::{Error, Result};
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{Lowercase, NFKC, Replace, Sequence};
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{
    NormalizedString, Normalizer, NormalizerWrapper, OffsetReferential, OffsetType, PreTokenizedString,
    PreTokenizer, PreTokenizerWrapper, SplitDelimiterBehavior,
};

/// An error of `tokenizers`, which reports boxed ones.
pub(super) fn wrap(e: tokenizers::Error) -> Error {
    Error::input_because("tokenizer", e)
}

/// What a word of a caption is (docs/model.md, tokens).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WordRule {
    /// AttnGAN's: runs of letters, digits and underscores in lower case, of which what is not ASCII is dropped.
    Ascii,
    /// Runs of letters, marks, digits and underscores of every script, in lower case and in Unicode's form NFKC; in scripts
    /// that put no spaces between words, each character with its marks.
    #[default]
    Unicode,
}

/// Characters that change how others are shown and are no part of a word, so that a word with them is the same word: soft
/// hyphen, joiners and non-joiners, marks of direction, variation selectors, byte order marks, enclosing marks (of keycaps).
const INVISIBLE: &str = "[\u{ad}\u{34f}\u{61c}\u{180b}-\u{180f}\u{200c}-\u{200f}\u{202a}-\u{202e}\u{2060}-\u{206f}\
    \u{fe00}-\u{fe0f}\u{feff}\u{e0000}-\u{e0fff}\\p{Me}]";

/// Scripts without spaces between words, as a part of a regular expression's class. Katakana is not among them: it writes one
/// word in a row.
const WITHOUT_SPACES: &str = r"\p{Han}\p{Hiragana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\p{Tai_Viet}";

/// A word of a caption: as the rule has it, and the bytes of the caption that it was written with.
pub(super) type Piece = (String, std::ops::Range<usize>);

/// Normalizer and pre-tokenizer: a caption to words.
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub(super) normalizer: Sequence,
    pub(super) split: Split,
}

impl Pipeline {
    /// The steps of a rule.
    ///
    /// AttnGAN splits the lower-case caption at everything that is not a letter, digit or underscore, and then drops the
    /// characters of each word that are not ASCII. Replacing the separators by blanks first and then dropping gives the same.
    ///
    /// The Unicode rule separates before it normalizes: `bird™` is `bird`, not `birdtm`. Lower case leaves a dot above the i
    /// of İ, and a sigma at the end of ΣΟΦΟΣ that is not the one of σοφος: both become one word.
    pub(super) fn new(rule: WordRule) -> Result<Self> {
        let replace = |pattern: &str, with: &str| -> Result<NormalizerWrapper> {
            Ok(Replace::new(ReplacePattern::Regex(pattern.to_owned()), with).map_err(wrap)?.into())
        };
        let (steps, word) = match rule {
            WordRule::Ascii => (
                vec![Lowercase.into(), replace(r"[^\p{L}\p{N}_]", " ")?, replace(r"[^\x00-\x7F]", "")?],
                "[a-z0-9_]+".to_owned(),
            ),
            WordRule::Unicode => (
                vec![
                    replace(INVISIBLE, "")?,
                    replace(r"[^\p{L}\p{M}\p{N}_]", " ")?,
                    NFKC.into(),
                    Lowercase.into(),
                    replace("i\u{307}", "i")?,
                    replace("ς", "σ")?,
                ],
                // Only letters: digits of these scripts are written in a row. A long vowel's mark belongs to what it follows.
                format!(
                    r"[\p{{L}}&&[{WITHOUT_SPACES}]][\p{{M}}ー]*|[\p{{L}}\p{{N}}_&&[^\p{{L}}&&[{WITHOUT_SPACES}]]][\p{{L}}\p{{M}}\p{{N}}_&&[^\p{{L}}&&[{WITHOUT_SPACES}]]]*"
                ),
            ),
        };
        let split = Split::new(SplitPattern::Regex(word), SplitDelimiterBehavior::Removed, true);
        Ok(Self { normalizer: Sequence::new(steps), split: split.map_err(wrap)? })
    }

    /// The words of `caption`, in order.
    pub(super) fn words(&self, caption: &str) -> Result<Vec<String>> {
        Ok(self.pieces(caption)?.into_iter().map(|(word, _)| word).collect())
    }

    /// The words of `caption` with where they are written, in order.
    pub(super) fn pieces(&self, caption: &str) -> Result<Vec<Piece>> {
        pieces(Some(&self.normalizer), Some(&self.split), caption)
    }
}

/// The words that a normalizer and a pre-tokenizer make of `caption`.
pub(super) fn pieces(
    normalizer: Option<&impl Normalizer>,
    split: Option<&impl PreTokenizer>,
    caption: &str,
) -> Result<Vec<Piece>> {
    let mut text = NormalizedString::from(caption);
    normalizer.map_or(Ok(()), |n| n.normalize(&mut text)).map_err(wrap)?;
    let mut pieces = PreTokenizedString::from(text);
    split.map_or(Ok(()), |s| s.pre_tokenize(&mut pieces)).map_err(wrap)?;
    let words = pieces.get_splits(OffsetReferential::Original, OffsetType::Byte).into_iter();
    Ok(words.filter(|(w, ..)| !w.is_empty()).map(|(w, (from, to), _)| (w.to_owned(), from..to)).collect())
}

/// What a tokenizer's own steps make of `caption`, whichever they are.
pub(super) fn pieces_of(tokenizer: &tokenizers::Tokenizer, caption: &str) -> Result<Vec<Piece>> {
    let normalizer: Option<&NormalizerWrapper> = tokenizer.get_normalizer();
    let split: Option<&PreTokenizerWrapper> = tokenizer.get_pre_tokenizer();
    pieces(normalizer, split, caption)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_as_the_released_code_splits_them() -> Result<()> {
        let words = Pipeline::new(WordRule::Ascii)?
            .words("The caf\u{e9}\u{2014}BIRD's wing\u{fffd}\u{fffd}tip, 2_x \u{9ce5}!")?;
        assert_eq!(words, ["the", "caf", "bird", "s", "wing", "tip", "2_x"]);
        Ok(())
    }

    #[test]
    fn letters_of_every_script_are_kept() -> Result<()> {
        let pipeline = Pipeline::new(WordRule::Unicode)?;
        for (caption, words) in [
            (
                "The caf\u{e9}\u{2014}BIRD's wing-tip, 2_x!",
                &["the", "café", "bird", "s", "wing", "tip", "2_x"][..],
            ),
            // Composed and decomposed, in either case.
            ("p\u{ea}che pe\u{302}che P\u{ca}CHE PE\u{302}CHE", &["pêche"; 4]),
            ("Красная ПТИЦА", &["красная", "птица"]),
            ("ΣΟΦΟΣ σοφος", &["σοφοσ", "σοφοσ"]),
            // A Turkish dotted capital; the dotless letter is another.
            ("İSTANBUL istanbul ışık", &["istanbul", "istanbul", "ışık"]),
            ("ﬁsh ＲＥＤ ｒｅｄ №5 bird™ 5㎏ ½", &["fish", "red", "red", "5", "bird", "5", "1", "2"]),
            // Vowel marks; a word with a non-joiner, and one with a joiner.
            ("طائرٌ أحمر", &["طائرٌ", "أحمر"]),
            ("می\u{200c}خواهم", &["میخواهم"]),
            ("लाल चिड़िया क्\u{200d}ष", &["लाल", "चिड़िया", "क्ष"]),
            // Scripts without spaces: each character with its marks.
            ("红色的鸟", &["红", "色", "的", "鸟"]),
            (
                "赤い鳥 フクロウ ﾌｸﾛｳ らーめん Tシャツ",
                &["赤", "い", "鳥", "フクロウ", "フクロウ", "らー", "め", "ん", "tシャツ"],
            ),
            ("นกสีแดง ๑๒", &["น", "ก", "สี", "แ", "ด", "ง", "๑๒"]),
            ("빨간 새", &["빨간", "새"]),
            (
                "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} a \u{2764}\u{fe0f} 1\u{fe0f}\u{20e3}\u{1f44d}\u{1f3fd}",
                &["a", "1"],
            ),
            ("red bird 红鸟rot", &["red", "bird", "红", "鸟", "rot"]),
            ("zero\u{200b}width so\u{ad}ft \u{301}", &["zero", "width", "soft"]),
        ] {
            let words: Vec<String> =
                words.iter().map(|w| pipeline.words(w).map(|w| w.concat())).collect::<Result<_>>()?;
            assert_eq!(pipeline.words(caption)?, words, "{caption}");
            // Words are words: divided again they stay what they are.
            assert_eq!(pipeline.words(&words.join(" "))?, words, "{caption}");
        }
        // By code points: a test in composed form may not hide what it compares.
        assert_eq!(pipeline.words("PE\u{302}CHE \u{130}")?, ["p\u{ea}che", "i"]);
        Ok(())
    }

    #[test]
    fn words_of_ascii_are_the_same_under_both_rules() -> Result<()> {
        let (ascii, unicode) = (Pipeline::new(WordRule::Ascii)?, Pipeline::new(WordRule::Unicode)?);
        let all: String = (0u8..128).map(char::from).collect();
        for caption in ["A red_bird, it's 2x!", " _ __a\tb\r\nc0 ", &all] {
            assert_eq!(ascii.pieces(caption)?, unicode.pieces(caption)?, "{caption}");
        }
        Ok(())
    }

    #[test]
    fn a_word_is_found_where_it_is_written() -> Result<()> {
        let caption = "Une PE\u{302}CHE, ＲＥＤ ﬁn 红鸟";
        let pieces = Pipeline::new(WordRule::Unicode)?.pieces(caption)?;
        let written: Vec<&str> = pieces.into_iter().map(|(_, at)| &caption[at]).collect();
        assert_eq!(written, ["Une", "PE\u{302}CHE", "ＲＥＤ", "ﬁn", "红", "鸟"]);
        Ok(())
    }
}
