//! What can go wrong in a run, in words for its user.
use drgan_data::DataError;
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
    #[error("{loss} is {value} at {phase} step {step}; training stopped. {}", way_back(phase, checkpoint.as_deref()))]
    Diverged {
        /// Which.
        loss: String,
        /// NaN or infinity.
        value: f32,
        /// `"damsm"` or `"gan"`.
        phase: &'static str,
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

/// What a user does about a divergence.
fn way_back(phase: &str, checkpoint: Option<&Path>) -> String {
    let calmer = match phase {
        "damsm" => "a smaller learning rate (--set damsm.opt.lr=...)",
        _ => "smaller learning rates (--set generator_opt.lr=..., --set discriminator_opt.lr=...)",
    };
    match checkpoint {
        Some(path) => format!("The last good checkpoint is {}: resume the run with {calmer}", path.display()),
        None => format!("There is no checkpoint yet: start again with {calmer}"),
    }
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
