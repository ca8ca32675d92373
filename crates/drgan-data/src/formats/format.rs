//! What a data set's format is to the rest of the crate: how it is told from others, and what it finds.
use super::listing::Listing;
use super::passed_over::PassedOver;
use crate::error::DataError;
use crate::record::{BoundingBox, Location, Record};
use std::path::{Path, PathBuf};

/// A layout that data sets come in. One file beside this one, and one line in [`super::FORMATS`], add another.
pub(crate) trait Format: std::fmt::Debug + Sync {
    /// The layout in words, such as "a WebDataset tar".
    fn name(&self) -> &'static str;

    /// Whether the folder or regular file at `path` has this layout. The first format that says so reads it.
    ///
    /// # Errors
    /// A file or folder that cannot be read.
    fn detect(&self, path: &Path) -> Result<bool, DataError>;

    /// Whether names are those that an archive was written with, so that one name may be written in several ways: `a`, `./a`.
    fn has_written_names(&self) -> bool {
        false
    }

    /// Reads lists and captions, no image. Entries are sorted, whatever order the system lists files in;
    /// their keys are unique.
    ///
    /// # Errors
    /// Captions or lists that cannot be read; each names its file or entry.
    fn index(&self, path: &Path) -> Result<Index, DataError>;

    /// The bytes of an image, encoded as webp, png or jpeg.
    ///
    /// # Errors
    /// A file that cannot be read.
    fn read(&self, location: &Location) -> Result<Vec<u8>, DataError> {
        location.read()
    }
}

/// What a format finds at a path: records with their images.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) entries: Vec<Entry>,
    pub(crate) words: Words,
    /// What a published set's lists name, whether the files are there or not.
    pub(crate) listing: Option<Listing>,
    /// What the reader left out.
    pub(crate) passed: PassedOver,
}

impl From<Vec<Entry>> for Index {
    fn from(entries: Vec<Entry>) -> Self {
        Self { entries, ..Self::default() }
    }
}

/// A record with its image.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) record: Record,
    /// The image's name, for messages.
    pub(crate) name: String,
    pub(crate) location: Location,
    /// What of the image matters; none: all of it.
    pub(crate) bbox: Option<BoundingBox>,
}

impl Entry {
    pub(crate) fn new(record: Record, name: impl Into<String>, location: Location) -> Self {
        Self { record, name: name.into(), location, bbox: None }
    }
}

/// What the vocabulary of a set is made of.
#[derive(Clone, Debug, Default)]
pub(crate) enum Words {
    /// The captions of its records.
    #[default]
    OfRecords,
    /// The captions of its records, and these of records that are listed but left out.
    AndOf(Vec<String>),
    /// A file that lists the words: AttnGAN's `captions.pickle`.
    File(PathBuf),
}
