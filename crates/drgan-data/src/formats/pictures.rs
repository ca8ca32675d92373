//! Pictures in the folders of a published set: by their names without extension, and those that no list names.
use super::files;
use super::names::{self, Kind};
use super::passed_over::{PassedOver, Reason};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Finds pictures of any type by their names without extension.
#[derive(Debug)]
pub(super) struct Pictures {
    folders: Vec<PathBuf>,
    /// The pictures of each folder that was looked into, by name without extension.
    known: HashMap<PathBuf, HashMap<Vec<u8>, PathBuf>>,
}

impl Pictures {
    /// Looks into `folders`, the first before the others.
    pub(super) fn new(folders: Vec<PathBuf>) -> Self {
        Self { folders, known: HashMap::new() }
    }

    /// The picture `KEY.jpg`, or the first in alphabetical order of another type; `key` may lead through folders.
    pub(super) fn find(&mut self, key: &str) -> Option<PathBuf> {
        if files::leads_out(key) {
            return None;
        }
        let (below, stem) = key.rsplit_once('/').unwrap_or(("", key));
        self.folders.iter().find_map(|folder| {
            let folder = folder.join(below);
            let known = self.known.entry(folder.clone()).or_insert_with(|| by_stem(&folder));
            known.get(stem.as_bytes()).cloned()
        })
    }
}

fn by_stem(folder: &Path) -> HashMap<Vec<u8>, PathBuf> {
    let mut found = HashMap::new();
    let (jpg, others): (Vec<_>, Vec<_>) =
        pictures(folder).into_iter().partition(|(_, path)| path.extension().is_some_and(|e| e == "jpg"));
    for (kind, path) in jpg.into_iter().chain(others) {
        if kind == Kind::Picture {
            found.entry(stem(&path)).or_insert(path);
        }
    }
    found
}

/// The pictures in a folder that are not hidden, in alphabetical order; none of a folder that cannot be read.
fn pictures(folder: &Path) -> Vec<(Kind, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let pictures = entries.filter_map(|entry| {
        let name = entry.file_name();
        let kind = Kind::of(names::stem(name.as_encoded_bytes()).1);
        let is_picture = matches!(kind, Kind::Picture | Kind::OtherPicture);
        (is_picture && !names::is_hidden(name.as_encoded_bytes())).then(|| (kind, entry.path()))
    });
    let mut found: Vec<_> = pictures.collect();
    found.sort_by(|a, b| a.1.cmp(&b.1));
    found
}

/// The name of a file without its extension.
fn stem(path: &Path) -> Vec<u8> {
    names::stem(path.file_name().unwrap_or_default().as_encoded_bytes()).0.to_vec()
}

/// Counts the pictures that lie in the folders of those `listed` and are none of them.
pub(super) fn pass_unlisted<'a>(
    root: &Path,
    listed: impl Iterator<Item = &'a Path>,
    passed: &mut PassedOver,
) {
    let listed: HashSet<&Path> = listed.collect();
    let folders: BTreeSet<&Path> = listed.iter().filter_map(|path| path.parent()).collect();
    for folder in folders {
        let others = pictures(folder);
        let stems: HashSet<Vec<u8>> = others
            .iter()
            .filter(|(_, path)| listed.contains(path.as_path()))
            .map(|(_, path)| stem(path))
            .collect();
        for (kind, path) in others.into_iter().filter(|(_, path)| !listed.contains(path.as_path())) {
            let reason = match kind {
                Kind::OtherPicture => Reason::PictureType,
                _ if stems.contains(&stem(&path)) => Reason::SecondPicture,
                _ => Reason::Unlisted,
            };
            passed.add(reason, files::relative(root, &path));
        }
    }
}
