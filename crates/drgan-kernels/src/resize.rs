use candle_core::{Device, Result, Tensor, bail};

/// `(out, inp)` matrix of 1-D linear interpolation weights.
fn lerp_matrix(inp: usize, out: usize, align_corners: bool, dev: &Device) -> Result<Tensor> {
    let mut m = vec![0f64; out * inp];
    for o in 0..out {
        let src = match (align_corners, out) {
            (true, 1) => 0.,
            (true, _) => o as f64 * (inp - 1) as f64 / (out - 1) as f64,
            (false, _) => ((o as f64 + 0.5) * inp as f64 / out as f64 - 0.5).max(0.),
        };
        let lo = (src.floor() as usize).min(inp - 1);
        let hi = (lo + 1).min(inp - 1);
        m[o * inp + lo] += 1. - (src - lo as f64);
        m[o * inp + hi] += src - lo as f64;
    }
    Tensor::from_vec(m, (out, inp), dev)
}

/// Bilinear resize without antialiasing, as PyTorch's `interpolate`: two matrix products, so that the gradient is
/// theirs on every device.
///
/// # Shapes
/// `x`: `(B, C, H, W)`; result: `(B, C, h, w)`.
///
/// # Errors
/// A side of 0.
pub fn resize_bilinear(x: &Tensor, h: usize, w: usize, align_corners: bool) -> Result<Tensor> {
    let (b, c, hi, wi) = x.dims4()?;
    if h * w * hi * wi == 0 {
        bail!("resize_bilinear: cannot resize {hi}x{wi} to {h}x{w}")
    }
    let along = |t: &Tensor, inp, out| -> Result<Tensor> {
        let m = lerp_matrix(inp, out, align_corners, x.device())?.to_dtype(x.dtype())?;
        t.matmul(&m.t()?.contiguous()?)
    };
    let y = along(&x.contiguous()?.reshape((b * c * hi, wi))?, wi, w)?;
    let y = y.reshape((b, c, hi, w))?.transpose(2, 3)?.contiguous()?.reshape((b * c * w, hi))?;
    let y = along(&y, hi, h)?;
    y.reshape((b, c, w, h))?.transpose(2, 3)?.contiguous()
}

/// Shrinks by whole factors, each output the mean of its block of inputs.
///
/// # Shapes
/// `x`: `(B, C, H, W)` with `H` a multiple of `h` and `W` of `w`; result: `(B, C, h, w)`.
///
/// # Errors
/// Sides that do not divide.
pub fn resize_area(x: &Tensor, h: usize, w: usize) -> Result<Tensor> {
    let (b, c, hi, wi) = x.dims4()?;
    if h == 0 || w == 0 || hi % h != 0 || wi % w != 0 {
        bail!("resize_area: {hi}x{wi} is not a whole multiple of {h}x{w}")
    }
    if (hi, wi) == (h, w) {
        return Ok(x.clone());
    }
    x.contiguous()?.reshape((b, c, h, hi / h, w, wi / w))?.mean((3, 5))
}
