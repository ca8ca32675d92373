//! The one error type of the model crates, and the check of shapes that every public function begins with.
use crate::text::{escaped, shown};
use std::path::{Path, PathBuf};

/// What caused an error: of any type, so that this crate's errors do not name those of its dependencies.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What can go wrong in a model crate.
///
/// A message is complete by itself: it quotes its cause, which [`std::error::Error::source`] gives as a value too.
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
        /// The shape that was given.
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
    /// Names in a weight file and in the model disagree.
    #[error("weights do not match the model: {} missing ({missing:?}), {} unexpected ({unexpected:?})", missing.len(), unexpected.len())]
    Weights {
        /// Tensors of the model that the file lacks.
        missing: Vec<String>,
        /// Tensors of the file that the model lacks.
        unexpected: Vec<String>,
    },
    /// A file that cannot be read, written or understood.
    #[error("{}: {}", shown(path), escaped(reason))]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
        /// What the operating system or a parser reported, if the fault was found there.
        source: Option<Cause>,
    },
    /// An input that cannot be used, in words for whoever gave it.
    #[error("{}", escaped(reason))]
    Input {
        /// What is wrong with it, and what to do.
        reason: String,
        /// What a parser reported, if the fault was found there.
        source: Option<Cause>,
    },
    /// A packed layer was asked for batch statistics.
    #[error("a network packed for inference was run in training; pack a copy, and train the original")]
    Packed,
    /// Anything candle reports.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl Error {
    /// An [`Error::File`] about `path`: `reason` says what is wrong and what to do.
    pub fn file(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::File { path: path.to_owned(), reason: reason.to_string(), source: None }
    }

    /// An [`Error::File`] about `path` that `source` caused; `what` says what could not be done with the file.
    ///
    /// ```
    /// use std::error::Error as _;
    /// let missing = std::io::Error::other("the disk is on fire");
    /// let e = drgan_tensor::Error::file_because("w.pth".as_ref(), "cannot be read", missing);
    /// assert_eq!(e.to_string(), "w.pth: cannot be read: the disk is on fire");
    /// assert!(e.source().is_some());
    /// ```
    pub fn file_because(path: &Path, what: impl std::fmt::Display, source: impl Into<Cause>) -> Self {
        let source = source.into();
        Self::File { path: path.to_owned(), reason: format!("{what}: {source}"), source: Some(source) }
    }

    /// An [`Error::Input`]: `reason` says what is wrong and what to do.
    pub fn input(reason: impl std::fmt::Display) -> Self {
        Self::Input { reason: reason.to_string(), source: None }
    }

    /// An [`Error::Input`] that `source` caused; `what` says what could not be done.
    pub fn input_because(what: impl std::fmt::Display, source: impl Into<Cause>) -> Self {
        let source = source.into();
        Self::Input { reason: format!("{what}: {source}"), source: Some(source) }
    }
}

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Checks the shape of `x` against `want`, where `None` stands for any size; `documented` is the shape in words.
///
/// # Errors
/// [`Error::Shape`] that names `what`, the documented shape and the one that was given.
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
