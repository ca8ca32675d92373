use crate::formats::{folder, published, webdataset};
use crate::{DataError, Image};
use candle_core::{Device, Tensor};
use drgan_tensor::internal::fnv1a;
use drgan_text::Vocabulary;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// The embedded set, made by `cargo xtask data emoji`; see assets/README.md.
#[cfg(feature = "embedded")]
static EMBEDDED: Option<&[u8]> = Some(include_bytes!("../assets/fluent-emoji.tar"));
#[cfg(not(feature = "embedded"))]
static EMBEDDED: Option<&[u8]> = None;

/// Where a picture's bytes are.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Tar { offset: u64, size: u64 },
    File(PathBuf),
}

/// A record as a reader finds it.
pub(crate) struct Found {
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) captions: Vec<String>,
    pub(crate) description: folder::Description,
    /// The part the set itself puts it in.
    pub(crate) part: Option<Split>,
    /// The box that matters, x, y, width, height in pixels.
    pub(crate) bird: Option<[f64; 4]>,
}

/// A picture's captions and what else is known of it without decoding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Unique in the set: the WebDataset key, or the file name without extension.
    pub key: String,
    /// At least one.
    pub captions: Vec<String>,
    /// The class, where the set has classes.
    pub class_id: Option<u32>,
    /// Whether the label names a colour; such records may be drawn more often.
    pub names_colour: bool,
    /// The label, where a description gives one.
    pub label: Option<String>,
    /// The part that the set itself puts it in; none: the key decides.
    pub part: Option<Split>,
}

/// A part of a data set: as the set itself divides, or by each record's key only, so that adding pictures moves none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// Nine tenths: `fnv1a(key) mod 10 != 0`.
    #[default]
    Train,
    /// The remaining tenth.
    HeldOut,
    /// Everything.
    All,
}

impl Split {
    /// In words.
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

/// Where a record's picture comes from.
#[derive(Clone, Debug)]
struct Origin {
    /// For messages.
    name: String,
    place: Place,
    bird: Option<[f64; 4]>,
}

#[derive(Clone, Debug)]
enum Source {
    Embedded,
    Tar(PathBuf),
    Folder,
}

/// An index of pictures with captions, sorted by key. Images are read and decoded when asked for.
#[derive(Clone, Debug)]
pub struct Dataset {
    path: String,
    source: Source,
    records: Vec<Record>,
    /// A record each.
    places: Vec<Origin>,
    vocabulary: Option<Vocabulary>,
    notes: Vec<String>,
}

/// Images of [`Dataset::load_all`], those that decode.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Index of each picture's record, ascending in the order asked for.
    pub indices: Vec<usize>,
    /// As many, all of one side.
    pub images: Vec<Image>,
    /// Names of those that did not decode.
    pub skipped: Vec<String>,
}

impl Loaded {
    /// Images `range` as `(n, 3, side, side)` in `[-1, 1]`.
    ///
    /// # Errors
    /// A range out of bounds, and whatever candle reports.
    pub fn tensor(&self, range: std::ops::Range<usize>, device: &Device) -> Result<Tensor, DataError> {
        let all = self.images.get(range.clone()).ok_or_else(|| {
            candle_core::Error::Msg(format!(
                "Loaded::tensor: range {range:?} of {} pictures",
                self.images.len()
            ))
        })?;
        let tensors = all.iter().map(|p| p.to_tensor(device)).collect::<Result<Vec<_>, _>>()?;
        Ok(Tensor::stack(&tensors, 0)?)
    }
}

