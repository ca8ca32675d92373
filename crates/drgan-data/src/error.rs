use std::path::PathBuf;

/// What can go wrong between a file of pictures and a batch; each message names the file and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Nothing at the path.
    #[error("data set {}: not found; give a WebDataset tar or a folder of pictures", path.display())]
    Missing {
        /// The path as given.
        path: PathBuf,
    },
    /// The embedded set was asked for, and this build has none.
    #[error(
        "this build has no embedded data set: build with the feature `embedded`, or give a data set's path"
    )]
    NotEmbedded,
    /// Reading or writing failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system reports.
        #[source]
        source: std::io::Error,
    },
    /// The archive ends before its end marker.
    #[error("{path}: truncated after entry `{entry}`; copy or make the tar again")]
    Truncated {
        /// The archive.
        path: String,
        /// The last entry seen.
        entry: String,
    },
    /// The file is not a tar at all.
    #[error(
        "{path}: not a readable tar ({reason}); give a WebDataset tar (KEY.png with KEY.txt) or a folder"
    )]
    NotATar {
        /// The archive.
        path: String,
        /// What the tar reader reports.
        reason: String,
    },
    /// A caption is empty, absent or not UTF-8.
    #[error("{path}: captions of `{entry}`: {reason}; write one caption a line, in UTF-8")]
    Caption {
        /// The archive or folder.
        path: String,
        /// Entry, file or line.
        entry: String,
        /// What is wrong.
        reason: String,
    },
    /// A JSON description cannot be read.
    #[error("{path}: `{entry}`: {reason}")]
    Metadata {
        /// The archive or folder.
        path: String,
        /// Entry, file or line.
        entry: String,
        /// What is wrong and what was expected.
        reason: String,
    },
    /// A folder without captions.
    #[error(
        "{}: neither metadata.jsonl nor a .txt beside any picture; add metadata.jsonl with lines such as \
         {{\"file_name\": \"a.png\", \"text\": \"a red heart\"}}, or a.txt beside a.png", path.display()
    )]
    NoCaptions {
        /// The folder.
        path: PathBuf,
    },
    /// Fewer pictures than an adversarial game needs.
    #[error(
        "{path}: {found} picture(s) with captions in {part}; at least two are needed: `drgan data verify` says what is \
         there, and --set data.split=by-key divides a set by key"
    )]
    TooFew {
        /// The archive or folder.
        path: String,
        /// The split that was asked for.
        part: String,
        /// How many there are.
        found: usize,
    },
    /// The batch does not fit the data.
    #[error("{path}: batch {batch} is larger than the data set ({records} pictures); lower `batch`")]
    BatchTooLarge {
        /// The archive or folder.
        path: String,
        /// As configured.
        batch: usize,
        /// Pictures in the split.
        records: usize,
    },
    /// One picture does not decode. The loader skips it, see [`DataError::TooManyUndecodable`].
    #[error("{path}: picture `{entry}` does not decode ({reason}); replace or remove it")]
    Image {
        /// The archive or folder.
        path: String,
        /// Entry or file.
        entry: String,
        /// What the decoder reports.
        reason: String,
    },
    /// More than one picture in a hundred does not decode.
    #[error(
        "{path}: {} of {total} pictures do not decode, above 1 %: {}; replace or remove them",
        entries.len(), entries.join(", ")
    )]
    TooManyUndecodable {
        /// The archive or folder.
        path: String,
        /// Their names, sorted.
        entries: Vec<String>,
        /// Pictures in all.
        total: usize,
    },
    /// A loader setting out of range.
    #[error("config `loader.{field}`: {reason}")]
    Config {
        /// The field of [`crate::LoaderConfig`].
        field: &'static str,
        /// What is accepted.
        reason: String,
    },
    /// Input of the packer is not what it should be.
    #[error("{}: {reason}", path.display())]
    Pack {
        /// The package, folder or output.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A loader thread ended without a result.
    #[error(
        "loader thread {worker} ended unexpectedly; this is a defect, run with RUST_BACKTRACE=1 and report it"
    )]
    Worker {
        /// Which one.
        worker: usize,
    },
    /// Anything candle reports.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl DataError {
    pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| match source.kind() {
            std::io::ErrorKind::NotFound => Self::Missing { path },
            _ => Self::Io { path, source },
        }
    }
}
