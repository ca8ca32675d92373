//! Number, mean and covariance of feature vectors: what Gaussian metrics such as FID need to know of a set.
use candle_core::{DType, Tensor};
use drgan_tensor::{Error, Result, expect_shape};

/// Number, mean and covariance of feature vectors, in f64.
///
/// Features that arrive in parts are summarized part by part and joined by [`Statistics::merge`]; the statistics of real
/// images can be kept in place of their features.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    n: usize,
    mean: Vec<f64>,
    covariance: Vec<f64>,
}

impl Statistics {
    /// Summarizes features. The covariance divides by `n - 1`, and is 0 for a single vector.
    ///
    /// # Shapes
    /// `features` `(N, d)`, any float type, N and d at least 1.
    ///
    /// # Errors
    /// Another shape; values that are not finite.
    pub fn from_features(features: &Tensor) -> Result<Self> {
        const WHAT: &str = "Statistics::from_features: features";
        const DOC: &str = "(N, d), N and d at least 1";
        expect_shape(WHAT, features, &[None, None], DOC)?;
        let (n, d) = features.dims2()?;
        if n == 0 || d == 0 {
            return Err(Error::Shape { what: WHAT, expected: DOC.into(), got: vec![n, d] });
        }
        let x = features.to_dtype(DType::F64)?;
        let mean = x.mean(0)?;
        let x = x.broadcast_sub(&mean)?;
        let scatter = x.t()?.contiguous()?.matmul(&x)?;
        let covariance = (scatter / (n.max(2) - 1) as f64)?.flatten_all()?.to_vec1::<f64>()?;
        let mean = mean.to_vec1::<f64>()?;
        if mean.iter().chain(&covariance).any(|v| !v.is_finite()) {
            return Err(Error::input(format!("{WHAT}: a value is not finite")));
        }
        Ok(Self { n, mean, covariance })
    }

    /// The statistics of both sets together, as if their features had been summarized at once.
    ///
    /// # Errors
    /// Features of another length.
    pub fn merge(&self, other: &Self) -> Result<Self> {
        let d = self.dim();
        if other.dim() != d {
            let expected = format!("{d} features, as many as those merged with");
            return Err(Error::Shape { what: "Statistics::merge", expected, got: vec![other.dim()] });
        }
        let n = self.n + other.n;
        let (n_a, n_b, all) = (self.n as f64, other.n as f64, n as f64);
        let delta: Vec<f64> = self.mean.iter().zip(&other.mean).map(|(a, b)| b - a).collect();
        let mean = self.mean.iter().zip(&delta).map(|(a, delta)| a + delta * n_b / all).collect();
        // Sums of squares within both sets, and between their means.
        let covariance = (0..d * d).map(|k| {
            let within = self.covariance[k] * (n_a - 1.) + other.covariance[k] * (n_b - 1.);
            (within + delta[k / d] * delta[k % d] * n_a * n_b / all) / (all - 1.)
        });
        Ok(Self { n, mean, covariance: covariance.collect() })
    }

    /// Number of feature vectors.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Length d of a feature vector.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// Mean of each of the d features.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Covariance matrix, `d * d` values row by row.
    pub fn covariance(&self) -> &[f64] {
        &self.covariance
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn features(n: usize) -> Tensor {
        let values: Vec<f64> = (0..n * 3).map(|i| (i as f64 * 1.7).sin() * (1. + i as f64 / 10.)).collect();
        Tensor::from_vec(values, (n, 3), &Device::Cpu).unwrap()
    }

    #[test]
    fn parts_of_any_size_give_the_statistics_of_the_whole() {
        let x = features(11);
        let whole = Statistics::from_features(&x).unwrap();
        let part = |start, len| Statistics::from_features(&x.narrow(0, start, len).unwrap()).unwrap();
        for cut in [1, 4, 10] {
            let merged = part(0, cut).merge(&part(cut, 11 - cut)).unwrap();
            assert_eq!((merged.n(), merged.dim()), (11, 3));
            let pairs = merged.mean().iter().zip(whole.mean());
            for (got, want) in pairs.chain(merged.covariance().iter().zip(whole.covariance())) {
                assert!((got - want).abs() < 1e-12, "cut at {cut}: {got}, want {want}");
            }
        }
        let one = part(0, 1);
        assert_eq!((one.n(), one.covariance()), (1, &[0.; 9][..]));
    }

    #[test]
    fn a_closed_form() {
        let x = Tensor::new(&[[1f32, 0.], [3., 4.]], &Device::Cpu).unwrap();
        let s = Statistics::from_features(&x).unwrap();
        assert_eq!((s.mean(), s.covariance()), (&[2., 2.][..], &[2., 4., 4., 8.][..]));
    }

    #[test]
    fn mistakes_are_named() {
        let none = Tensor::zeros((0, 3), DType::F32, &Device::Cpu).unwrap();
        assert!(Statistics::from_features(&none).unwrap_err().to_string().contains("(N, d)"));
        let nan = Tensor::new(&[[f64::NAN], [0.]], &Device::Cpu).unwrap();
        assert!(Statistics::from_features(&nan).unwrap_err().to_string().contains("finite"));
        let narrow = Statistics::from_features(&features(4).narrow(1, 0, 2).unwrap()).unwrap();
        let e = Statistics::from_features(&features(4)).unwrap().merge(&narrow).unwrap_err();
        assert!(e.to_string().contains("3 features"), "{e}");
    }
}
