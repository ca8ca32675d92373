//! AttnGAN's text encoder: word embeddings and a bi-directional LSTM over them.
use super::config::TextEncoderConfig;
use super::lstm::BiLstm;
use candle_core::Tensor;
use drgan_tensor::{
    Ctx, Error, FromConfig, Hint, Init, Mode, Result, TextEncoder, TextFeatures, TokenBatch, VarBuilder,
    expect_shape,
};
use rand::Rng;

/// AttnGAN's text encoder: embedding, dropout in training, bi-directional LSTM (docs/model.md, text encoder).
///
/// Names: `encoder.weight`, and those of [`BiLstm`] under `rnn`.
#[derive(Clone, Debug)]
pub struct BiLstmEncoder {
    embedding: Tensor,
    lstm: BiLstm,
    dropout: f64,
}

impl FromConfig for BiLstmEncoder {
    type Config = TextEncoderConfig;

    fn from_config(cfg: &Self::Config, vb: VarBuilder<'_>) -> Result<Self> {
        cfg.validate()?;
        let init = Init::Uniform { lo: -0.1, up: 0.1 };
        Ok(Self {
            embedding: vb.pp("encoder").get_with_hints(
                (cfg.vocab_size, cfg.embedding),
                "weight",
                Hint::param(init),
            )?,
            lstm: BiLstm::new(cfg.embedding, cfg.words_dim / 2, vb.pp("rnn"))?,
            dropout: cfg.dropout,
        })
    }
}

impl BiLstmEncoder {
    /// Dropout in training: zeroes a share of `x` and scales the rest, so that the mean stays. The mask is drawn on the host,
    /// so that every device drops the same values.
    fn drop(&self, x: Tensor, ctx: &mut Ctx) -> Result<Tensor> {
        if ctx.mode != Mode::Train || self.dropout == 0. {
            return Ok(x);
        }
        let keep = 1. / (1. - self.dropout);
        let rng = ctx.rng();
        let mask: Vec<f64> =
            (0..x.elem_count()).map(|_| if rng.random_bool(self.dropout) { 0. } else { keep }).collect();
        Ok((&x * Tensor::from_vec(mask, x.shape(), x.device())?.to_dtype(x.dtype())?)?)
    }

    fn check_ids(&self, tokens: &TokenBatch) -> Result<()> {
        let size = self.embedding.dim(0)?;
        for (i, row) in tokens.ids.to_vec2::<u32>()?.iter().enumerate() {
            if let Some(id) = row.iter().find(|id| **id as usize >= size) {
                return Err(Error::input(format!(
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
        let device = self.embedding.device();
        let x = self.embedding.index_select(&tokens.ids.flatten_all()?.to_device(device)?, 0)?; // (B T, embedding)
        let x = self.drop(x.reshape((b, t, ()))?, ctx)?;
        let out = self.lstm.forward(&x, lens)?;
        let mask: Vec<u8> = lens.iter().flat_map(|n| (0..t).map(move |s| u8::from(s >= *n))).collect();
        Ok(TextFeatures {
            words: out.states.transpose(1, 2)?.contiguous()?, // (B, D, T)
            sentence: out.last,
            mask: Tensor::from_vec(mask, (b, t), device)?,
            lens: lens.clone(),
        })
    }
}
