use crate::{fail, tokenizer::Pipeline};
use drgan_tensor::Result;
use std::collections::{BTreeMap, HashSet};

/// The word of index 0: padding.
pub const END: &str = "<end>";

/// Words by index; index 0 is [`END`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary(Vec<String>);

impl Vocabulary {
    /// Every word of `captions`, the most frequent first, words of one frequency in alphabetical order: the same
    /// captions in any order give the same vocabulary.
    ///
    /// # Errors
    /// No caption holds a word.
    pub fn from_captions<'a>(captions: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let pipeline = Pipeline::new()?;
        let mut counts = BTreeMap::<String, usize>::new();
        for caption in captions {
            for word in pipeline.words(caption)? {
                *counts.entry(word).or_default() += 1;
            }
        }
        let mut words: Vec<_> = counts.into_iter().collect();
        words.sort_by_key(|(_, n)| std::cmp::Reverse(*n)); // stable: alphabetical within a frequency
        if words.is_empty() {
            return Err(fail("vocabulary: no caption holds a word; give at least one".into()));
        }
        Ok(Self(std::iter::once(END.to_owned()).chain(words.into_iter().map(|(w, _)| w)).collect()))
    }

    /// Words in the order of a trained encoder's embedding, [`END`] first.
    ///
    /// # Errors
    /// The first word is not [`END`], or a word occurs twice.
    pub fn from_words(words: Vec<String>) -> Result<Self> {
        if words.first().map(String::as_str) != Some(END) {
            return Err(fail(format!("vocabulary: index 0 must be `{END}`, got {:?}", words.first())));
        }
        let mut seen = HashSet::new();
        if let Some(twice) = words.iter().find(|w| !seen.insert(w.as_str())) {
            return Err(fail(format!("vocabulary: `{twice}` occurs twice; every word needs one index")));
        }
        Ok(Self(words))
    }

    /// By index.
    pub fn words(&self) -> &[String] {
        &self.0
    }

    /// Number of words, [`END`] included: the embedding's rows. Never 0, so there is no `is_empty`.
    #[expect(clippy::len_without_is_empty, reason = "index 0 is always there")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequency_then_alphabet_whatever_the_order() -> Result<()> {
        let a = Vocabulary::from_captions(["A red bird", "a blue bird", "a 2_x"])?;
        assert_eq!(a.words(), [END, "a", "bird", "2_x", "blue", "red"]);
        assert_eq!(a, Vocabulary::from_captions(["a 2_x", "a blue bird", "A red bird"])?);
        assert!(Vocabulary::from_captions(["...", ""]).is_err());
        Ok(())
    }

    #[test]
    fn given_words_are_checked() {
        let own = |w: &[&str]| Vocabulary::from_words(w.iter().map(|s| (*s).to_owned()).collect());
        assert!(own(&[END, "bird"]).is_ok_and(|v| v.len() == 2));
        assert!(own(&["bird", END]).is_err() && own(&[]).is_err());
        assert!(own(&[END, "x", "x"]).is_err_and(|e| e.to_string().contains("`x`")));
    }
}
