//! A normalized map with the statistics it was normalized by.
use super::cpu::Statistics;
use candle_core::{Result, Tensor, bail};

/// What [`batch_norm`](crate::batch_norm) gives.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Normalized {
    /// The activated output.
    pub y: Tensor,
    /// Mean of each channel over the batch, `(C,)`, without gradient.
    pub mean: Tensor,
    /// Population variance of each channel over the batch, `(C,)`, without gradient.
    pub var: Tensor,
}

impl Normalized {
    /// The unbiased variance over the population's: `n / (n - 1)` for `n` values per channel.
    pub(super) fn unbiased(&self) -> f64 {
        let dims = self.y.dims();
        let n = (dims[0] * dims[2..].iter().product::<usize>()) as f64;
        n / (n - 1.)
    }
}

/// A result with the statistics that its forward pass has left.
pub(crate) fn normalized(y: Tensor, statistics: Option<&Statistics>) -> Result<Normalized> {
    let of_channels = |values: &Vec<f32>| Tensor::from_slice(values, values.len(), y.device());
    match statistics {
        Some(Statistics { mean, var }) => {
            let (mean, var) = (of_channels(mean)?, of_channels(var)?);
            Ok(Normalized { y, mean, var })
        }
        None => bail!("batch_norm: the forward pass has left no statistics"),
    }
}