impl Dataset {
    /// Opens a WebDataset tar (`KEY.webp|png|jpg|jpeg`, `KEY.txt`, optionally `KEY.json`) or a folder of pictures with
    /// `metadata.jsonl` or a `.txt` beside each, or a folder of CUB or COCO (docs/data.md). Reads the index and the
    /// captions, no picture.
    ///
    /// # Errors
    /// Nothing there, a truncated tar, captions that are absent, empty or not UTF-8, fewer than two pictures; each
    /// names the file or entry.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let shown = path.display().to_string();
        let meta = std::fs::metadata(path).map_err(DataError::io(path))?;
        if meta.is_dir() {
            return match published::index(path)? {
                Some(set) => Self::from_published(path, set),
                None => Self::from_found(shown, Source::Folder, folder::index(path)?),
            };
        }
        if !meta.is_file() {
            return Err(DataError::NotATar { path: shown, reason: "a pipe or device".to_owned() });
        }
        let file = std::fs::File::open(path).map_err(DataError::io(path))?;
        let found = webdataset::index(std::io::BufReader::new(file), meta.len(), &shown)?;
        Self::from_found(shown, Source::Tar(path.to_owned()), found)
    }

    /// The data set inside the program: Fluent emoji, see docs/data.md.
    ///
    /// # Errors
    /// [`DataError::NotEmbedded`] without the feature `embedded`.
    pub fn embedded() -> Result<Self, DataError> {
        let bytes = EMBEDDED.ok_or(DataError::NotEmbedded)?;
        let shown = "embedded data set".to_owned();
        let found = webdataset::index(Cursor::new(bytes), bytes.len() as u64, &shown)?;
        Self::from_found(shown, Source::Embedded, found)
    }

    fn from_found(path: String, source: Source, found: Vec<Found>) -> Result<Self, DataError> {
        if found.len() < 2 {
            return Err(DataError::TooFew { path, part: "the set".to_owned(), found: found.len() });
        }
        let (records, places, notes) = (Vec::new(), Vec::new(), Vec::new());
        let mut data = Self { path, source, records, places, vocabulary: None, notes };
        for Found { key, name, place, captions, description, part, bird } in found {
            let folder::Description { class_id, label, names_colour } = description;
            data.records.push(Record { key, captions, class_id, names_colour, label, part });
            data.places.push(Origin { name, place, bird });
        }
        Ok(data)
    }

    /// Images that a published set lists and the folder lacks are left out, and counted in the notes.
    fn from_published(path: &Path, set: published::Published) -> Result<Self, DataError> {
        let mut notes = vec![format!("{}: {} records, {} captions", set.layout, set.listed, set.captions)];
        for (what, keys) in [("picture", &set.without_picture), ("caption", &set.without_captions)] {
            if let Some(first) = keys.first() {
                notes.push(format!("{} records have no {what}, first {first}: left out", keys.len()));
            }
        }
        notes.extend(set.remarks);
        if set.wordless > 0 {
            notes.push(format!("{} captions have no word: left out", set.wordless));
        }
        if set.found.len() < 2 {
            let part = format!("what is there of {}; {}", set.layout, notes[1..].join("; "));
            return Err(DataError::TooFew { path: path.display().to_string(), part, found: set.found.len() });
        }
        let data = Self::from_found(path.display().to_string(), Source::Folder, set.found)?;
        Ok(Self { vocabulary: Some(set.vocabulary), notes, ..data })
    }

    /// The words that the set brings with it, in their order: of AttnGAN's `captions.pickle`, or of all its captions.
    pub fn vocabulary(&self) -> Option<&Vocabulary> {
        self.vocabulary.as_ref()
    }

    /// What a user should know of the set before training on it.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The path as opened, for messages.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// All records, sorted by key.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Forgets how the set divides itself: the key decides for every record.
    pub fn split_by_key(&mut self) {
        for record in &mut self.records {
            record.part = None;
        }
    }

    /// Forgets every record after the first `n`.
    pub fn truncate(&mut self, n: usize) {
        self.records.truncate(n);
        self.places.truncate(n);
    }

    /// Indices of the records of a part, ascending.
    pub fn split(&self, split: Split) -> Vec<usize> {
        (0..self.records.len()).filter(|i| split.holds(&self.records[*i])).collect()
    }

    /// The first record with this caption, else with this label, letter case aside.
    pub fn find_caption(&self, caption: &str) -> Option<usize> {
        let wanted = caption.trim().to_lowercase();
        let is = |text: &String| text.to_lowercase() == wanted;
        let by_label = || self.records.iter().position(|r| r.label.as_ref().is_some_and(is));
        self.records.iter().position(|r| r.captions.iter().any(is)).or_else(by_label)
    }

    /// The name of a record's picture, for messages.
    pub(crate) fn name(&self, index: usize) -> &str {
        &self.places[index].name
    }

    /// One picture, without augmentation: on white, central square, resized to `side`.
    ///
    /// # Errors
    /// No such record, `side` 0, a file that cannot be read, a picture that does not decode.
    pub fn load_image(&self, index: usize, side: usize) -> Result<Image, DataError> {
        let bad = |entry: &str, reason: String| DataError::Image {
            path: self.path.clone(),
            entry: entry.to_owned(),
            reason,
        };
        let Some(Origin { name, place, bird }) = self.places.get(index) else {
            return Err(bad(
                &format!("record {index}"),
                format!("the set has {} records", self.places.len()),
            ));
        };
        if side == 0 {
            return Err(bad(name, "a side of 0 pixels was asked for".to_owned()));
        }
        let bytes = match (&self.source, place) {
            (_, Place::File(path)) => std::fs::read(path).map_err(DataError::io(path))?,
            (Source::Tar(path), Place::Tar { offset, size }) => {
                let file = std::fs::File::open(path).map_err(DataError::io(path))?;
                webdataset::read(file, *offset, *size).map_err(DataError::io(path))?
            }
            (_, Place::Tar { offset, size }) => {
                let reader = Cursor::new(EMBEDDED.unwrap_or_default());
                webdataset::read(reader, *offset, *size).map_err(DataError::io(Path::new(&self.path)))?
            }
        };
        crate::image::load(&bytes, side, *bird).map_err(|reason| bad(name, reason))
    }

    /// Images of `indices` at `side` without augmentation, decoded in parallel, in the order given. Those that do
    /// not decode are left out and named.
    ///
    /// # Errors
    /// As [`Dataset::load_image`] but for pictures that do not decode, unless they are more than 1 % of `indices`.
    pub fn load_all(&self, indices: &[usize], side: usize) -> Result<Loaded, DataError> {
        let loaded = self.load_part(indices, side)?;
        self.tolerate(&loaded.skipped, indices.len())?;
        Ok(loaded)
    }

    /// As [`Dataset::load_all`] for a part of a larger whole, to which [`Dataset::tolerate`] is then held.
    ///
    /// # Errors
    /// As [`Dataset::load_image`] but for pictures that do not decode.
    pub fn load_part(&self, indices: &[usize], side: usize) -> Result<Loaded, DataError> {
        let all: Vec<_> = indices.par_iter().map(|i| self.load_image(*i, side)).collect();
        let mut loaded = Loaded { indices: Vec::new(), images: Vec::new(), skipped: Vec::new() };
        for (index, result) in indices.iter().zip(all) {
            match result {
                Ok(picture) => {
                    loaded.indices.push(*index);
                    loaded.images.push(picture);
                }
                Err(DataError::Image { entry, .. }) => loaded.skipped.push(entry),
                Err(e) => return Err(e),
            }
        }
        Ok(loaded)
    }

    /// Holds a whole of `total` pictures to what may be skipped of it.
    ///
    /// # Errors
    /// More than 1 % were skipped.
    pub fn tolerate(&self, skipped: &[String], total: usize) -> Result<(), DataError> {
        if skipped.len() * 100 <= total {
            return Ok(());
        }
        let mut entries = skipped.to_vec();
        entries.sort();
        Err(DataError::TooManyUndecodable { path: self.path.clone(), entries, total })
    }
}
