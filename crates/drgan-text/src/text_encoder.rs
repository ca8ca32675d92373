use crate::{BiLstm, fail};
use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};
use drgan_tensor::{
    Ctx, Error, FromConfig, Mode, Result, TextEncoder, TextFeatures, TokenBatch, expect_shape,
};
use rand::Rng;
use serde::{Deserialize, Serialize};

/// Sizes of a [`BiLstmEncoder`]; the defaults are AttnGAN's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextEncoderConfig {
    /// Words of the vocabulary, padding included.
    pub vocab_size: usize,
    /// Width of a word's embedding.
    pub embedding: usize,
    /// Width D of the features, even: half of it a direction.
    pub words_dim: usize,
    /// Share of embedding values zeroed in training, in `[0, 1)`.
    pub dropout: f64,
}

impl Default for TextEncoderConfig {
    fn default() -> Self {
        Self { vocab_size: 5450, embedding: 300, words_dim: 256, dropout: 0.5 } // 5450: AttnGAN's birds
    }
}

impl TextEncoderConfig {
    fn check(&self) -> Result<()> {
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

/// AttnGAN's text encoder: embedding, dropout in training, bi-directional LSTM (SPEC, Text).
///
/// Names: `encoder.weight`, `rnn.*` of [`BiLstm`].
#[derive(Clone, Debug)]
pub struct BiLstmEncoder {
    embedding: Tensor,
    lstm: BiLstm,
    dropout: f64,
}

impl FromConfig for BiLstmEncoder {
    type Config = TextEncoderConfig;

    fn from_config(cfg: &Self::Config, vb: VarBuilder<'_>) -> Result<Self> {
        cfg.check()?;
        let init = Init::Uniform { lo: -0.1, up: 0.1 };
        Ok(Self {
            embedding: vb.pp("encoder").get_with_hints((cfg.vocab_size, cfg.embedding), "weight", init)?,
            lstm: BiLstm::new(cfg.embedding, cfg.words_dim / 2, vb.pp("rnn"))?,
            dropout: cfg.dropout,
        })
    }
}

impl BiLstmEncoder {
    /// Zeroes a share of `x` and scales the rest, so that the mean stays.
    fn drop(&self, x: Tensor, ctx: &mut Ctx) -> Result<Tensor> {
        if ctx.mode != Mode::Train || self.dropout == 0. {
            return Ok(x);
        }
        let keep = (1. / (1. - self.dropout)) as f32;
        let rng = ctx.rng();
        let mask: Vec<f32> =
            (0..x.elem_count()).map(|_| if rng.random_bool(self.dropout) { 0. } else { keep }).collect();
        Ok((&x * Tensor::from_vec(mask, x.shape(), x.device())?.to_dtype(x.dtype())?)?)
    }

    fn check_ids(&self, tokens: &TokenBatch) -> Result<()> {
        let size = self.embedding.dim(0)?;
        for (i, row) in tokens.ids.to_vec2::<u32>()?.iter().enumerate() {
            if let Some(id) = row.iter().find(|id| **id as usize >= size) {
                return Err(fail(format!(
                    "TextEncoder::encode_text: tokens: caption {i} holds id {id}, the vocabulary {size} words"
                )));
            }
        }
        Ok(())
    }
}

impl TextEncoder for BiLstmEncoder {
    fn encode_text(&self, tokens: &TokenBatch, ctx: &mut Ctx) -> Result<TextFeatures> {
        let lens = &tokens.lens;
        expect_shape(
            "TextEncoder::encode_text: ids",
            &tokens.ids,
            &[Some(lens.len()), None],
            "(B = lens, T)",
        )?;
        self.check_ids(tokens)?;
        let (b, t) = tokens.ids.dims2()?;
        let x = self.embedding.index_select(&tokens.ids.flatten_all()?, 0)?; // (B T, embedding)
        let x = self.drop(x.reshape((b, t, ()))?, ctx)?;
        let out = self.lstm.forward(&x, lens)?;
        let mask: Vec<u8> = lens.iter().flat_map(|n| (0..t).map(move |s| u8::from(s >= *n))).collect();
        Ok(TextFeatures {
            words: out.states.transpose(1, 2)?.contiguous()?, // (B, D, T)
            sentence: out.last,
            mask: Tensor::from_vec(mask, (b, t), tokens.ids.device())?,
            lens: lens.clone(),
        })
    }
}
