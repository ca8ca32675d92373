//! Word attention (WAM): the words that each pixel of a feature map reads.
use candle_core::Tensor;
use drgan_tensor::nn::Conv2d;
use drgan_tensor::ops;
use drgan_tensor::{Error, Result, VarBuilder, expect_shape};

/// Word attention (WAM): every pixel of a feature map reads the words it looks like.
///
/// `w' = W projected to C channels (1x1, no bias)`, `theta_jt = softmax over words of <h_j, w'_t>`,
/// `Q'_j = sum_t theta_jt w'_t`. Name: `conv_context`.
///
/// # Paper
/// Section III; the word attention of AttnGAN. Each caption masks its own padding words; the released code tiles its mask
/// in the wrong order (docs/divergences.md, attention mask).
#[derive(Clone, Debug)]
pub struct WordAttention {
    conv_context: Conv2d,
    channels: usize,
    text_dim: usize,
}

impl WordAttention {
    /// For words of `text_dim` channels and feature maps of `channels`.
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(text_dim: usize, channels: usize, vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            conv_context: Conv2d::pointwise(text_dim, channels, vb.pp("conv_context"))?,
            channels,
            text_dim,
        })
    }

    /// What each pixel reads of the words, Q', and how much it attends to each, theta, as `(Q', theta)`.
    ///
    /// Where a caption is padding only, Q' is 0.
    ///
    /// # Shapes
    /// `h` `(B, C, H, W)`, `words` `(B, D, T)`, `mask` `(B, T)` u8 with 1 at padding; Q' as `h`, theta `(B, T, H, W)`,
    /// summing to 1 over words.
    ///
    /// # Errors
    /// Another shape; no words at all (T = 0).
    pub fn attend(&self, h: &Tensor, words: &Tensor, mask: &Tensor) -> Result<(Tensor, Tensor)> {
        let c = self.channels;
        expect_shape("WordAttention: h", h, &[None, Some(c), None, None], &format!("(B, C = {c}, H, W)"))?;
        let b = h.dim(0)?;
        let expected = format!("(B = {b}, D = {}, T >= 1)", self.text_dim);
        expect_shape("WordAttention: words", words, &[Some(b), Some(self.text_dim), None], &expected)?;
        let t = words.dim(2)?;
        if t == 0 {
            let what = "WordAttention: words";
            return Err(Error::Shape { what, expected, got: words.dims().to_vec() });
        }
        expect_shape("WordAttention: mask", mask, &[Some(b), Some(t)], &format!("(B = {b}, T = {t})"))?;

        let w = self.conv_context.forward(&words.unsqueeze(3)?)?.squeeze(3)?; // (B, C, T)
        Ok(ops::word_attention(h, &w, mask)?)
    }
}
