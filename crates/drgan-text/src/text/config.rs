//! Kind and sizes of a text encoder, with their checks.
use drgan_tensor::{Error, Result};
use serde::{Deserialize, Serialize};

/// Which network is the text encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TextEncoderKind {
    /// [`BiLstmEncoder`](crate::BiLstmEncoder) over a word-level [`Tokenizer`](crate::Tokenizer), written `"bi-lstm"`: those of AttnGAN.
    #[default]
    BiLstm,
}

/// Kind and sizes of a text encoder; the defaults are those of AttnGAN for birds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextEncoderConfig {
    /// Which network encodes the text.
    pub encoder: TextEncoderKind,
    /// Number of tokens in the vocabulary, padding included. It follows from the tokenizer ([`Tokenize::vocab_size`](crate::Tokenize::vocab_size)).
    pub vocab_size: usize,
    /// Length of a word's embedding vector.
    pub embedding: usize,
    /// Channels D of word features and of the sentence embedding, even: each direction of the LSTM gives half of them.
    pub words_dim: usize,
    /// Share of embedding values that dropout zeroes in training, in `[0, 1)`.
    pub dropout: f64,
}

impl Default for TextEncoderConfig {
    fn default() -> Self {
        Self {
            encoder: TextEncoderKind::default(),
            vocab_size: 5450,
            embedding: 300,
            words_dim: 256,
            dropout: 0.5,
        }
    }
}

impl TextEncoderConfig {
    /// Checks that every field is in its range.
    ///
    /// # Errors
    /// [`Error::Config`] with the first field out of range.
    pub fn validate(&self) -> Result<()> {
        let refuse = |field, reason: String| Err(Error::Config { field, reason });
        if self.vocab_size < 2 {
            return refuse("text.vocab_size", format!("expected 2 or more, got {}", self.vocab_size));
        }
        if self.embedding == 0 {
            return refuse("text.embedding", "expected 1 or more, got 0".into());
        }
        if self.words_dim == 0 || !self.words_dim.is_multiple_of(2) {
            return refuse(
                "text.words_dim",
                format!("expected an even number above 0, got {}", self.words_dim),
            );
        }
        if !(0. ..1.).contains(&self.dropout) {
            return refuse("text.dropout", format!("expected a share in [0, 1), got {}", self.dropout));
        }
        Ok(())
    }
}
