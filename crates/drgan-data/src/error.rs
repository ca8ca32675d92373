//! What can go wrong between a file of images and a batch.
use crate::compression::Compression;
use drgan_tensor::internal::{agreeing, counted, escaped, shown};
use std::path::{Path, PathBuf};

/// The error that another library reports.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;

/// What can go wrong between a file of images and a batch; each message names the file and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Nothing at the path.
    #[error("data set {}: not found; give a WebDataset tar or a folder of images", shown(path))]
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
    #[error("{}: {source}", shown(path))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system reports.
        source: std::io::Error,
    },
    /// An archive of a kind that is not read.
    #[error(
        "{}: compressed by {compression}; unpack it and give the folder, or give a tar, plain or by gzip",
        shown(path)
    )]
    Compressed {
        /// The archive.
        path: PathBuf,
        /// How it is compressed, by its first bytes.
        compression: Compression,
    },
    /// One picture in place of a data set.
    #[error(
        "{}: a picture, not a data set; give the folder that it is in, with a .txt of captions beside each picture",
        shown(path)
    )]
    Picture {
        /// The picture.
        path: PathBuf,
    },
    /// The archive ends before its end marker.
    #[error("{}: truncated after entry `{}`; copy or make the tar again", escaped(path), escaped(entry))]
    Truncated {
        /// The archive.
        path: String,
        /// The last entry seen.
        entry: String,
    },
    /// The file is not a tar at all.
    #[error(
        "{}: not a readable tar ({source}); give a WebDataset tar (KEY.png with KEY.txt) or a folder",
        escaped(path)
    )]
    NotATar {
        /// The archive.
        path: String,
        /// What the tar reader reports.
        source: std::io::Error,
    },
    /// A caption is empty, absent or not UTF-8.
    #[error(
        "{}: captions of `{}`: {reason}; write one caption per line, in UTF-8",
        escaped(path),
        escaped(entry)
    )]
    Caption {
        /// The archive or folder.
        path: String,
        /// Entry, file or line.
        entry: String,
        /// What is wrong.
        reason: String,
    },
    /// A JSON description or a list of a data set cannot be read.
    #[error("{}: `{}`: {}", escaped(path), escaped(entry), escaped(reason))]
    Metadata {
        /// The archive or folder.
        path: String,
        /// Entry, file or line.
        entry: String,
        /// What is wrong and what was expected.
        reason: String,
        /// What the reader of JSON or pickles reports, where it is one that refuses.
        #[source]
        source: Option<Source>,
    },
    /// A folder without captions.
    #[error(
        "{}: neither metadata.jsonl nor a .txt beside any image; add metadata.jsonl with lines such as \
         {{\"file_name\": \"a.png\", \"text\": \"a red heart\"}}, or a.txt beside a.png",
        shown(path)
    )]
    NoCaptions {
        /// The folder.
        path: PathBuf,
    },
    /// Fewer images than an adversarial game needs.
    #[error(
        "{}: {} with captions in {part}; at least two are needed: add some{}", escaped(path), counted(*found, "image[|s]"),
        if *divides_itself { ", or let each key decide its part (the setting `data.split`: `by-key`)" } else { "" }
    )]
    TooFew {
        /// The archive or folder.
        path: String,
        /// The split that was asked for, in words.
        part: String,
        /// Number of images with captions.
        found: usize,
        /// Whether the parts are the set's own, so that another division may give more.
        divides_itself: bool,
    },
    /// The batch does not fit the data.
    #[error(
        "{}: batch {batch} is larger than the data set ({}); lower the setting `loader.batch`",
        escaped(path), counted(*records, "image[|s]")
    )]
    BatchTooLarge {
        /// The archive or folder.
        path: String,
        /// The batch that the configuration asks for.
        batch: usize,
        /// Images in the split.
        records: usize,
    },
    /// One image does not decode. The loader skips it, see [`DataError::TooManyUndecodable`].
    #[error("{}: image `{}` does not decode ({source}); replace or remove it", escaped(path), escaped(entry))]
    Image {
        /// The archive or folder.
        path: String,
        /// Entry or file.
        entry: String,
        /// What the decoder reports.
        source: Source,
    },
    /// More than one image in a hundred does not decode.
    #[error(
        "{}: {} of {total} images {} not decode, above 1 %: {}; replace or remove {}",
        escaped(path), entries.len(), agreeing(entries.len(), "[does|do]"), escaped(&entries.join(", ")), agreeing(entries.len(), "[it|them]")
    )]
    TooManyUndecodable {
        /// The archive or folder.
        path: String,
        /// Their names, sorted.
        entries: Vec<String>,
        /// Images in all.
        total: usize,
    },
    /// A loader setting out of range.
    #[error("config `loader.{field}`: {reason}")]
    Config {
        /// The field of [`crate::LoaderConfig`] or [`crate::BatchSpec`].
        field: &'static str,
        /// What the setting accepts.
        reason: String,
    },
    /// Input of the packer is not what it should be.
    #[error("{}: {}", shown(path), escaped(reason))]
    Pack {
        /// The package, folder or output.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
        /// What the decoder or the reader of JSON reports, where it is one that refuses.
        #[source]
        source: Option<Source>,
    },
    /// A loader thread ended without a result.
    #[error(
        "loader thread {worker} ended unexpectedly; this is a defect, run with RUST_BACKTRACE=1 and report it"
    )]
    Worker {
        /// Number of the thread among the loader's.
        worker: usize,
    },
    /// A file that cannot be written.
    #[error(transparent)]
    File(#[from] drgan_tensor::Error),
    /// Anything candle reports.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl DataError {
    /// [`DataError::Io`] of a file or folder.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// [`DataError::Metadata`] that no other library reported.
    pub(crate) fn metadata(path: impl ToString, entry: impl ToString, reason: impl ToString) -> Self {
        let (path, entry, reason) = (path.to_string(), entry.to_string(), reason.to_string());
        Self::Metadata { path, entry, reason, source: None }
    }

    /// [`DataError::Caption`].
    pub(crate) fn caption(path: impl ToString, entry: impl ToString, reason: impl ToString) -> Self {
        Self::Caption { path: path.to_string(), entry: entry.to_string(), reason: reason.to_string() }
    }

    /// The same with the error that it was found by.
    pub(crate) fn because(mut self, error: impl Into<Source>) -> Self {
        if let Self::Metadata { source, .. } | Self::Pack { source, .. } = &mut self {
            *source = Some(error.into());
        }
        self
    }
}
