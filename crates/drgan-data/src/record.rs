//! What a data set is an index of: records, the part of the set they belong to, and where their images are.
use crate::error::DataError;
use crate::formats::files::{self, PICTURE_BYTES};
use drgan_tensor::internal::fnv1a;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The tag of records whose label names a color, such as `red heart`: `names_colour` of a description sets it, and nothing else.
pub const COLOR_TAG: &str = "color";

/// The captions of an image and what else is known of it without decoding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Unique in the set: the WebDataset key, or the file name without extension.
    pub key: String,
    /// The image's captions, at least one.
    pub captions: Vec<String>,
    /// The class, where the set has classes.
    pub class_id: Option<u32>,
    /// Words that records can be chosen by, see [`crate::Repeat`]: the `tags` of a description without
    /// [`COLOR_TAG`], and that where `names_colour` is true.
    pub tags: Vec<String>,
    /// The label, where a description gives one.
    pub label: Option<String>,
    /// The kind of thing that the image shows, such as `food-drink`, where a description gives one. Nothing that a run learns depends
    /// on it.
    pub group: Option<String>,
    /// The part that the set itself puts the record in; none: the key decides.
    pub part: Option<Split>,
}

impl Record {
    /// Whether the record carries this tag.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| own == tag)
    }
}

/// A part of a data set: as the set itself divides, or by each record's key only, so that adding images moves none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// Nine tenths: `fnv1a(key) mod 10 != 0`.
    #[default]
    Train,
    /// The remaining tenth, never trained on.
    HeldOut,
    /// All records of the set.
    All,
}

impl Split {
    /// The part's name in messages, such as "the training part".
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "the training part",
            Self::HeldOut => "the held-out part",
            Self::All => "the set",
        }
    }

    /// Whether the record belongs to this part.
    pub fn holds(self, record: &Record) -> bool {
        let held_out = match record.part {
            Some(part) => part == Self::HeldOut,
            None => fnv1a(record.key.as_bytes()).is_multiple_of(10),
        };
        match self {
            Self::Train => !held_out,
            Self::HeldOut => held_out,
            Self::All => true,
        }
    }
}

/// The part of an image that matters, in pixels from the top left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BoundingBox {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// Where the bytes of an image are.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    /// A whole file.
    File(PathBuf),
    /// `size` bytes from `offset` of an archive.
    Range { archive: Archive, offset: u64, size: u64 },
}

/// A file, or bytes in memory, that holds many images.
#[derive(Clone)]
pub(crate) enum Archive {
    File(Arc<Path>),
    Memory(Arc<Cow<'static, [u8]>>),
    /// A temporary file that holds what was compressed.
    Unpacked(Arc<Mutex<std::fs::File>>),
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Unpacked(_) => write!(f, "Unpacked"),
            Self::Memory(bytes) => write!(f, "Memory({} bytes)", bytes.len()),
        }
    }
}

impl Location {
    /// The bytes, as they are stored.
    ///
    /// # Errors
    /// [`DataError::Io`], by the file's name: no regular file, one that is too large, or what the system reports.
    pub(crate) fn read(&self) -> Result<Vec<u8>, DataError> {
        self.tail(u64::MAX)
    }

    /// How many bytes there are.
    ///
    /// # Errors
    /// [`DataError::Io`], by the file's name.
    pub(crate) fn size(&self) -> Result<u64, DataError> {
        match self {
            Self::File(path) => Ok(std::fs::metadata(path).map_err(DataError::io(path))?.len()),
            Self::Range { size, .. } => Ok(*size),
        }
    }

    /// The last `n` bytes, or all.
    ///
    /// # Errors
    /// As [`Location::read`].
    pub(crate) fn tail(&self, n: u64) -> Result<Vec<u8>, DataError> {
        let (offset, size) = match self {
            Self::File(_) => (0, self.size()?),
            Self::Range { offset, size, .. } => (*offset, *size),
        };
        let range = (offset + size.saturating_sub(n), size.min(n));
        match self {
            Self::File(path) => of_file(path, range),
            Self::Range { archive: Archive::File(path), .. } => of_file(path, range),
            Self::Range { archive: Archive::Unpacked(file), .. } => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                part(&mut *file, range).map_err(DataError::io(&std::env::temp_dir()))
            }
            Self::Range { archive: Archive::Memory(bytes), .. } => {
                part(Cursor::new(&***bytes), range).map_err(DataError::io(Path::new("memory")))
            }
        }
    }
}

fn of_file(path: &Path, range: (u64, u64)) -> Result<Vec<u8>, DataError> {
    files::open(path).and_then(|file| part(file, range)).map_err(DataError::io(path))
}

/// `size` bytes from `offset`.
fn part<R: Read + Seek>(mut reader: R, (offset, size): (u64, u64)) -> std::io::Result<Vec<u8>> {
    if size > PICTURE_BYTES {
        return Err(files::too_large(PICTURE_BYTES));
    }
    reader.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    reader.take(size).read_to_end(&mut bytes)?;
    match bytes.len() as u64 == size {
        true => Ok(bytes),
        false => Err(std::io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_sets::set;

    #[test]
    fn the_split_holds_out_a_tenth_by_key() {
        let data = set(200);
        let (train, held) = (data.split(Split::Train), data.split(Split::HeldOut));
        assert!((8..35).contains(&held.len()), "{}", held.len());
        let mut both = [train, held.clone()].concat();
        both.sort_unstable();
        assert_eq!(both, data.split(Split::All));
        let fewer = set(100);
        let kept: Vec<usize> = held.into_iter().filter(|i| *i < 100).collect();
        assert_eq!(fewer.split(Split::HeldOut), kept, "adding images moves none");
    }
}
