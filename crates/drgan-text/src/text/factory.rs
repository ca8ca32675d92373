//! The one place that builds the encoder and the tokenizer of a [`TextEncoderConfig`].
use super::config::{TextEncoderConfig, TextEncoderKind};
use super::encoder::BiLstmEncoder;
use super::tokenize::Tokenize;
use super::tokenizer::Tokenizer;
use super::vocabulary::Vocabulary;
use drgan_tensor::{FromConfig, Result, TextEncoder, VarBuilder};

impl TextEncoderConfig {
    /// Builds the encoder, with its parameters under the prefix of `vb`.
    ///
    /// # Errors
    /// A field out of range; a parameter missing or of another shape.
    pub fn build(&self, vb: VarBuilder<'_>) -> Result<Box<dyn TextEncoder + Send + Sync>> {
        match self.encoder {
            TextEncoderKind::BiLstm => Ok(Box::new(BiLstmEncoder::from_config(self, vb)?)),
        }
    }

    /// Reads the tokenizer that belongs to the encoder from the contents of its `tokenizer.json`.
    ///
    /// # Errors
    /// The text is not a tokenizer, or one of another kind.
    pub fn tokenizer(&self, json: &[u8]) -> Result<Box<dyn Tokenize>> {
        match self.encoder {
            TextEncoderKind::BiLstm => Ok(Box::new(Tokenizer::from_bytes(json)?)),
        }
    }

    /// Makes the tokenizer that a new encoder is trained with, from the words of its captions.
    ///
    /// # Errors
    /// Words that no tokenizer can be made of.
    pub fn new_tokenizer(&self, vocabulary: &Vocabulary) -> Result<Box<dyn Tokenize>> {
        match self.encoder {
            TextEncoderKind::BiLstm => Ok(Box::new(Tokenizer::new(vocabulary)?)),
        }
    }
}
