//! Vocabularies: which word has which token id.
use super::words::{Pipeline, WordRule};
use drgan_tensor::internal::{Plain, counted};
use drgan_tensor::{Error, Result};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// The words that an encoder knows; a word's place is its token id, and the word of id 0 is [`Vocabulary::END`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    words: Vec<String>,
    rule: WordRule,
}

impl Vocabulary {
    /// The word of token id 0, which is padding.
    pub const END: &'static str = "<end>";

    /// Every word of `captions` by `rule`, the most frequent first and words of equal frequency in alphabetical order: the same captions
    /// in any order give the same vocabulary.
    ///
    /// # Errors
    /// No caption holds a word.
    pub fn from_captions<'a>(captions: impl IntoIterator<Item = &'a str>, rule: WordRule) -> Result<Self> {
        let pipeline = Pipeline::new(rule)?;
        let mut counts = WordCounts::default();
        for caption in captions {
            counts.add(pipeline.words(caption)?);
        }
        let words = counts.most_frequent_first();
        if words.is_empty() {
            return Err(Error::input("vocabulary: no caption holds a word; give at least one"));
        }
        Ok(Self { words: std::iter::once(Self::END.to_owned()).chain(words).collect(), rule })
    }

    /// Words in the order of a trained encoder's embedding, [`Vocabulary::END`] first; captions are divided by
    /// [`WordRule::Ascii`], as AttnGAN's are.
    ///
    /// # Errors
    /// The first word is not [`Vocabulary::END`], or a word occurs twice.
    pub fn from_words(words: Vec<String>) -> Result<Self> {
        if words.first().map(String::as_str) != Some(Self::END) {
            let end = Self::END;
            return Err(Error::input(format!(
                "vocabulary: index 0 must be `{end}`, got {:?}",
                words.first()
            )));
        }
        let mut seen = HashSet::new();
        if let Some(twice) = words.iter().find(|w| !seen.insert(w.as_str())) {
            return Err(Error::input(format!(
                "vocabulary: `{twice}` occurs twice; every word needs one index"
            )));
        }
        Ok(Self { words, rule: WordRule::Ascii })
    }

    /// The vocabulary of AttnGAN's `captions.pickle`, a list of training captions, test captions, words by index and indices
    /// by word. The order is that of a Python 2 dictionary and cannot be reproduced: encoders that were trained with it need
    /// this very file.
    ///
    /// # Errors
    /// [`Error::File`] that names the file: not a pickle, other contents, an index without a word.
    pub fn from_captions_pickle(path: &Path) -> Result<Self> {
        let bad = |reason: String| Error::file(path, format!("not AttnGAN's captions.pickle: {reason}"));
        let whole = Plain::load(path)?;
        let parts = whole.list().unwrap_or_default();
        let [_, _, Plain::Dict(by_index), ..] = parts else {
            return Err(bad(format!(
                "expected [train, test, words by index, indices by word], got {}",
                counted(parts.len(), "part[|s]")
            )));
        };
        let mut words = vec![None; by_index.len()];
        for (index, word) in by_index {
            let place = index.int().and_then(|i| usize::try_from(i).ok()).and_then(|i| words.get_mut(i));
            let place = place
                .ok_or_else(|| bad(format!("index {index:?} of {}", counted(by_index.len(), "word[|s]"))))?;
            *place = word.text().map(str::to_owned);
        }
        let whole = words.into_iter().enumerate().map(|(i, w)| w.ok_or_else(|| bad(format!("no word {i}"))));
        Self::from_words(whole.collect::<Result<_>>()?).map_err(|e| bad(e.to_string()))
    }

    /// All words, in the order of their token ids.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// How captions are divided into words of this vocabulary.
    pub fn rule(&self) -> WordRule {
        self.rule
    }

    /// Number of words, [`Vocabulary::END`] included: the rows of the encoder's embedding. It is never 0, so there is no
    /// `is_empty`.
    #[expect(clippy::len_without_is_empty, reason = "index 0 is always there")]
    pub fn len(&self) -> usize {
        self.words.len()
    }
}

/// How often each word stands in captions.
#[derive(Debug, Default)]
pub(super) struct WordCounts(BTreeMap<String, usize>);

impl WordCounts {
    /// Counts these words too.
    pub(super) fn add(&mut self, words: impl IntoIterator<Item = String>) {
        for word in words {
            *self.0.entry(word).or_default() += 1;
        }
    }

    /// All words, those of equal frequency in alphabetical order.
    pub(super) fn most_frequent_first(self) -> Vec<String> {
        let mut words: Vec<_> = self.0.into_iter().collect();
        words.sort_by_key(|(_, n)| std::cmp::Reverse(*n)); // stable: alphabetical within a frequency
        words.into_iter().map(|(word, _)| word).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: &str = Vocabulary::END;

    #[test]
    fn frequency_then_alphabet_whatever_the_order() -> Result<()> {
        let made = |captions: [&'static str; 3]| Vocabulary::from_captions(captions, WordRule::Ascii);
        let a = made(["A red bird", "a blue bird", "a 2_x"])?;
        assert_eq!(a.words(), [END, "a", "bird", "2_x", "blue", "red"]);
        assert_eq!(a, made(["a 2_x", "a blue bird", "A red bird"])?);
        assert!(made(["...", "", "\u{9ce5}"]).is_err());
        Ok(())
    }

    #[test]
    fn captions_of_every_script_make_a_vocabulary() -> Result<()> {
        let captions = ["p\u{ea}che", "PE\u{302}CHE p\u{e8}che", "красная птица"];
        let words = Vocabulary::from_captions(captions, WordRule::Unicode)?;
        assert_eq!(words.words(), [END, "p\u{ea}che", "p\u{e8}che", "красная", "птица"]);
        assert!(Vocabulary::from_captions(["\u{1f600}", "..."], WordRule::Unicode).is_err());
        Ok(())
    }

    #[test]
    fn given_words_are_checked() {
        let own = |w: &[&str]| Vocabulary::from_words(w.iter().map(|s| (*s).to_owned()).collect());
        assert!(own(&[END, "bird"]).is_ok_and(|v| v.len() == 2));
        assert!(own(&["bird", END]).is_err() && own(&[]).is_err());
        assert!(own(&[END, "x", "x"]).is_err_and(|e| e.to_string().contains("`x`")));
    }

    #[test]
    fn a_captions_pickle_gives_its_own_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("captions.pickle");
        // [[[2, 1]], [], {0: '<end>', 1: 'red', 2: 'a'}, {...}] as Python 2 wrote it.
        let head = b"\x80\x02](](](K\x02K\x01ee]}(K\x00U\x05<end>K\x02U\x01aK\x01U\x03redu".as_slice();
        std::fs::write(&path, [head, b"}e."].concat()).unwrap();
        let vocabulary = Vocabulary::from_captions_pickle(&path).unwrap();
        assert_eq!(vocabulary.words(), [END, "red", "a"]);
        for (bytes, said) in [
            (b"\x80\x02]".as_slice(), "captions.pickle: not readable as a pickle"),
            (b"\x80\x02].", "got 0 parts"),
            (b"\x80\x02](]]}(K\x00U\x05<end>K\x05U\x01au}e.", "index Int(5) of 2 words"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let message = Vocabulary::from_captions_pickle(&path).unwrap_err().to_string();
            assert!(message.contains(said), "{message}");
        }
    }
}
