//! A data set, whatever its format: an index of records, and their images when asked for.
use crate::error::DataError;
use crate::formats::{self, Entry, Format, Index, Listing, PassedOver, Reason, WebDataset, Words};
use crate::image::{self, Budget, Image};
use crate::record::{BoundingBox, Location, Record, Split};
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The embedded set, made by [`crate::emoji::pack`]; see assets/README.md.
#[cfg(feature = "embedded")]
const EMBEDDED: Option<&[u8]> = Some(include_bytes!("../assets/fluent-emoji.tar"));
#[cfg(not(feature = "embedded"))]
const EMBEDDED: Option<&[u8]> = None;

/// Where a record's image comes from.
#[derive(Clone, Debug)]
struct Origin {
    /// The image's file or archive entry, as messages name it.
    name: String,
    location: Location,
    bbox: Option<BoundingBox>,
}

/// An index of images with captions. Images are read and decoded when asked for.
#[derive(Clone, Debug)]
pub struct Dataset {
    path: String,
    format: &'static dyn Format,
    records: Vec<Record>,
    /// Where the image of each record comes from, in the order of `records`.
    origins: Vec<Origin>,
    words: Words,
    listing: Option<Listing>,
    passed: PassedOver,
    /// Memory for the decoding of pictures; clones share it.
    budget: Arc<Budget>,
    /// What was odd about the pictures decoded so far, by record.
    odd: Arc<Mutex<BTreeSet<(Reason, usize)>>>,
}

/// Images of [`Dataset::load_part`], those that decode.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Index of each image's record, ascending in the order asked for.
    pub indices: Vec<usize>,
    /// The decoded images, in the order of `indices` and all of one side.
    pub images: Vec<Image>,
    /// Names of the images that did not decode.
    pub skipped: Vec<String>,
}

impl Loaded {
    /// Images `range` as `(n, 3, side, side)` in `[-1, 1]`.
    ///
    /// # Errors
    /// A range out of bounds, a device without room.
    pub fn tensor(&self, range: std::ops::Range<usize>, device: &Device) -> Result<Tensor, DataError> {
        let all = self.images.get(range.clone()).ok_or_else(|| {
            let message = format!("Loaded::tensor: range {range:?} of {} images", self.images.len());
            candle_core::Error::Msg(message)
        })?;
        let tensors = all.iter().map(|image| image.to_tensor(device)).collect::<Result<Vec<_>, _>>()?;
        Ok(Tensor::stack(&tensors, 0)?)
    }
}

