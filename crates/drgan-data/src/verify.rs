//! What a data set is, and what is missing or broken in it.
use crate::dataset::Dataset;
use crate::error::DataError;
use crate::formats::{self, Listing, PublishedSet};
use crate::record::Split;
use drgan_tensor::internal::{agreeing, counted, escaped};
use rayon::prelude::*;
use std::fmt;
use std::path::Path;

/// Names shown of each kind of fault.
const SHOWN: usize = 5;

/// What [`verify`] finds out about a data set.
#[derive(Debug, Default)]
pub struct Verification {
    /// What the set holds, as pairs of a name and a value to show.
    pub facts: Vec<(String, String)>,
    /// What is missing or broken, though the set can be used.
    pub faults: Vec<String>,
    /// Why the set cannot be used; none if it can.
    pub refusal: Option<Refusal>,
    /// Which published data set it is; none if it is another.
    pub set: Option<PublishedSet>,
    /// The data set, if it could be opened.
    pub data: Option<Dataset>,
}

/// Why a data set cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The data set cannot be read as one.
    #[error(transparent)]
    Data(DataError),
    /// Found by the caller of [`verify`], e.g. that no vocabulary can be made of the captions.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.facts {
            writeln!(f, "{name:<14} {}", escaped(value))?;
        }
        for fault in &self.faults {
            writeln!(f, "{:<14} {}", "wrong", escaped(fault))?;
        }
        if let Some(refusal) = &self.refusal {
            writeln!(f, "{:<14} {refusal}", "not usable")?;
        }
        Ok(())
    }
}

impl Verification {
    fn fact(&mut self, name: &str, value: impl fmt::Display) {
        self.facts.push((name.to_owned(), value.to_string()));
    }

    /// Names of what is missing, the first few; `what` is said of them as [`counted`] reads it.
    fn missing(&mut self, what: &str, keys: &[String]) {
        if !keys.is_empty() {
            let shown: Vec<&str> = keys.iter().take(SHOWN).map(String::as_str).collect();
            let more = if keys.len() > SHOWN { ", ..." } else { "" };
            self.faults.push(format!("{}: {}{more}", counted(keys.len(), what), shown.join(", ")));
        }
    }
}

/// Reads a data set's lists, captions and every image; `progress` is told how many images of how many are read. The set's
/// faults are in the result.
pub fn verify(path: &Path, progress: impl Fn(usize, usize) + Sync) -> Verification {
    let mut found = Verification::default();
    found.refusal = read(path, progress, &mut found).err().map(Refusal::Data);
    found
}

fn read(
    path: &Path,
    progress: impl Fn(usize, usize) + Sync,
    found: &mut Verification,
) -> Result<(), DataError> {
    let format = formats::detect(path)?;
    let index = format.index(path)?;
    found.set = index.listing.as_ref().map(|listing| listing.set);
    match &index.listing {
        Some(listing) => {
            listed(listing, found);
            let classes: std::collections::BTreeSet<_> =
                index.entries.iter().filter_map(|e| e.record.class_id).collect();
            if !classes.is_empty() {
                found.fact("classes", format!("{} among the images that are here", classes.len()));
            }
        }
        None => {
            found.fact("layout", format.name());
            found.fact("captions", index.entries.iter().map(|e| e.record.captions.len()).sum::<usize>());
        }
    }
    found.faults.extend(index.passed.notes());
    let data = Dataset::from_index(path.display().to_string(), format, index)?;
    found.faults.extend(data.duplicates());
    let (train, held_out) = (data.split(Split::Train).len(), data.split(Split::HeldOut).len());
    let records = data.records().len();
    found.fact("usable", format!("{records} images: {train} to train on, {held_out} held out"));
    let broken = undecodable(&data, progress);
    if broken.is_empty() {
        found.fact("decoded", "every image");
    }
    let said: Vec<String> =
        broken.iter().map(|(index, why)| format!("{}: {why}", data.name(*index))).collect();
    found.missing("image[|s] cannot be used", &said);
    found.faults.extend(data.decoding_notes());
    // As training does: what is held out may lack more.
    let to_train: Vec<String> = broken
        .iter()
        .filter(|(index, _)| Split::Train.holds(&data.records()[*index]))
        .map(|(index, _)| data.name(*index).to_owned())
        .collect();
    let tolerated = data.tolerate(&to_train, train);
    // Where the key divides it, training is refused for it.
    if tolerated.is_ok() && train < 2 && data.divides_itself() {
        let here = agreeing(train, "[is|are] here; two are needed");
        found.faults.push(format!("{train} of the set's own training images {here}"));
    }
    found.data = Some(data);
    tolerated
}

/// The counts of a published set, and what its lists lack.
fn listed(listing: &Listing, found: &mut Verification) {
    found.fact("layout", listing.layout);
    found.fact("records", listing.records);
    found.fact("captions", listing.captions);
    if listing.parts != [0, 0] {
        found.fact("split", format!("{} / {}", listing.parts[0], listing.parts[1]));
    }
    found.faults.extend(listing.remarks.iter().cloned());
    if listing.wordless > 0 {
        found
            .faults
            .push(counted(listing.wordless, "caption[|s] [has|have] no word; [it is|they are] left out"));
    }
    found.missing("record[|s] [has|have] no image", &listing.without_image);
    found.missing("record[|s] [has|have] no captions", &listing.without_captions);
}

/// The records whose image cannot be read or decoded, and why.
fn undecodable(data: &Dataset, progress: impl Fn(usize, usize) + Sync) -> Vec<(usize, String)> {
    let (all, done) = (data.records().len(), std::sync::atomic::AtomicUsize::new(0));
    let read = |index: usize| {
        let why = data.load_image(index, 16).err().map(|e| match e {
            DataError::Image { source, .. } => source.to_string(),
            DataError::Io { source, .. } => source.to_string(),
            other => other.to_string(),
        });
        progress(done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1, all);
        why.map(|why| (index, why))
    };
    (0..all).into_par_iter().filter_map(read).collect()
}
