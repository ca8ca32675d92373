//! The word-level tokenizer: a `tokenizers` pipeline over a vocabulary.
use super::tokenize::{Tokenize, TokenizedCaption};
use super::vocabulary::Vocabulary;
use super::words::{Pipeline, wrap};
use drgan_tensor::{Error, Result};
use std::path::Path;
use tokenizers::Model;
use tokenizers::models::wordlevel::WordLevel;

/// Captions to token ids: a `tokenizers` pipeline (normalizer, pre-tokenizer, word-level model), kept as one
/// `tokenizer.json` beside the weights (docs/model.md, tokens).
#[derive(Clone, Debug)]
pub struct Tokenizer(tokenizers::Tokenizer);

impl Tokenizer {
    /// A tokenizer over `vocabulary`.
    ///
    /// # Errors
    /// Those that `tokenizers` reports.
    pub fn new(vocabulary: &Vocabulary) -> Result<Self> {
        let pipeline = Pipeline::new()?;
        let entries = vocabulary.words().iter().zip(0u32..).map(|(w, i)| (w.clone(), i));
        // An unknown word becomes index 0, which no word of a caption can have.
        let model = WordLevel::builder()
            .vocab(entries.collect())
            .unk_token(Vocabulary::END.to_owned())
            .build()
            .map_err(wrap)?;
        let mut inner = tokenizers::Tokenizer::new(model);
        inner.with_normalizer(Some(pipeline.normalizer)).map_err(wrap)?;
        inner.with_pre_tokenizer(Some(pipeline.split));
        Ok(Self(inner))
    }

    /// Reads the contents of a `tokenizer.json`, as [`Tokenize::to_json`] gives them.
    ///
    /// # Errors
    /// The bytes are not a tokenizer whose index 0 is [`Vocabulary::END`].
    pub fn from_bytes(json: &[u8]) -> Result<Self> {
        let inner = tokenizers::Tokenizer::from_bytes(json).map_err(wrap)?;
        if inner.token_to_id(Vocabulary::END) != Some(0) {
            return Err(Error::input(format!("tokenizer: index 0 must be `{}`", Vocabulary::END)));
        }
        Ok(Self(inner))
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

    /// Writes the tokenizer into a file such as `tokenizer.json`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        std::fs::write(path, self.to_json()?).map_err(|e| Error::file_because(path, "cannot be written", e))
    }
}

impl Tokenize for Tokenizer {
    fn vocab_size(&self) -> usize {
        self.0.get_model().get_vocab_size()
    }

    /// Unknown words are dropped. Of more than `max_words` known ones the first are kept (docs/divergences.md, captions: the
    /// released code draws a random subset).
    fn encode(&self, caption: &str, max_words: usize) -> Result<TokenizedCaption> {
        if max_words == 0 {
            return Err(Error::input("max_words: expected at least 1, got 0"));
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
            return Err(Error::input(format!("caption `{caption}`: {why}; use other words")));
        }
        let truncated = ids.len() > max_words;
        ids.truncate(max_words);
        Ok(TokenizedCaption { ids, unknown, truncated })
    }

    fn word(&self, id: u32) -> Option<String> {
        self.0.id_to_token(id)
    }

    fn to_json(&self) -> Result<String> {
        self.0.to_string(true).map_err(wrap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DroppedWords;
    use candle_core::Device;

    fn tokenizer() -> Result<Tokenizer> {
        Tokenizer::new(&Vocabulary::from_captions(["a red bird", "a bird with a caf wing 2_x"])?)
    }

    #[test]
    fn unknown_words_are_dropped_and_reported() -> Result<()> {
        let got = tokenizer()?.encode("A Purple bird, red!", 2)?;
        assert_eq!(
            got,
            TokenizedCaption { ids: vec![1, 2], unknown: vec!["Purple".into()], truncated: true }
        );
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
        let (batch, dropped) = tokenizer()?.batch(&["bird", "a red blue"], 4, &Device::Cpu)?;
        assert_eq!(batch.ids.to_vec2::<u32>()?, [[2, 0, 0, 0], [1, 5, 0, 0]]);
        assert_eq!(batch.lens, [1, 2]);
        assert_eq!(dropped, [DroppedWords { caption: 1, unknown: vec!["blue".into()], truncated: false }]);
        Ok(())
    }
}
