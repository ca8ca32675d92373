//! Noise by number: an image's noise depends on a seed and its own number, not on what is drawn beside it.
use candle_core::{DType, Device, Tensor};
use drgan_sdm::GeneratorConfig;
use drgan_tensor::{Ctx, Mode, Result};

/// The noise `z` and the noise of the conditioning augmentation, both standard normal.
///
/// # Shapes
/// N numbers give `(N, nz)` and `(N, nc)`.
pub(crate) fn noise(
    cfg: &GeneratorConfig,
    numbers: &[u64],
    seed: u64,
    dtype: DType,
    device: &Device,
) -> Result<(Tensor, Tensor)> {
    let (mut z, mut eps) = (Vec::new(), Vec::new());
    for &number in numbers {
        let mut ctx = Ctx::with_stream(Mode::Eval, seed, number);
        z.push(ctx.randn((1, cfg.nz), DType::F32, device)?);
        eps.push(ctx.randn((1, cfg.nc), DType::F32, device)?);
    }
    Ok((Tensor::cat(&z, 0)?.to_dtype(dtype)?, Tensor::cat(&eps, 0)?.to_dtype(dtype)?))
}
