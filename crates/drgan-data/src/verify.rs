//! What a data set is, what is missing or broken in it, and what to do next.
use crate::formats::published;
use crate::{DataError, Dataset, Split};
use drgan_text::Vocabulary;
use rayon::prelude::*;
use std::fmt;
use std::path::Path;

/// Names shown of a kind of fault.
const SHOWN: usize = 5;

/// The largest batch of a preset that trains on the user's own pictures.
const LARGEST_BATCH: usize = 22;

/// What [`verify`] finds.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// Lines of `name: value`.
    pub facts: Vec<(String, String)>,
    /// What is missing or broken, though the set can be used.
    pub faults: Vec<String>,
    /// Why it cannot be used, if so.
    pub refusal: Option<String>,
    /// The next command.
    pub next: String,
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.facts {
            writeln!(f, "{name:<14} {value}")?;
        }
        for fault in &self.faults {
            writeln!(f, "{:<14} {fault}", "wrong")?;
        }
        if let Some(refusal) = &self.refusal {
            writeln!(f, "{:<14} {refusal}", "not usable")?;
        }
        write!(f, "{:<14} {}", "next", self.next)
    }
}

/// Reads a data set's lists, captions and every picture; `progress` is told how many pictures of how many are read.
///
/// # Errors
/// None of the set's own faults: they are in the result. A file that cannot be read for other reasons.
pub fn verify(path: &Path, progress: impl Fn(usize, usize) + Sync) -> Result<Verification, DataError> {
    let mut found = Verification::default();
    if let Some(packed) = packed(path) {
        found.refusal = Some("a compressed archive".to_owned());
        found.next = packed;
        return Ok(found);
    }
    let (mut preset, mut published) = ("emoji-64", false);
    if path.is_dir() {
        match published::index(path) {
            Ok(Some(set)) => {
                (preset, published) = (set.preset, true);
                published_facts(&set, &mut found);
            }
            Ok(None) => {}
            Err(e) => return Ok(refused(found, &e)),
        }
    }
    let data = match Dataset::open(path) {
        Ok(data) => data,
        Err(e) => return Ok(refused(found, &e)),
    };
    let mut fact = |name: &str, value: String| found.facts.push((name.to_owned(), value));
    let records = data.records();
    if data.notes().is_empty() {
        fact("layout", if path.is_dir() { "a folder of pictures" } else { "a WebDataset tar" }.to_owned());
        fact("captions", records.iter().map(|r| r.captions.len()).sum::<usize>().to_string());
        let captions = records.iter().flat_map(|r| r.captions.iter().map(String::as_str));
        match Vocabulary::from_captions(captions) {
            Ok(vocabulary) => fact("vocabulary", format!("{} words with <end>", vocabulary.len())),
            Err(e) => found.faults.push(e.to_string()),
        }
    }
    let mut fact = |name: &str, value: String| found.facts.push((name.to_owned(), value));
    let (train, held_out) = (data.split(Split::Train).len(), data.split(Split::HeldOut).len());
    fact("usable", format!("{} pictures: {train} to train on, {held_out} held out", records.len()));
    let broken = undecodable(&data, progress);
    if broken.is_empty() {
        fact("decoded", "every picture".to_owned());
    } else {
        let shown: Vec<&str> = broken.iter().take(SHOWN).map(String::as_str).collect();
        found.faults.push(format!("{} pictures do not decode: {}", broken.len(), shown.join(", ")));
    }
    if let Err(e) = data.tolerate(&broken, records.len()) {
        return Ok(refused(found, &e));
    }
    let divided = train < 2;
    if divided {
        found.faults.push(format!("{train} of the set's own training pictures are here; two are needed"));
    }
    let few = if divided { records.len() * 9 / 10 } else { train };
    let mut next = format!("cargo xtask train --preset {preset} --data {}", path.display());
    if published {
        next = format!(
            "cargo xtask pretrain --preset {preset} --data {} --set image_encoder.weights=INCEPTION.pth",
            path.display()
        );
    }
    if divided {
        next += " --set data.split=by-key";
    }
    if few < LARGEST_BATCH {
        next += &format!(" --set loader.batch={}", (few / 2).max(2));
    }
    if published {
        next += "\n               (INCEPTION.pth: Inception-v3 of torchvision; docs/data.md says from where)";
    }
    found.next = next;
    Ok(found)
}

fn published_facts(set: &published::Published, found: &mut Verification) {
    let mut fact = |name: &str, value: String| found.facts.push((name.to_owned(), value));
    fact("layout", set.layout.to_owned());
    fact("records", set.listed.to_string());
    fact("captions", set.captions.to_string());
    if set.parts != [0, 0] {
        fact("split", format!("{} / {}", set.parts[0], set.parts[1]));
    }
    let classes: std::collections::BTreeSet<_> =
        set.found.iter().filter_map(|f| f.description.class_id).collect();
    if !classes.is_empty() {
        fact("classes", format!("{} among the pictures that are here", classes.len()));
    }
    fact("vocabulary", format!("{} words with <end>, {}", set.vocabulary.len(), set.vocabulary_from));
    found.faults.extend(set.remarks.iter().cloned());
    if set.wordless > 0 {
        found.faults.push(format!("{} captions have no word; they are left out", set.wordless));
    }
    for (what, keys) in [("picture", &set.without_picture), ("captions", &set.without_captions)] {
        if !keys.is_empty() {
            let shown: Vec<&str> = keys.iter().take(SHOWN).map(String::as_str).collect();
            let more = if keys.len() > SHOWN { ", ..." } else { "" };
            found.faults.push(format!("{} records have no {what}: {}{more}", keys.len(), shown.join(", ")));
        }
    }
}

fn refused(mut found: Verification, e: &DataError) -> Verification {
    found.refusal = Some(e.to_string());
    found.next = "mend that and verify again; docs/data.md says what belongs where".to_owned();
    found
}

/// What to do with a compressed archive.
fn packed(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let shown = path.display();
    let packed = |with: &str| path.is_file() && name.ends_with(with);
    if packed(".tgz") || packed(".tar.gz") {
        return Some(format!("unpack it with `tar xzf {shown}`, then verify the folder"));
    }
    if packed(".tar.xz") {
        return Some(format!("unpack it with `tar xJf {shown}`, then verify the folder"));
    }
    packed(".zip").then(|| format!("unpack it with `unzip {shown}`, then verify the folder"))
}

fn undecodable(data: &Dataset, progress: impl Fn(usize, usize) + Sync) -> Vec<String> {
    let (all, done) = (data.records().len(), std::sync::atomic::AtomicUsize::new(0));
    let read = |index: usize| {
        let failed = data.load_image(index, 16).err().map(|_| data.records()[index].key.clone());
        progress(done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1, all);
        failed
    };
    (0..all).into_par_iter().filter_map(read).collect()
}
