//! Semantic Disentangling Loss (SPEC, Objectives).
use crate::math::softplus;
use candle_core::Tensor;
use drgan_tensor::{Error, Result, expect_shape, ops};

/// Mean and standard deviation `sqrt(var + 1e-8)` (population) of each channel over batch and space, `(C,)` both.
fn statistics(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let (mean, var) = ops::moments(x)?;
    Ok((mean, (var + 1e-8)?.sqrt()?))
}

/// `sqrt(sum (a - b)^2 + 1e-12)`.
fn distance(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok(((a - b)?.sqr()?.sum_all()? + 1e-12)?.sqrt()?)
}

/// `SP(|mu(+) - mu(*)| - |mu(-) - mu(*)|) + SP(|sigma(+) - sigma(*)| - |sigma(-) - sigma(*)|)`: the key features'
/// statistics nearer to the real ones' than the rest's. `real` is a constant.
///
/// # Shapes
/// `(B, C, H, W)`; `real` may differ in all but `C`.
///
/// # Errors
/// Another rank, other channels, or no elements.
pub fn semantic_disentangling(key: &Tensor, non_key: &Tensor, real: &Tensor) -> Result<Tensor> {
    const DOC: &str = "(B, C, H, W), C alike in key, non_key and real";
    expect_shape("semantic_disentangling: key", key, &[None; 4], DOC)?;
    let c = key.dim(1)?;
    expect_shape("semantic_disentangling: non_key", non_key, &[None, Some(c), None, None], DOC)?;
    expect_shape("semantic_disentangling: real", real, &[None, Some(c), None, None], DOC)?;
    if let Some(x) = [key, non_key, real].into_iter().find(|x| x.elem_count() == 0) {
        let expected = format!("{DOC}, none empty");
        return Err(Error::Shape { what: "semantic_disentangling", expected, got: x.dims().to_vec() });
    }
    let (mk, sk) = statistics(key)?;
    let (mn, sn) = statistics(non_key)?;
    let (mr, sr) = statistics(&real.detach())?;
    let mu = softplus(&(distance(&mk, &mr)? - distance(&mn, &mr)?)?)?;
    let sigma = softplus(&(distance(&sk, &sr)? - distance(&sn, &sr)?)?)?;
    Ok((mu + sigma)?)
}
