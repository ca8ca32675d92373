//! Attention of every pixel of a map to the words of a caption.
mod cpu;
mod cuda;
pub(crate) mod reference;

use crate::cuda::op::apply as apply_cuda;
use crate::dispatch::{Backend, backend, expect_one_device, fall_back};
use crate::op::apply;
use crate::ops::conv2d::shape::expect_values;
use candle_core::{DType, Result, Shape, Tensor, bail};
use reference::EXCLUDED;

/// The sizes of one attention.
#[derive(Clone, Copy)]
struct Sizes {
    /// Number of images.
    b: usize,
    /// Number of channels of the map and of the words.
    c: usize,
    /// Number of words per caption.
    t: usize,
    /// Rows and columns of a map.
    side: (usize, usize),
}

impl Sizes {
    /// Pixels of a map.
    fn pixels(&self) -> usize {
        self.side.0 * self.side.1
    }

    /// A map of so many channels.
    fn shape(&self, channels: usize) -> Shape {
        (self.b, channels, self.side.0, self.side.1).into()
    }
}

/// Every pixel of a map reads the words it looks like: `theta_tp = softmax over words of <h_p, w_t>` and
/// `Q_p = sum_t theta_tp w_t`, as `(Q, theta)`. Padding words are neither scored nor read; among padding alone, theta is
/// even and Q is 0.
///
/// # Shapes
/// `h` `(B, C, H, W)`, `words` `(B, C, T)`, `mask` `(B, T)` u8 with 1 at padding; Q as `h`, theta `(B, T, H, W)`.
///
/// # Errors
/// Shapes that do not fit, or are empty.
pub fn word_attention(h: &Tensor, words: &Tensor, mask: &Tensor) -> Result<(Tensor, Tensor)> {
    let ((b, c, height, width), (_, _, t)) = (h.dims4()?, words.dims3()?);
    if words.dims() != [b, c, t] || mask.dims() != [b, t] || [b, c, t, height, width].contains(&0) {
        bail!(
            "word_attention: expected h (B, C, H, W), words (B, C, T), mask (B, T), none empty, got {:?}, {:?}, {:?}",
            h.dims(),
            words.dims(),
            mask.dims()
        )
    }
    expect_values("word_attention: theta", &[b, t, height, width])?;
    let sizes = Sizes { b, c, t, side: (height, width) };
    match backend("word_attention", &[h, words])? {
        Backend::Cpu => {
            let padding = mask.to_dtype(words.dtype())?; // (B, T)
            let words = words.broadcast_mul(&padding.unsqueeze(1)?.affine(-1., 1.)?)?.contiguous()?;
            let hide = (padding * EXCLUDED)?.flatten_all()?.to_vec1()?;
            let theta = apply(cpu::Score { sizes, hide }, [h, &words])?;
            Ok((apply(cpu::Read(sizes), [&theta, &words])?, theta))
        }
        Backend::Cuda => {
            expect_one_device("word_attention", &[h, mask])?;
            let captions = cuda::Captions { sizes, mask: mask.to_dtype(DType::U8)?.contiguous()? };
            let theta = apply_cuda(cuda::Score(captions.clone()), [h, words])?;
            Ok((apply_cuda(cuda::Read(captions), [&theta, words])?, theta))
        }
        _ => fall_back(|| reference::word_attention(h, words, mask)),
    }
}
