//! The role of a tokenizer: captions to batches of token ids.
use candle_core::{Device, Tensor};
use drgan_tensor::{Error, Result, TokenBatch};
use std::fmt::Debug;

/// A caption as token ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizedCaption {
    /// Indices into the vocabulary, never 0 (padding); at least one and at most `max_words`.
    pub ids: Vec<u32>,
    /// Words of the caption that the vocabulary lacks, as written in the caption; they were dropped.
    pub unknown: Vec<String>,
    /// Known words past `max_words`, as written in the caption; they were dropped.
    pub cut: Vec<String>,
}

/// A word that is read as another, or not at all, since the tokenizer drops letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlteredWord {
    /// The word as written in the caption.
    pub written: String,
    /// What is left of it; empty if nothing is.
    pub read: String,
}

/// Words that a batch dropped from one caption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedWords {
    /// Index of the caption in the batch.
    pub caption: usize,
    /// See [`TokenizedCaption::unknown`].
    pub unknown: Vec<String>,
    /// See [`TokenizedCaption::cut`].
    pub cut: Vec<String>,
}

/// Captions to token ids: what a [`TextEncoder`](drgan_tensor::TextEncoder) reads.
pub trait Tokenize: Debug + Send + Sync {
    /// Number of token ids, padding (0) included: rows of the encoder's embedding.
    fn vocab_size(&self) -> usize;

    /// Token ids of `caption`, at most `max_words` of them.
    ///
    /// # Errors
    /// The caption has no known word, or `max_words` is 0.
    fn encode(&self, caption: &str, max_words: usize) -> Result<TokenizedCaption>;

    /// The words of `caption` that the vocabulary has, in its spelling and in order, however many: what is a word in a caption is
    /// what the tokenizer takes for one. Empty if the vocabulary has none of them.
    ///
    /// # Errors
    /// The caption cannot be divided into words.
    fn known_words(&self, caption: &str) -> Result<Vec<String>>;

    /// The words of `caption` that lose letters before the vocabulary is asked, in order.
    ///
    /// # Errors
    /// The caption cannot be divided into words.
    fn altered_words(&self, caption: &str) -> Result<Vec<AlteredWord>>;

    /// A tokenizer that gives every word it knows the same token id as this one, and the words of `captions` that this one lacks the ids
    /// after those: the most frequent first, and words of equal frequency in alphabetical order.
    ///
    /// # Errors
    /// A caption cannot be divided into words.
    fn extended(&self, captions: &mut dyn Iterator<Item = &str>) -> Result<Box<dyn Tokenize>>;

    /// The word of a token id, if there is such an id.
    fn word(&self, id: u32) -> Option<String>;

    /// The contents of a `tokenizer.json` from which
    /// [`TextEncoderConfig::tokenizer`](crate::TextEncoderConfig::tokenizer) makes the same tokenizer.
    ///
    /// # Errors
    /// The tokenizer cannot be serialized.
    fn to_json(&self) -> Result<String>;

    /// `captions` as one batch `(B, max_words)`, with the words that each caption lost. The width is fixed, so that the
    /// features of a caption have the same shape and values in any batch. Captions that lost nothing are not reported.
    ///
    /// # Errors
    /// Those of [`Tokenize::encode`]; no captions at all.
    fn batch(
        &self,
        captions: &[&str],
        max_words: usize,
        device: &Device,
    ) -> Result<(TokenBatch, Vec<DroppedWords>)> {
        if captions.is_empty() {
            return Err(Error::input("captions: expected at least one, got none"));
        }
        let (mut ids, mut lens, mut dropped) = (Vec::new(), Vec::new(), Vec::new());
        for (i, caption) in captions.iter().enumerate() {
            let TokenizedCaption { ids: row, unknown, cut } = self.encode(caption, max_words)?;
            lens.push(row.len());
            ids.extend(row.iter().copied().chain(std::iter::repeat(0)).take(max_words));
            if !(cut.is_empty() && unknown.is_empty()) {
                dropped.push(DroppedWords { caption: i, unknown, cut });
            }
        }
        let ids = Tensor::from_vec(ids, (captions.len(), max_words), device)?;
        Ok((TokenBatch { ids, lens }, dropped))
    }
}
