//! What can go wrong in a run, in words for its user.
use crate::data::DataError;
use std::path::{Path, PathBuf};

/// Errors of the training crate; every message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// File system.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration, with the key.
    #[error("{0}")]
    Config(String),
    /// A run folder or checkpoint.
    #[error("{0}")]
    Run(String),
    /// A loss stopped being a number.
    #[error(
        "{loss} is {value} at step {step}; training stopped. The last good checkpoint is {}: resume from it with a \
         smaller learning rate (--set generator_opt.lr=..., discriminator_opt.lr=...)",
        checkpoint.as_ref().map_or_else(|| "none yet".to_owned(), |p| p.display().to_string())
    )]
    Diverged {
        /// Which.
        loss: String,
        /// NaN or infinity.
        value: f32,
        /// When.
        step: u64,
        /// Where to resume from.
        checkpoint: Option<PathBuf>,
    },
    /// Pictures and captions.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A model error.
    #[error(transparent)]
    Model(#[from] drgan_tensor::Error),
}

impl TrainError {
    /// An I/O error with the file's name.
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }
}

impl From<candle_core::Error> for TrainError {
    fn from(e: candle_core::Error) -> Self {
        Self::Model(e.into())
    }
}
