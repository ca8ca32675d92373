/// What can go wrong in a model crate. Binaries wrap this in `anyhow`, libraries never do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor does not have the documented shape.
    #[error("{what}: expected shape {expected}, got {got:?}")]
    Shape {
        /// The offending argument, e.g. `"Generator::generate: z"`.
        what: &'static str,
        /// The documented symbolic shape, e.g. `"(B, z_dim = 100)"`.
        expected: String,
        /// What arrived.
        got: Vec<usize>,
    },
    /// A configuration value is out of range.
    #[error("config `{field}`: {reason}")]
    Config {
        /// Dotted path as written in the TOML file.
        field: &'static str,
        /// Why it was refused, and what would be accepted.
        reason: String,
    },
    /// Names in a weights file and in the model disagree.
    #[error("weights do not match the model: {} missing ({missing:?}), {} unexpected ({unexpected:?})", missing.len(), unexpected.len())]
    Weights {
        /// In the model, not in the file.
        missing: Vec<String>,
        /// In the file, not in the model.
        unexpected: Vec<String>,
    },
    /// A file that cannot be read, written or understood.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file or folder.
        path: std::path::PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// An input that cannot be used, in words for whoever gave it.
    #[error("{0}")]
    Input(String),
    /// A packed layer was asked for batch statistics.
    #[error("a network packed for inference was run in training; pack a copy, and train the original")]
    Packed,
    /// Anything candle reports.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl Error {
    /// An [`Error::File`] about `path`.
    pub fn file(path: &std::path::Path, reason: impl std::fmt::Display) -> Self {
        Self::File { path: path.to_owned(), reason: reason.to_string() }
    }
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Checks a shape given as sizes and names, `None` for any size: the guard of every public entry.
///
/// # Errors
/// [`Error::Shape`] that names `what`, the documented shape and what arrived.
pub fn expect_shape(
    what: &'static str,
    x: &candle_core::Tensor,
    want: &[Option<usize>],
    documented: &str,
) -> Result<()> {
    let dims = x.dims();
    let fits = dims.len() == want.len() && dims.iter().zip(want).all(|(d, w)| w.is_none_or(|w| w == *d));
    if fits {
        Ok(())
    } else {
        Err(Error::Shape { what, expected: documented.to_owned(), got: dims.to_vec() })
    }
}
