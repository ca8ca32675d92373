//! What computes convolutions on a CUDA device.
use std::fmt;

/// What computes convolutions on a CUDA device. Each gives the same bits each time, and other bits than the other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Convolutions {
    /// cuDNN of this version, such as `9.13.0`.
    Cudnn(String),
    /// A matrix of columns (im2col) and products by cuBLAS.
    Columns {
        /// Why cuDNN, which is faster, is not used, and what to install; none where nobody wants it.
        lacks: Option<String>,
    },
}

impl fmt::Display for Convolutions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cudnn(version) => write!(f, "cuDNN {version}"),
            Self::Columns { .. } => f.write_str("columns and cuBLAS"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_of_convolution_are_named() {
        assert_eq!(Convolutions::Cudnn("9.13.0".into()).to_string(), "cuDNN 9.13.0");
        assert_eq!(Convolutions::Columns { lacks: None }.to_string(), "columns and cuBLAS");
    }
}
