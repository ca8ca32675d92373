//! Diversity of samples: mean distances between the features of different captions' images, and of one caption's.
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
    mean_distance("diversity: features", features, groups, false)?.ok_or_else(|| Error::Shape {
        what: "diversity: features",
        expected: "(N, d) with at least two groups".to_owned(),
        got: features.dims().to_vec(),
    })
}

/// Mean L2 distance between the features of samples of the same group, over all such pairs: of one caption's images under several
/// noise seeds, or of real images of one kind. None where no group has two samples.
///
/// # Shapes
/// As [`diversity`].
///
/// # Errors
/// Another number of groups.
pub fn diversity_within(features: &Tensor, groups: &[usize]) -> Result<Option<f64>> {
    mean_distance("diversity_within: features", features, groups, true)
}

/// Mean distance over the pairs that are of the same group, or of different ones; none where there is no such pair.
fn mean_distance(what: &'static str, features: &Tensor, groups: &[usize], same: bool) -> Result<Option<f64>> {
    expect_shape(what, features, &[Some(groups.len()), None], "(N, d), N as many as groups")?;
    let rows = features.to_dtype(DType::F64)?.to_vec2::<f64>()?;
    let (mut sum, mut pairs) = (0., 0u64);
    for i in 0..rows.len() {
        for j in (i + 1..rows.len()).filter(|&j| (groups[i] == groups[j]) == same) {
            sum += rows[i].iter().zip(&rows[j]).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
            pairs += 1;
        }
    }
    Ok((pairs > 0).then(|| sum / pairs as f64))
}
