//! What a device can do at most, as it does it: a large copy, and a large product in each precision.
use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use drgan_tensor::device::DeviceRequest;
use drgan_tensor::ops::{Precision, linear};
use std::time::Instant;

/// Times that the copy and each product are made, of which the fastest counts.
const TIMES: usize = 10;

/// The most that a device did per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ceilings {
    /// Bytes read and written.
    pub(crate) bytes: f64,
    /// Multiplications and additions of a product, by [`Precision::ALL`].
    pub(crate) operations: [f64; 3],
}

impl Ceilings {
    pub(crate) fn operations(&self, precision: Precision) -> f64 {
        let place = Precision::ALL.into_iter().position(|each| each == precision).unwrap_or(0);
        self.operations[place]
    }
}

/// Measures a device, with small sizes if `quick`.
///
/// # Errors
/// What the device reports.
pub(crate) fn measure(request: DeviceRequest, quick: bool) -> Result<Ceilings> {
    let (values, side) = if quick { (1 << 14, 32) } else { (1 << 26, 8192) };
    let device = request.open()?;
    let x = Tensor::zeros(values, DType::F32, &device)?;
    let bytes = (2 * 4 * values) as f64 / fastest(&device, || Ok(x.copy()?))?;
    drop(x);
    let mut operations = [0.; 3];
    for (most, precision) in operations.iter_mut().zip(Precision::ALL) {
        let device = request.open_with(precision)?;
        let x = Tensor::ones((side, side), DType::F32, &device)?;
        *most = 2. * (side as f64).powi(3) / fastest(&device, || Ok(linear(&x, &x)?))?;
    }
    Ok(Ceilings { bytes, operations })
}

/// Seconds of the fastest of some runs, the first apart.
fn fastest(device: &Device, run: impl Fn() -> Result<Tensor>) -> Result<f64> {
    let mut least = f64::INFINITY;
    for i in 0..=TIMES {
        device.synchronize()?;
        let start = Instant::now();
        let result = run()?;
        device.synchronize()?;
        drop(result);
        if i > 0 {
            least = least.min(start.elapsed().as_secs_f64());
        }
    }
    Ok(least)
}
