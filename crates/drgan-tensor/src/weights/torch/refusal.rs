//! [`Refusal`]: why a checkpoint is not read.
use crate::{Error, error::Cause};
use std::path::Path;

/// Why a checkpoint is not read, and the error that says so where another library found it.
#[derive(Debug)]
pub(super) struct Refusal {
    reason: String,
    source: Option<Cause>,
}

impl Refusal {
    /// What could not be done, because of `source`.
    pub(super) fn because(what: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self { reason: what.into(), source: Some(source.into()) }
    }

    /// The same about `part` of the file.
    pub(super) fn of(self, part: &str) -> Self {
        let reason =
            if self.reason.is_empty() { part.to_owned() } else { format!("{part}: {}", self.reason) };
        Self { reason, ..self }
    }

    /// The error about the file at `path`.
    pub(super) fn at(self, path: &Path) -> Error {
        let refusal = self.of("not readable as a PyTorch checkpoint");
        match refusal.source {
            Some(source) => Error::file_because(path, refusal.reason, source),
            None => Error::file(path, refusal.reason),
        }
    }
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self { reason, source: None }
    }
}

impl From<&str> for Refusal {
    fn from(reason: &str) -> Self {
        reason.to_owned().into()
    }
}
