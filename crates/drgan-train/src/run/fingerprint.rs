//! What data and vocabulary a run was begun with, so that it continues with the same, wherever they lie now.
use super::dir::RunDir;
use crate::error::{Result, TrainError};
use drgan_data::{Dataset, DatasetHashes};
use drgan_tensor::internal::fnv1a;
use drgan_tensor::{Error, file};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The hashes that `fingerprint.json` holds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    /// Of the bytes of `tokenizer.json`.
    vocabulary: String,
    data: DatasetHashes,
}

impl Fingerprint {
    /// Writes the fingerprint of a run that begins; its vocabulary is there already.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub(crate) fn write(run: &RunDir, data: &Dataset) -> Result<()> {
        let vocabulary = vocabulary(&file::read(&run.tokenizer())?);
        let json = serde_json::to_string_pretty(&Self { vocabulary, data: data.hashes() });
        let json = json.map_err(|e| Error::file_because(&run.fingerprint(), "cannot be written", e))?;
        Ok(file::write_atomic(&run.fingerprint(), json.as_bytes())?)
    }

    /// The fingerprint of a run; none for one of an earlier version.
    fn of(run: &RunDir) -> Result<Option<Self>> {
        let path = run.fingerprint();
        if !path.exists() {
            return Ok(None);
        }
        let found = serde_json::from_slice(&file::read(&path)?);
        found.map(Some).map_err(|e| {
            let what =
                "is not the fingerprint of a run; restore it, or remove it to continue without this check";
            Error::file_because(&path, what, e).into()
        })
    }

    /// Checks the bytes of a run's `tokenizer.json`.
    ///
    /// # Errors
    /// [`TrainError::Changed`].
    pub(crate) fn check_vocabulary(run: &RunDir, json: &[u8]) -> Result<()> {
        match Self::of(run)? {
            Some(begun) if begun.vocabulary != vocabulary(json) => {
                Err(changed(&run.tokenizer(), "the vocabulary", run))
            }
            _ => Ok(()),
        }
    }

    /// Checks that data are those that a run was begun with.
    ///
    /// # Errors
    /// [`TrainError::Changed`] with what differs first.
    pub(crate) fn check_data(run: &RunDir, data: &Dataset) -> Result<()> {
        let Some(begun) = Self::of(run)? else { return Ok(()) };
        match begun.data.difference(&data.hashes()) {
            Some(what) => Err(changed(Path::new(data.path()), &what, run)),
            None => Ok(()),
        }
    }
}

fn changed(path: &Path, what: &str, run: &RunDir) -> TrainError {
    TrainError::Changed { path: path.to_owned(), what: what.to_owned(), run: run.path().to_owned() }
}

fn vocabulary(json: &[u8]) -> String {
    format!("{:016x}", fnv1a(json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_that_stands_twice_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir(dir.path().to_owned());
        let json = r#"{"vocabulary":"00","vocabulary":"01","data":{"records":1,"keys":"","captions":"","pictures":""}}"#;
        for (json, said) in [
            (json.to_owned(), "duplicate field `vocabulary`"),
            (
                json.replacen(r#""vocabulary":"00","#, "", 1).replace(r#""keys""#, r#""records""#),
                "duplicate field",
            ),
        ] {
            std::fs::write(run.fingerprint(), json).unwrap();
            let e = Fingerprint::of(&run).unwrap_err().to_string();
            assert!(e.contains("fingerprint.json: ") && e.contains(said), "{e}");
        }
    }
}