impl Dataset {
    /// Opens a WebDataset tar (`KEY.webp|png|jpg|jpeg`, `KEY.txt`, optionally `KEY.json`) or a folder of images with
    /// `metadata.jsonl` or a `.txt` beside each, or a folder of CUB or COCO (docs/data.md). Reads the index and the
    /// captions, no image.
    ///
    /// # Errors
    /// Nothing there, a truncated tar, captions that are absent, empty or not UTF-8, fewer than two images; each
    /// names the file or entry.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let format = formats::detect(path)?;
        Self::from_index(path.display().to_string(), format, format.index(path)?)
    }

    /// The data set inside the program: Fluent emoji, see docs/data.md.
    ///
    /// # Errors
    /// [`DataError::NotEmbedded`] without the feature `embedded`.
    pub fn embedded() -> Result<Self, DataError> {
        Self::from_tar("embedded data set", EMBEDDED.ok_or(DataError::NotEmbedded)?)
    }

    /// A WebDataset tar in memory, see [`Dataset::open`]; `name` is for messages.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn from_tar(name: &str, bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self, DataError> {
        Self::from_index(name.to_owned(), &WebDataset, WebDataset::of_bytes(name, bytes.into())?)
    }

    /// What `format` found at `path`. Records that a published set lists without image or caption are left out.
    pub(crate) fn from_index(
        path: String,
        format: &'static dyn Format,
        index: Index,
    ) -> Result<Self, DataError> {
        let Index { entries, words, listing, passed } = index;
        if entries.len() < 2 {
            let part = match &listing {
                Some(list) => {
                    format!("what is there of {}; {}", list.layout, list.notes()[1..].join("; "))
                }
                None => [vec![Split::All.name().to_owned()], passed.notes()].concat().join("; "),
            };
            return Err(DataError::TooFew { path, part, found: entries.len(), divides_itself: false });
        }
        let (records, origins) = entries
            .into_iter()
            .map(|Entry { record, name, location, bbox }| (record, Origin { name, location, bbox }))
            .unzip();
        let (budget, odd) = (Arc::default(), Arc::default());
        Ok(Self { path, format, records, origins, words, listing, passed, budget, odd })
    }

    /// The file that lists the words of the set's vocabulary, in the order of the encoders that were trained with it:
    /// AttnGAN's `captions.pickle`. None: the vocabulary is made of [`Dataset::vocabulary_captions`].
    pub fn vocabulary_file(&self) -> Option<&Path> {
        if let Words::File(path) = &self.words { Some(path) } else { None }
    }

    /// The captions that a vocabulary of the set is made of, in no order that matters: of all records and, in a published
    /// set, of all that it lists, there or not, so that the vocabulary is that of the whole set.
    pub fn vocabulary_captions(&self) -> impl Iterator<Item = &str> {
        let others = if let Words::AndOf(others) = &self.words { &others[..] } else { &[] };
        self.records.iter().flat_map(|r| &r.captions).chain(others).map(String::as_str)
    }

    /// What a user should know of the set before training on it.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.listing.as_ref().map(Listing::notes).unwrap_or_default();
        notes.extend(self.passed.notes());
        notes
    }

    /// The path as opened, for messages.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The format in words, such as "a WebDataset tar".
    pub fn format(&self) -> &'static str {
        self.format.name()
    }

    /// All records, sorted by key; those of a folder with text files by path.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Whether the set names the part of a record.
    pub(crate) fn divides_itself(&self) -> bool {
        self.records.iter().any(|record| record.part.is_some())
    }

    /// Forgets how the set divides itself: the key decides for every record.
    pub fn split_by_key(&mut self) {
        for record in &mut self.records {
            record.part = None;
        }
    }

    /// Takes the records' keys from the names that the entries of a tar have: `./a` for `./a.png`, whose key is otherwise `a`,
    /// as in every layout. Data sets of other layouts stay as they are.
    pub fn key_by_written_names(&mut self) {
        if !self.format.has_written_names() {
            return;
        }
        let mut both: Vec<_> = self.records.drain(..).zip(self.origins.drain(..)).collect();
        for (record, origin) in &mut both {
            record.key = formats::key_of(&origin.name).to_owned();
        }
        both.sort_by(|a, b| a.0.key.cmp(&b.0.key));
        (self.records, self.origins) = both.into_iter().unzip();
    }

    /// Forgets every record after the first `n`. The vocabulary of a published set stays that of the whole set.
    pub fn truncate(&mut self, n: usize) {
        let forgotten = self.records.split_off(n.min(self.records.len()));
        self.origins.truncate(n);
        if let Words::AndOf(others) = &mut self.words {
            others.extend(forgotten.into_iter().flat_map(|r| r.captions));
        }
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

    /// The name of a record's image, for messages.
    pub(crate) fn name(&self, index: usize) -> &str {
        &self.origins[index].name
    }

    /// Where a record's image is.
    pub(crate) fn location(&self, index: usize) -> &Location {
        &self.origins[index].location
    }

    /// What a user should know of the pictures decoded so far that are read otherwise than one might think: without the mark
    /// at their end, or the first of several frames.
    pub fn decoding_notes(&self) -> Vec<String> {
        let mut passed = PassedOver::default();
        for (reason, index) in self.odd.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            passed.add(*reason, self.name(*index));
        }
        passed.notes()
    }

    /// One image, without augmentation: turned upright, on white, what is around its bounding box if it has one, the central square of
    /// that, resized to `side`.
    ///
    /// # Errors
    /// No such record, `side` 0, an archive that cannot be read; [`DataError::Image`], a picture that cannot be read or does not decode: one that is truncated, has more
    /// than 2^26 pixels, or would take more than 512 MiB to decode.
    pub fn load_image(&self, index: usize, side: usize) -> Result<Image, DataError> {
        let bad = |entry: &str, source| DataError::Image {
            path: self.path.clone(),
            entry: entry.to_owned(),
            source,
        };
        let Some(Origin { name, location, bbox }) = self.origins.get(index) else {
            let source = format!("the set has {} records", self.origins.len());
            return Err(bad(&format!("record {index}"), source.into()));
        };
        if side == 0 {
            return Err(bad(name, "a side of 0 pixels was asked for".into()));
        }
        // A picture whose own file cannot be read is as good as one that does not decode; an archive that is gone ends all.
        let bytes = self.format.read(location).map_err(|e| match (e, location) {
            (DataError::Io { source, .. }, Location::File(_)) => bad(name, source.into()),
            (e, _) => e,
        })?;
        let (image, odd) =
            image::load(&bytes, side, *bbox, &self.budget).map_err(|source| bad(name, source))?;
        if !odd.is_empty() {
            let mut all = self.odd.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(odd.into_iter().map(|reason| (reason, index)));
        }
        Ok(image)
    }

    /// Images of `indices` at `side` without augmentation, decoded in parallel, in the order given. Those that do not decode
    /// are left out and named; whether they are too many of a whole is for [`Dataset::tolerate`].
    ///
    /// # Errors
    /// As [`Dataset::load_image`] but for images that do not decode.
    pub fn load_part(&self, indices: &[usize], side: usize) -> Result<Loaded, DataError> {
        let all: Vec<_> = indices.par_iter().map(|i| self.load_image(*i, side)).collect();
        let mut loaded = Loaded { indices: Vec::new(), images: Vec::new(), skipped: Vec::new() };
        for (index, result) in indices.iter().zip(all) {
            match result {
                Ok(image) => {
                    loaded.indices.push(*index);
                    loaded.images.push(image);
                }
                Err(DataError::Image { entry, .. }) => loaded.skipped.push(entry),
                Err(e) => return Err(e),
            }
        }
        Ok(loaded)
    }

    /// Checks that not too many of `total` images were skipped.
    ///
    /// # Errors
    /// More than 1 % of the images were skipped.
    pub fn tolerate(&self, skipped: &[String], total: usize) -> Result<(), DataError> {
        if skipped.len() * 100 <= total {
            return Ok(());
        }
        let mut entries = skipped.to_vec();
        entries.sort();
        Err(DataError::TooManyUndecodable { path: self.path.clone(), entries, total })
    }
}
