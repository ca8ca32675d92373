//! The measure of disagreement: the largest relative error of two tensors.
use anyhow::{Result, bail};
use candle_core::{DType, Tensor};

/// The largest `|got - want| / max(|want|, rms(want))` of any element: relative, and not blown up where a value
/// happens to be near 0.
///
/// # Errors
/// Shapes that differ; a value of either that is not finite.
pub fn relative_error(got: &Tensor, want: &Tensor) -> Result<f64> {
    if got.dims() != want.dims() {
        bail!("shape {:?}, the file has {:?}", got.dims(), want.dims());
    }
    let flat = |t: &Tensor| t.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
    let (got, want) = (flat(got)?, flat(want)?);
    if let Some(i) = got.iter().position(|v| !v.is_finite()) {
        bail!("{} at flat index {i}", got[i]);
    }
    // Such a value differs from none by a number.
    if let Some(i) = want.iter().position(|v| !v.is_finite()) {
        bail!("the file has {} at flat index {i}", want[i]);
    }
    let rms = (want.iter().map(|v| v * v).sum::<f64>() / want.len().max(1) as f64).sqrt();
    let floor = rms.max(f64::MIN_POSITIVE);
    Ok(got.iter().zip(&want).map(|(g, w)| (g - w).abs() / w.abs().max(floor)).fold(0., f64::max))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn t(v: &[f64]) -> Tensor {
        Tensor::new(v, &Device::Cpu).unwrap()
    }

    #[test]
    fn errors_are_relative_to_the_element_or_the_typical_one() {
        let error = relative_error(&t(&[2.02, 0.01]), &t(&[2., 0.])).unwrap();
        assert!((error - 0.01).abs() < 1e-9, "{error}");
        assert_eq!(relative_error(&t(&[0.]), &t(&[0.])).unwrap(), 0.);
        assert!(relative_error(&t(&[1e-9]), &t(&[0.])).unwrap() > 1., "nothing is small beside zero");
        assert!(relative_error(&t(&[f64::NAN]), &t(&[0.])).is_err());
        assert!(relative_error(&t(&[0.]), &t(&[0., 0.])).is_err());
        for damaged in [f64::NAN, f64::INFINITY] {
            let e = relative_error(&t(&[1., 1.]), &t(&[1., damaged])).unwrap_err().to_string();
            assert!(e.contains("the file has") && e.contains("index 1"), "{e}");
        }
    }
}
