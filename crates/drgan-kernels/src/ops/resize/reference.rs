//! Resizing in candle's own operations.
use super::between::{between, check_multiple, check_sides};
use candle_core::{Result, Tensor};

/// Reference implementation of [`resize_bilinear`](crate::resize_bilinear): two matrix products.
///
/// # Errors
/// Those of [`resize_bilinear`](crate::resize_bilinear).
pub fn resize_bilinear(x: &Tensor, h: usize, w: usize, align_corners: bool) -> Result<Tensor> {
    check_sides(x, h, w)?;
    let (b, c, hi, wi) = x.dims4()?;
    let along = |t: &Tensor, inp, out| -> Result<Tensor> {
        let mut matrix = vec![0f64; out * inp];
        for (row, at) in matrix.chunks_exact_mut(inp).zip(between(inp, out, align_corners)) {
            row[at.lo] += at.w_lo;
            row[at.hi] += at.w_hi;
        }
        let m = Tensor::from_vec(matrix, (out, inp), x.device())?.to_dtype(x.dtype())?;
        t.matmul(&m.t()?.contiguous()?)
    };
    let y = along(&x.contiguous()?.reshape((b * c * hi, wi))?, wi, w)?;
    let y = y.reshape((b, c, hi, w))?.transpose(2, 3)?.contiguous()?.reshape((b * c * w, hi))?;
    let y = along(&y, hi, h)?;
    y.reshape((b, c, w, h))?.transpose(2, 3)?.contiguous()
}

/// Reference implementation of [`resize_area`](crate::resize_area).
///
/// # Errors
/// Those of [`resize_area`](crate::resize_area).
pub fn resize_area(x: &Tensor, h: usize, w: usize) -> Result<Tensor> {
    check_multiple(x, h, w)?;
    let (b, c, hi, wi) = x.dims4()?;
    x.contiguous()?.reshape((b, c, h, hi / h, w, wi / w))?.mean((3, 5))
}
