//! What the readers of published sets share: from listed records to entries, and what to remark about the lists.
use super::files::{self, TEXT_BYTES};
use super::format::{Entry, Index, Words};
use super::listing::{Listing, PublishedSet};
use super::passed_over::PassedOver;
use super::pictures;
use crate::error::DataError;
use crate::record::{BoundingBox, Location, Record, Split};
use drgan_tensor::internal::counted;
use std::path::{Path, PathBuf};

/// A record as a published set lists it.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) record: Record,
    /// Where its image should be.
    pub(super) image: PathBuf,
    pub(super) bbox: Option<BoundingBox>,
}

/// What a reader of lists knows beside their records.
#[derive(Debug)]
pub(super) struct Lists {
    pub(super) set: PublishedSet,
    pub(super) layout: &'static str,
    /// AttnGAN's list of words, which the set may have.
    pub(super) pickle: PathBuf,
    pub(super) remarks: Vec<String>,
}

/// Records with captions and an image become entries; the others are counted, and so are images beside them that no list names.
pub(super) fn gather(root: &Path, lists: Lists, mut listed: Vec<Listed>, mut passed: PassedOver) -> Index {
    pictures::pass_unlisted(root, listed.iter().map(|one| one.image.as_path()), &mut passed);
    let Lists { set, layout, pickle, remarks } = lists;
    listed.sort_by(|a, b| a.record.key.cmp(&b.record.key));
    let captions: usize = listed.iter().map(|l| l.record.captions.len()).sum();
    // The words of AttnGAN's list are of ASCII alone.
    let of_words = if pickle.is_file() { |c: char| c.is_ascii_alphanumeric() } else { char::is_alphanumeric };
    for Listed { record, .. } in &mut listed {
        record.captions.retain(|c| c.chars().any(of_words));
    }
    let kept: usize = listed.iter().map(|l| l.record.captions.len()).sum();
    let count = |part| listed.iter().filter(|l| l.record.part == Some(part)).count();
    let mut listing = Listing {
        set,
        layout,
        records: listed.len(),
        captions,
        parts: [count(Split::Train), count(Split::HeldOut)],
        without_image: Vec::new(),
        without_captions: Vec::new(),
        wordless: captions - kept,
        remarks,
    };
    let (mut entries, mut of_others) = (Vec::new(), Vec::new());
    for Listed { record, image, bbox } in listed {
        if record.captions.is_empty() {
            listing.without_captions.push(record.key);
        } else if !image.is_file() {
            listing.without_image.push(record.key);
            of_others.extend(record.captions);
        } else {
            let name = image.strip_prefix(root).unwrap_or(&image).display().to_string();
            entries.push(Entry { bbox, ..Entry::new(record, name, Location::File(image)) });
        }
    }
    let words = if pickle.is_file() { Words::File(pickle) } else { Words::AndOf(of_others) };
    Index { entries, words, listing: Some(listing), passed }
}

/// How many names something is said of, and the first in alphabetical order.
#[derive(Debug, Default)]
pub(super) struct Remark {
    count: usize,
    first: Option<String>,
}

impl Remark {
    pub(super) fn add(&mut self, name: &str) {
        self.count += 1;
        if self.first.as_deref().is_none_or(|first| name < first) {
            self.first = Some(name.to_owned());
        }
    }

    /// `2 WHAT, first NAME`, if there is any; `what` is said as [`counted`] reads it.
    pub(super) fn shown(self, what: &str) -> Option<String> {
        self.first.map(|first| format!("{}, first {first}", counted(self.count, what)))
    }
}

/// A caption per line, none if there is no such file. Bytes that are no UTF-8 are replaced, and AttnGAN's pairs of
/// replacements become spaces.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn captions(path: &Path) -> Result<Vec<String>, DataError> {
    match files::read(path, TEXT_BYTES) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes).replace("\u{fffd}\u{fffd}", " ");
            Ok(super::text::clean(text.lines()).unwrap_or_default())
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(vec![]),
        Err(e) => Err(DataError::io(path)(e)),
    }
}
