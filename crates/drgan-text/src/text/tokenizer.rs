//! The word-level tokenizer: a `tokenizers` pipeline over a vocabulary.
use super::tokenize::{AlteredWord, Tokenize, TokenizedCaption};
use super::vocabulary::{Vocabulary, WordCounts};
use super::words::{Pipeline, WordRule, pieces_of, wrap};
use drgan_tensor::internal::repeated_key;
use drgan_tensor::{Error, Result};
use std::path::Path;
use tokenizers::Model;
use tokenizers::models::wordlevel::WordLevel;

/// Captions to token ids: a `tokenizers` pipeline (normalizer, pre-tokenizer, word-level model), kept as one
/// `tokenizer.json` beside the weights (docs/model.md, tokens).
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// What keeps all letters, to tell which ones `inner` drops.
    whole: Pipeline,
}

impl Tokenizer {
    /// A tokenizer over `vocabulary`.
    ///
    /// # Errors
    /// Those that `tokenizers` reports.
    pub fn new(vocabulary: &Vocabulary) -> Result<Self> {
        let pipeline = Pipeline::new(vocabulary.rule())?;
        let entries = vocabulary.words().iter().zip(0u32..).map(|(w, i)| (w.clone(), i));
        let mut inner = tokenizers::Tokenizer::new(word_level(entries)?);
        inner.with_normalizer(Some(pipeline.normalizer)).map_err(wrap)?;
        inner.with_pre_tokenizer(Some(pipeline.split));
        Ok(Self { inner, whole: Pipeline::new(WordRule::Unicode)? })
    }

    /// Reads the contents of a `tokenizer.json`, as [`Tokenize::to_json`] gives them.
    ///
    /// # Errors
    /// The bytes are not a tokenizer whose index 0 is [`Vocabulary::END`], or name a word twice.
    pub fn from_bytes(json: &[u8]) -> Result<Self> {
        if let Some(word) = repeated_key(json) {
            return Err(Error::input(format!("tokenizer: `{word}` stands twice; which is meant?")));
        }
        let inner = tokenizers::Tokenizer::from_bytes(json).map_err(wrap)?;
        if inner.token_to_id(Vocabulary::END) != Some(0) {
            return Err(Error::input(format!("tokenizer: index 0 must be `{}`", Vocabulary::END)));
        }
        Ok(Self { inner, whole: Pipeline::new(WordRule::Unicode)? })
    }

    /// Reads the file that [`Tokenizer::save`] wrote.
    ///
    /// # Errors
    /// The file is missing, or not a tokenizer whose index 0 is [`Vocabulary::END`]; the message names the file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let json = std::fs::read(path).map_err(|e| Error::file_because(path, "cannot be read", e))?;
        Self::from_bytes(&json).map_err(|e| Error::file_because(path, "not a tokenizer of this kind", e))
    }

    /// Writes the tokenizer into a file such as `tokenizer.json`, whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        drgan_tensor::file::write_atomic(path, self.to_json()?.as_bytes())
    }
}

impl Tokenize for Tokenizer {
    fn vocab_size(&self) -> usize {
        self.inner.get_model().get_vocab_size()
    }

    /// Unknown words are dropped. Of more than `max_words` known ones the first are kept (docs/divergences.md, captions: the
    /// released code draws a random subset).
    fn encode(&self, caption: &str, max_words: usize) -> Result<TokenizedCaption> {
        if max_words == 0 {
            return Err(Error::input("max_words: expected at least 1, got 0"));
        }
        let encoding = self.inner.encode(caption, false).map_err(wrap)?;
        let (mut ids, mut unknown, mut cut) = (Vec::new(), Vec::new(), Vec::new());
        for (id, &(from, to)) in encoding.get_ids().iter().zip(encoding.get_offsets()) {
            let written = || caption.get(from..to).unwrap_or_default().to_owned();
            match id {
                0 => unknown.push(written()),
                _ if ids.len() == max_words => cut.push(written()),
                _ => ids.push(*id),
            }
        }
        if ids.is_empty() {
            let why = match unknown.as_slice() {
                [] if self.altered_words(caption)?.is_empty() => {
                    "it has no word (letters or digits)".to_owned()
                }
                [] => {
                    "its words have no ASCII letters or digits, and the vocabulary reads no others".to_owned()
                }
                unknown => format!("none of its words is in the vocabulary ({})", unknown.join(", ")),
            };
            return Err(Error::input(format!("caption `{caption}`: {why}; use other words")));
        }
        Ok(TokenizedCaption { ids, unknown, cut })
    }

