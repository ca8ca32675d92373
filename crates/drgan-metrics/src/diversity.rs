//! Diversity of samples: mean distance between the features of different captions' images.
use candle_core::{DType, Tensor};
use drgan_tensor::{Error, Result, expect_shape};

/// Mean L2 distance between the features of samples of different groups (captions), over all such pairs. Divided by the
/// same number for real images it shows collapse (below 1); the caller takes that ratio.
///
/// # Shapes
/// `features` `(N, d)`; `groups` holds the group of each of the N samples.
///
/// # Errors
/// Another number of groups, or no two samples of different groups.
pub fn diversity(features: &Tensor, groups: &[usize]) -> Result<f64> {
    const WHAT: &str = "diversity: features";
    expect_shape(WHAT, features, &[Some(groups.len()), None], "(N, d), N as many as groups")?;
    let rows = features.to_dtype(DType::F64)?.to_vec2::<f64>()?;
    let (mut sum, mut pairs) = (0., 0u64);
    for i in 0..rows.len() {
        for j in (i + 1..rows.len()).filter(|&j| groups[i] != groups[j]) {
            sum += rows[i].iter().zip(&rows[j]).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
            pairs += 1;
        }
    }
    if pairs == 0 {
        let expected = "(N, d) with at least two groups".to_owned();
        return Err(Error::Shape { what: WHAT, expected, got: features.dims().to_vec() });
    }
    Ok(sum / pairs as f64)
}
