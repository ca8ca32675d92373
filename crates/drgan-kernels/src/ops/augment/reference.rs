//! Differentiable augmentation in candle's own operations.
use super::Augmentation;
use candle_core::{Result, Tensor};

/// Reference implementation of [`augment`](crate::augment): `by` has an augmentation per image.
///
/// # Errors
/// Those of [`augment`](crate::augment).
pub fn augment(images: &Tensor, by: &[Augmentation]) -> Result<Tensor> {
    if by.is_empty() {
        return Ok(images.clone());
    }
    let changed = by.iter().enumerate().map(|(i, by)| one(&images.narrow(0, i, 1)?, by));
    Tensor::cat(&changed.collect::<Result<Vec<_>>>()?, 0)
}

/// `(1, C, H, W)`, changed.
fn one(x: &Tensor, by: &Augmentation) -> Result<Tensor> {
    let gray = x.mean_keepdim(1)?;
    let x = (x.broadcast_sub(&gray)? * f64::from(by.saturation))?.broadcast_add(&gray)?;
    let mean = x.mean_keepdim((1, 2, 3))?;
    let x = (x.broadcast_sub(&mean)? * f64::from(by.contrast))?.broadcast_add(&mean)?;
    let mut x = (x + f64::from(by.brightness))?;
    for (axis, shift) in [(2, by.shift[0]), (3, by.shift[1])] {
        let n = x.dim(axis)?;
        let by = (shift.unsigned_abs() as usize).min(n);
        x = match shift >= 0 {
            true => x.narrow(axis, 0, n - by)?.pad_with_zeros(axis, by, 0)?,
            false => x.narrow(axis, by, n - by)?.pad_with_zeros(axis, 0, by)?,
        };
    }
    let (_, _, h, w) = x.dims4()?;
    let [rows, columns] = by.cutout.map(|[from, to]| from as usize..to as usize);
    let kept = (0..h * w).map(|i| f64::from(!(rows.contains(&(i / w)) && columns.contains(&(i % w)))));
    let kept = Tensor::from_iter(kept, x.device())?.to_dtype(x.dtype())?.reshape((1, 1, h, w))?;
    x.broadcast_mul(&kept)
}