    fn known_words(&self, caption: &str) -> Result<Vec<String>> {
        let words = pieces_of(&self.inner, caption)?.into_iter().map(|(word, _)| word);
        Ok(words.filter(|word| self.inner.token_to_id(word).is_some_and(|id| id != 0)).collect())
    }

    fn altered_words(&self, caption: &str) -> Result<Vec<AlteredWord>> {
        if caption.is_ascii() {
            return Ok(vec![]); // no rule drops any of it
        }
        let whole = self.whole.pieces(caption)?;
        // What reads alike has lost nothing, however its letters and marks are composed.
        let read = pieces_of(&self.inner, caption)?;
        if read.iter().map(|(word, _)| word).eq(whole.iter().map(|(word, _)| word)) {
            return Ok(vec![]);
        }
        let mut altered = Vec::new();
        for (word, at) in whole {
            let written = caption.get(at).unwrap_or(&word);
            let read: Vec<String> =
                pieces_of(&self.inner, written)?.into_iter().map(|(word, _)| word).collect();
            if read != [word.as_str()] {
                altered.push(AlteredWord { written: written.to_owned(), read: read.join(" ") });
            }
        }
        Ok(altered)
    }

    fn extended(&self, captions: &mut dyn Iterator<Item = &str>) -> Result<Box<dyn Tokenize>> {
        let mut more = WordCounts::default();
        for caption in captions {
            let words = pieces_of(&self.inner, caption)?.into_iter().map(|(word, _)| word);
            more.add(words.filter(|word| self.inner.token_to_id(word).is_none()));
        }
        let known = self.inner.get_vocab(false);
        let next = known.values().max().map_or(0, |last| last + 1);
        let vocabulary = known.into_iter().chain(more.most_frequent_first().into_iter().zip(next..));
        let mut inner = self.inner.clone();
        inner.with_model(word_level(vocabulary)?);
        Ok(Box::new(Self { inner, whole: self.whole.clone() }))
    }

