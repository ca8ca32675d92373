//! [`CaptionEncoder`]: captions to features, by a tokenizer and the text encoder trained with it.
use candle_core::{DType, Device};
use drgan_tensor::device::HOST;
use drgan_tensor::{Ctx, Mode, ParamStore, Result, TextEncoder, TextFeatures, TokenBatch};
use drgan_text::{TextEncoderConfig, Tokenize, TokenizedCaption};
use std::fmt;
use std::sync::Arc;

/// A tokenizer, the text encoder that was trained with it, and how many words of a caption are read.
///
/// Clones share the weights: a change by an optimizer shows through in all of them.
#[derive(Clone)]
pub struct CaptionEncoder {
    tokenizer: Arc<dyn Tokenize>,
    encoder: Arc<dyn TextEncoder + Send + Sync>,
    weights: ParamStore,
    max_words: usize,
    device: Device,
}

impl CaptionEncoder {
    /// An encoder whose parameters are registered in `weights`, with the values that the store gives them.
    ///
    /// `cfg.vocab_size` is not read: it is the tokenizer's.
    ///
    /// # Errors
    /// A configuration value out of range.
    pub fn new(
        cfg: &TextEncoderConfig,
        tokenizer: Box<dyn Tokenize>,
        max_words: usize,
        weights: ParamStore,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let cfg = TextEncoderConfig { vocab_size: tokenizer.vocab_size(), ..cfg.clone() };
        let encoder = cfg.build(weights.builder(dtype, device))?.into();
        Ok(Self { tokenizer: tokenizer.into(), encoder, weights, max_words, device: device.clone() })
    }

    /// The tokenizer, which turns words into token ids.
    pub fn tokenizer(&self) -> &dyn Tokenize {
        self.tokenizer.as_ref()
    }

    /// The text encoder, for training it.
    pub fn encoder(&self) -> &dyn TextEncoder {
        self.encoder.as_ref()
    }

    /// The text encoder's weights.
    pub fn weights(&self) -> &ParamStore {
        &self.weights
    }

    /// The device that the text encoder computes on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The known words of a caption that are read; the rest is left out.
    pub fn max_words(&self) -> usize {
        self.max_words
    }

    /// Captions as constant features, in evaluation mode. A caption's features do not depend on its neighbors.
    ///
    /// # Shapes
    /// B captions give words `(B, D, max_words)`, sentences `(B, D)` and a mask `(B, max_words)`.
    ///
    /// # Errors
    /// A caption without a known word.
    pub fn embed(&self, captions: &[impl AsRef<str>]) -> Result<TextFeatures> {
        self.embed_tokens(&self.tokens(captions)?)
    }

    /// Captions as token ids `(B, max_words)`, 0 where a caption has no more words.
    ///
    /// # Errors
    /// A caption without a known word.
    pub fn tokens(&self, captions: &[impl AsRef<str>]) -> Result<TokenBatch> {
        let captions: Vec<&str> = captions.iter().map(AsRef::as_ref).collect();
        Ok(self.tokenizer.batch(&captions, self.max_words, &HOST)?.0)
    }

    /// [`CaptionEncoder::embed`] of what [`CaptionEncoder::tokens`] made of the captions.
    ///
    /// # Errors
    /// Ids that the vocabulary has not.
    pub fn embed_tokens(&self, tokens: &TokenBatch) -> Result<TextFeatures> {
        Ok(self.encoder.encode_text(tokens, &mut Ctx::new(Mode::Eval, 0))?.detach())
    }

    /// Token ids of one caption, the words that the vocabulary lacks, and those that were cut.
    ///
    /// # Errors
    /// A caption without a known word.
    pub fn tokenize(&self, caption: &str) -> Result<TokenizedCaption> {
        self.tokenizer.encode(caption, self.max_words)
    }

    /// The known words of a caption, in the order of the attention maps.
    ///
    /// # Errors
    /// A caption without a known word.
    pub fn words(&self, caption: &str) -> Result<Vec<String>> {
        let ids = self.tokenize(caption)?.ids;
        Ok(ids.into_iter().map(|id| self.tokenizer.word(id).unwrap_or_default()).collect())
    }
}

impl fmt::Debug for CaptionEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.tokenizer.vocab_size();
        f.debug_struct("CaptionEncoder").field("words", &words).field("max_words", &self.max_words).finish()
    }
}
