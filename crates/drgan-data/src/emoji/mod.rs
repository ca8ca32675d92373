//! The default data set: Microsoft's Fluent emoji with captions made of emojibase's labels and tags. See docs/data.md.
mod captions;
mod color;
mod source;

use crate::DataError;
use drgan_tensor::internal::counted;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Most bytes the packed set may have: it travels inside the program.
const MOST_BYTES: u64 = 20 << 20;

/// Emojibase's groups that are left out: component (skin tones, hair), flags.
const LEFT_OUT_GROUPS: [u64; 2] = [2, 9];
/// Emojibase's subgroup of keycaps.
const KEYCAPS: &str = "keycap";

/// What [`pack`] wrote into the tar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackReport {
    /// Number of images written.
    pub records: usize,
    /// Number of captions written.
    pub captions: usize,
    /// Size of the tar in bytes.
    pub bytes: u64,
    /// Labels without an image in the Fluent package, in Unicode order.
    pub missing: Vec<String>,
}

impl std::fmt::Display for PackReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (images, captions) = (counted(self.records, "image[|s]"), counted(self.captions, "caption[|s]"));
        let bytes = counted(self.bytes, "byte[|s]");
        write!(f, "{images}, {captions}, {bytes}")?;
        match self.missing.as_slice() {
            [] => Ok(()),
            missing => write!(f, "; {} labels without an image: {}", missing.len(), missing.join(", ")),
        }
    }
}

#[derive(Deserialize)]
struct Entry {
    label: String,
    hexcode: String,
    #[serde(default)]
    tags: Vec<String>,
    group: Option<u64>,
    subgroup: Option<u64>,
}

#[derive(Deserialize)]
struct Groups {
    groups: BTreeMap<String, String>,
    subgroups: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Description<'a> {
    label: &'a str,
    group: &'a str,
    subgroup: &'a str,
    tags: &'a [String],
    #[serde(rename = "colour")]
    color: Option<&'static str>,
    #[serde(rename = "names_colour")]
    names_color: bool,
    hexcode: &'a str,
}

/// What goes into the tar under one key.
struct Packed<'a> {
    key: String,
    webp: &'a [u8],
    json: Vec<u8>,
    captions: Vec<String>,
}

/// Code points joined by `-`, lower case, without the emoji variation selector, which the two packages use differently.
fn key_of(name: &str) -> String {
    let lower = name.to_lowercase();
    lower.split('-').filter(|p| *p != "fe0f").collect::<Vec<_>>().join("-")
}

/// Makes the embedded data set: a WebDataset tar with `KEY.json`, `KEY.txt` (a caption per line) and `KEY.webp` (bytes as
/// published) for every emoji of `emojibase` that has an image in `fluent`, without flags, keycaps and skin tones. Both
/// inputs are npm packages, as `.tgz` or extracted. The same inputs give the same bytes.
///
/// # Errors
/// An input that is missing or is not the package it should be, an image that does not decode, a result above
/// 20 MiB.
pub fn pack(fluent: &Path, emojibase: &Path, out: &Path) -> Result<PackReport, DataError> {
    let bad = |path: &Path, reason: String| DataError::Pack { path: path.to_owned(), reason, source: None };
    let data = source::read(emojibase, |n| n == "en/data.json" || n == "meta/groups.json")?;
    let file = |name: &str| {
        data.get(name).ok_or_else(|| bad(emojibase, format!("no {name}; give npm's emojibase-data package")))
    };
    let json = |e: serde_json::Error| bad(emojibase, format!("unexpected JSON: {e}")).because(e);
    let entries: Vec<Entry> = serde_json::from_slice(file("en/data.json")?).map_err(json)?;
    let groups: Groups = serde_json::from_slice(file("meta/groups.json")?).map_err(json)?;
    let name = |map: &BTreeMap<String, String>, id: Option<u64>| {
        id.and_then(|id| map.get(&id.to_string()).cloned()).unwrap_or_default()
    };
    let mut images = BTreeMap::new();
    for (path, bytes) in source::read(fluent, |n| n.starts_with("assets/") && n.ends_with(".webp"))? {
        images.entry(key_of(path.trim_start_matches("assets/").trim_end_matches(".webp"))).or_insert(bytes);
    }
    if images.is_empty() {
        return Err(bad(fluent, "no assets/*.webp; give npm's @lobehub/fluent-emoji-3d package".to_owned()));
    }
    let mut missing = Vec::new();
    let mut chosen = BTreeMap::new();
    for entry in &entries {
        let subgroup = name(&groups.subgroups, entry.subgroup);
        if entry.group.is_none_or(|g| LEFT_OUT_GROUPS.contains(&g)) || subgroup == KEYCAPS {
            continue;
        }
        let key = key_of(&entry.hexcode);
        match images.get(&key) {
            Some(bytes) => drop(chosen.insert(key, (entry, subgroup, bytes))),
            None => missing.push(entry.label.clone()),
        }
    }
    let described: Vec<Packed<'_>> = chosen
        .into_par_iter()
        .map(|(key, (entry, subgroup, bytes))| {
            let rgba = crate::image::rgba(bytes)
                .map_err(|e| bad(fluent, format!("{key}.webp does not decode: {e}")).because(e))?;
            let plain = captions::plain(&entry.label);
            // A hair color is not the image's.
            let named = color::named(&plain).filter(|_| !plain.ends_with("hair"));
            let color = named.or_else(|| color::dominant(&rgba));
            let facts = captions::Facts {
                key: &key,
                label: &entry.label,
                tags: &entry.tags,
                subgroup: &subgroup,
                color,
            };
            let captions = captions::captions(&facts);
            let group = name(&groups.groups, entry.group);
            let description = Description {
                label: &entry.label,
                group: &group,
                subgroup: &subgroup,
                tags: &entry.tags,
                color,
                names_color: named.is_some(),
                hexcode: &entry.hexcode,
            };
            let json = serde_json::to_vec(&description).map_err(json)?;
            Ok(Packed { key, webp: bytes, json, captions })
        })
        .collect::<Result<_, DataError>>()?;
    let mut builder = tar::Builder::new(Vec::new());
    let mut report = PackReport { records: described.len(), captions: 0, bytes: 0, missing };
    for Packed { key, webp, json, captions } in described {
        report.captions += captions.len();
        let text = captions.join("\n") + "\n";
        for (extension, bytes) in [("json", &json[..]), ("txt", text.as_bytes()), ("webp", webp)] {
            append(&mut builder, &format!("{key}.{extension}"), bytes).map_err(DataError::io(out))?;
        }
    }
    let tar = builder.into_inner().map_err(DataError::io(out))?;
    report.bytes = tar.len() as u64;
    if report.bytes > MOST_BYTES {
        return Err(bad(out, format!("{} bytes, above {MOST_BYTES}", report.bytes)));
    }
    drgan_tensor::file::write_atomic(out, &tar)?;
    Ok(report)
}

/// An entry that depends on its name and bytes only.
fn append(builder: &mut tar::Builder<Vec<u8>>, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    builder.append_data(&mut header, name, bytes)
}

#[cfg(test)]
mod tests;