    fn word(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    fn to_json(&self) -> Result<String> {
        self.inner.to_string(true).map_err(wrap)
    }
}

/// A model of words with their ids; an unknown word becomes index 0, which no word of a caption can have.
fn word_level(words: impl Iterator<Item = (String, u32)>) -> Result<WordLevel> {
    let model = WordLevel::builder().vocab(words.collect()).unk_token(Vocabulary::END.to_owned());
    model.build().map_err(wrap)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DroppedWords;
    use candle_core::Device;

    fn tokenizer() -> Result<Tokenizer> {
        made(["a red bird", "a bird with a caf wing 2_x"], WordRule::Ascii)
    }

    fn made<const N: usize>(captions: [&str; N], rule: WordRule) -> Result<Tokenizer> {
        Tokenizer::new(&Vocabulary::from_captions(captions, rule)?)
    }

    #[test]
    fn unknown_words_are_dropped_and_reported() -> Result<()> {
        let got = tokenizer()?.encode("A Purple bird, red!", 2)?;
        assert_eq!(
            got,
            TokenizedCaption { ids: vec![1, 2], unknown: vec!["Purple".into()], cut: vec!["red".into()] }
        );
        assert!(tokenizer()?.encode("a red", 2)?.cut.is_empty());
        assert_eq!(tokenizer()?.known_words("A Purple 2_X, red!")?, ["a", "2_x", "red"]);
        Ok(())
    }

    #[test]
    fn letters_that_are_dropped_are_named() -> Result<()> {
        let caption = "A Caf\u{e9} bird, p\u{ea}che \u{7ea2} \u{1f600}";
        let altered = |t: &Tokenizer| -> Result<Vec<(String, String)>> {
            Ok(t.altered_words(caption)?.into_iter().map(|w| (w.written, w.read)).collect())
        };
        let pairs = [("Caf\u{e9}", "caf"), ("p\u{ea}che", "pche"), ("\u{7ea2}", "")];
        assert_eq!(altered(&tokenizer()?)?, pairs.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert_eq!(altered(&made([caption], WordRule::Unicode)?)?, []);
        let decomposed = "cafe\u{301} \u{1112}\u{1161}\u{11ab} red";
        assert!(made([decomposed], WordRule::Unicode)?.altered_words(decomposed)?.is_empty());
        assert_eq!(tokenizer()?.encode(caption, 9)?.unknown, ["p\u{ea}che"]);
        let e = tokenizer()?.encode("\u{7ea2}", 9).expect_err("no letter is left").to_string();
        assert!(e.contains("no ASCII letters"), "{e}");
        Ok(())
    }

    #[test]
    fn ten_thousand_words_are_read_and_cut() -> Result<()> {
        let caption = "r\u{e9}d bird ".repeat(5_000);
        let tokenizer = made([&caption], WordRule::Unicode)?;
        let found = tokenizer.encode(&caption, 12)?;
        assert_eq!((found.ids.len(), found.cut.len(), found.unknown.len()), (12, 9_988, 0));
        assert_eq!(tokenizer.known_words(&caption)?.len(), 10_000);
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
        let a = made(["p\u{ea}che \u{7ea2}\u{9e1f} İstanbul ะ"], WordRule::Unicode)?;
        a.save(&path)?;
        let text = "PE\u{302}CHE istanbul \u{9e1f}\u{7ea2} caf\u{e9}";
        assert_eq!(a.encode(text, 9)?, Tokenizer::load(&path)?.encode(text, 9)?);
        assert_eq!(a.encode(text, 9)?.unknown, ["caf\u{e9}"]);
        Ok(())
    }

    #[test]
    fn an_extended_tokenizer_keeps_its_ids_and_words() -> Result<()> {
        let old = tokenizer()?;
        let n = old.vocab_size();
        let new = old.extended(&mut ["A Green bird", "a green, OLD owl", "an owl"].into_iter())?;
        assert_eq!(new.vocab_size(), n + 4);
        let words: Vec<_> = (0..n as u32 + 4).filter_map(|id| new.word(id)).collect();
        let known: Vec<_> = (0..n as u32).filter_map(|id| old.word(id)).collect();
        assert_eq!(words[..n], known);
        assert_eq!(words[n..], ["green", "owl", "an", "old"]);
        assert_eq!(new.encode("purple green bird", 9)?.unknown, ["purple"]);
        assert_eq!(Tokenizer::from_bytes(new.to_json()?.as_bytes())?.encode("owl", 1)?.ids, [n as u32 + 1]);
        assert_eq!(old.extended(&mut ["a red bird"].into_iter())?.to_json()?, old.to_json()?);
        Ok(())
    }

    #[test]
    fn a_word_that_stands_twice_is_refused() -> Result<()> {
        let json = tokenizer()?.to_json()?;
        let twice = json.replacen("\"bird\": 2", "\"bird\": 2, \"red\": 2", 1);
        assert_ne!(twice, json);
        let e = Tokenizer::from_bytes(twice.as_bytes()).expect_err("two numbers of a word").to_string();
        assert!(e.contains("`red` stands twice"), "{e}");
        Ok(())
    }

    #[test]
    fn a_file_of_before_keeps_its_own_words() -> Result<()> {
        let old = Tokenizer::from_bytes(include_bytes!("../../tests/fixtures/tokenizer-f1e38d0.json"))?;
        let new = made(["a red caf\u{e9} bird"], WordRule::Ascii)?;
        assert_eq!(old.to_json()?, new.to_json()?);
        assert_eq!(old.known_words("A Caf\u{e9} BIRD")?, ["a", "caf", "bird"]);
        Ok(())
    }

    #[test]
    fn batches_have_a_fixed_width() -> Result<()> {
        let (batch, dropped) = tokenizer()?.batch(&["bird", "a red blue"], 4, &Device::Cpu)?;
        assert_eq!(batch.ids.to_vec2::<u32>()?, [[2, 0, 0, 0], [1, 5, 0, 0]]);
        assert_eq!(batch.lens, [1, 2]);
        assert_eq!(dropped, [DroppedWords { caption: 1, unknown: vec!["blue".into()], cut: vec![] }]);
        Ok(())
    }
}
