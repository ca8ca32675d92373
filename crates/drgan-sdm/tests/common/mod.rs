//! Captions for the tests.
use candle_core::{DType, Device, Tensor};
use drgan_tensor::{Ctx, Mode, Result, TextFeatures};

pub(crate) const CPU: Device = Device::Cpu;

/// Captions of `lens` words with random features, `t` words wide, zero at padding.
pub(crate) fn captions(lens: &[usize], t: usize, dim: usize, dtype: DType) -> Result<TextFeatures> {
    let b = lens.len();
    let padding: Vec<u8> = lens.iter().flat_map(|n| (0..t).map(move |k| u8::from(k >= *n))).collect();
    let mask = Tensor::from_vec(padding, (b, t), &CPU)?;
    let mut ctx = Ctx::new(Mode::Eval, 77);
    let keep = mask.to_dtype(DType::F32)?.affine(-1., 1.)?.unsqueeze(1)?;
    let words = ctx.randn((b, dim, t), DType::F32, &CPU)?.broadcast_mul(&keep)?.to_dtype(dtype)?;
    let sentence = ctx.randn((b, dim), DType::F32, &CPU)?.to_dtype(dtype)?;
    Ok(TextFeatures { words, sentence, mask, lens: lens.to_vec() })
}
