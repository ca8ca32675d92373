//! Inception score: how sure a classifier is of each sample, and how evenly samples cover its classes.
use candle_core::{DType, Tensor};
use drgan_tensor::{Error, Result, expect_shape};
use serde::{Deserialize, Serialize};

/// Inception score, averaged over splits of the samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InceptionScore {
    /// Mean over the splits: from 1 (all samples alike) to the number of classes.
    pub mean: f64,
    /// Population standard deviation over the splits.
    pub std: f64,
}

/// Inception score: `exp(mean_i KL(p_i || mean_j p_j))` of class probabilities p, for each of `splits` contiguous parts, in
/// f64. Part k of N rows is `k N / splits .. (k + 1) N / splits`.
///
/// # Shapes
/// `logits` `(N, classes)`, before the softmax.
///
/// # Errors
/// Another rank, no classes, more splits than rows or none.
pub fn inception_score(logits: &Tensor, splits: usize) -> Result<InceptionScore> {
    const DOC: &str = "(N, classes), N at least splits, splits and classes at least 1";
    expect_shape("inception_score: logits", logits, &[None, None], DOC)?;
    let (n, classes) = logits.dims2()?;
    if splits == 0 || splits > n || classes == 0 {
        let what = "inception_score: logits";
        return Err(Error::Shape {
            what,
            expected: format!("{DOC}; splits = {splits}"),
            got: vec![n, classes],
        });
    }
    let rows = logits.to_dtype(DType::F64)?;
    let rows = rows.broadcast_sub(&rows.max_keepdim(1)?)?;
    let log_p = rows.broadcast_sub(&rows.exp()?.sum_keepdim(1)?.log()?)?;
    let scores = (0..splits)
        .map(|k| {
            let (start, end) = (k * n / splits, (k + 1) * n / splits);
            let log_p = log_p.narrow(0, start, end - start)?;
            let p = log_p.exp()?;
            // A class that no sample has any probability of adds nothing: 0 log 0 = 0.
            let marginal = (p.mean_keepdim(0)? + f64::MIN_POSITIVE)?.log()?;
            Ok((p * log_p.broadcast_sub(&marginal)?)?.sum(1)?.mean_all()?.to_scalar::<f64>()?.exp())
        })
        .collect::<Result<Vec<f64>>>()?;
    let mean = scores.iter().sum::<f64>() / splits as f64;
    let variance = scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / splits as f64;
    Ok(InceptionScore { mean, std: variance.sqrt() })
}
