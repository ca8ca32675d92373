//! Compares two kernels with their references: largest difference, and time of both.
#![allow(clippy::print_stdout, reason = "an example shows what it did")]
use candle_core::{Device, Result, Tensor, Var};
use drgan_kernels::{Conv2dSpec, conv2d, reference, up_conv2d};
use std::time::{Duration, Instant};

/// The weight's gradient of the mean square of `f`, and how long both passes took.
fn gradient(weight: &Var, f: impl Fn() -> Result<Tensor>) -> Result<(Tensor, Duration)> {
    let start = Instant::now();
    let gradients = f()?.sqr()?.mean_all()?.backward()?;
    match gradients.get(weight) {
        Some(g) => Ok((g.clone(), start.elapsed())),
        None => candle_core::bail!("the weight has no gradient"),
    }
}

fn compare(
    name: &str,
    weight: &Var,
    fast: impl Fn() -> Result<Tensor>,
    plain: impl Fn() -> Result<Tensor>,
) -> Result<()> {
    gradient(weight, &fast)?; // warm
    let ((a, fast), (b, plain)) = (gradient(weight, fast)?, gradient(weight, plain)?);
    let largest = (a - b)?.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?;
    println!("{name:<10} fast {fast:>10.1?}, reference {plain:>10.1?}, gradients differ by {largest:.1e}");
    Ok(())
}

fn main() -> Result<()> {
    drgan_kernels::limit_candle_threads();
    let x = Tensor::randn(0f32, 1., (4, 32, 32, 32), &Device::Cpu)?;
    let weight = Var::randn(0f32, 0.05, (64, 32, 3, 3), &Device::Cpu)?;
    let spec = Conv2dSpec::new(1, 1);
    compare(
        "conv2d",
        &weight,
        || conv2d(&x, &weight, None, spec),
        || reference::conv2d(&x, &weight, None, spec),
    )?;
    compare("up_conv2d", &weight, || up_conv2d(&x, &weight), || reference::up_conv2d(&x, &weight))
}
