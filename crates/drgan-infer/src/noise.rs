//! Noise by number: an image's noise depends on a seed and its own number, not on what is drawn beside it.
use candle_core::{DType, Device, Tensor};
use drgan_sdm::GeneratorConfig;
use drgan_tensor::{Ctx, Error, Mode, Result};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

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

/// The largest noise that [`truncated`] leaves, which decides how many draws it takes: a share of 0.008 of normal values is below 0.01.
pub(crate) const LEAST_TRUNCATION: f64 = 0.01;

/// Standard normal values of which those beyond `limit` are drawn again: the truncation trick of BigGAN, by which images vary less and
/// are more often good. Row `k` depends on `seed` and `numbers[k]` alone.
///
/// # Shapes
/// `noise` `(N, d)`, and so the result.
///
/// # Errors
/// A limit below 0.01, or one that is not a number.
pub(crate) fn truncated(noise: &Tensor, numbers: &[u64], seed: u64, limit: f64) -> Result<Tensor> {
    if limit.is_nan() || limit < LEAST_TRUNCATION {
        let reason = format!("{limit}; must be {LEAST_TRUNCATION} or more");
        return Err(Error::Config { field: "truncation", reason });
    }
    let mut rows = noise.to_dtype(DType::F32)?.to_vec2::<f32>()?;
    for (row, number) in rows.iter_mut().zip(numbers) {
        // A stream that no noise is drawn from: numbers count up from 0.
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(!number);
        for value in row {
            while f64::from(value.abs()) > limit {
                *value = StandardNormal.sample(&mut rng);
            }
        }
    }
    let values: Vec<f32> = rows.into_iter().flatten().collect();
    Ok(Tensor::from_vec(values, noise.shape(), noise.device())?.to_dtype(noise.dtype())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_within_the_limit_stays_and_the_rest_is_drawn_again() -> Result<()> {
        let values = [[0.2f32, -0.4, 3., -2.5], [0.2, -0.4, 3., -2.5]];
        let x = Tensor::new(&values, &Device::Cpu)?;
        let y = truncated(&x, &[0, 1], 7, 0.5)?.to_vec2::<f32>()?;
        assert_eq!([&y[0][..2], &y[1][..2]], [&values[0][..2]; 2]);
        assert!(y.iter().flatten().all(|v| v.abs() <= 0.5), "{y:?}");
        assert_ne!(y[0][2..], y[1][2..], "each number has draws of its own");
        assert_eq!(truncated(&x.narrow(0, 1, 1)?, &[1], 7, 0.5)?.to_vec2::<f32>()?[0], y[1]);
        assert_eq!(truncated(&x, &[0, 1], 7, 4.)?.to_vec2::<f32>()?, x.to_vec2::<f32>()?);
        for limit in [0., -1., f64::NAN, 0.009] {
            assert!(
                truncated(&x, &[0, 1], 7, limit).expect_err("refused").to_string().contains("truncation")
            );
        }
        Ok(())
    }
}
