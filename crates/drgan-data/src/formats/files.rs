//! Files of a data set: regular ones, inside its folder, of a bounded size. Nothing else is ever opened.
use super::names;
use super::passed_over::{PassedOver, Reason};
use crate::error::DataError;
use std::collections::HashSet;
use std::fs::Metadata;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// Bytes of a file of captions or of a description, at most: larger ones are none.
pub(crate) const TEXT_BYTES: u64 = 1 << 20;
/// Bytes of a list of a whole set, at most.
pub(crate) const LIST_BYTES: u64 = 512 << 20;
/// Bytes of one picture's file, at most.
pub(crate) const PICTURE_BYTES: u64 = 256 << 20;

/// The contents of a regular file of at most `limit` bytes.
///
/// # Errors
/// A pipe, socket, device or folder; more than `limit` bytes; what the system reports.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    // A large file is refused before it is read; one that grows meanwhile, after.
    let length = file.metadata()?.len();
    if length > limit {
        return Err(too_large(limit));
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX))?;
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(too_large(limit));
    }
    Ok(bytes)
}

/// Opens a regular file. A pipe would block for ever, and reading some devices never ends.
///
/// # Errors
/// A pipe, socket, device or folder; what the system reports.
pub(crate) fn open(path: &Path) -> io::Result<std::fs::File> {
    match std::fs::metadata(path)?.is_file() {
        true => std::fs::File::open(path),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
    }
}

/// The error of a file that is larger than its limit.
pub(crate) fn too_large(limit: u64) -> io::Error {
    let limit = match limit >> 20 {
        0 => format!("{limit} bytes"),
        mib => format!("{mib} MiB"),
    };
    io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit}, the limit for such a file"))
}

/// The regular file that `name`, a path below the folder `root` with `/` between its parts, stands for.
///
/// # Errors
/// Why there is none: an absolute path, one that leads out of `root`, by `..` or by a link; nothing there; no regular file.
pub(crate) fn inside(root: &Path, name: &str) -> Result<PathBuf, Reason> {
    if leads_out(name) {
        return Err(Reason::Outside);
    }
    let path = root.join(name);
    let real_root = root.canonicalize().map_err(|e| Reason::of(&e))?;
    regular(&path, &real_root)?;
    Ok(path)
}

/// Whether `name`, a path of a list, leads out of the folder that it is below: an absolute path, or too many `..`.
pub(crate) fn leads_out(name: &str) -> bool {
    let mut depth = 0_usize;
    Path::new(name).components().any(|part| match part {
        Component::Normal(_) => {
            depth += 1;
            false
        }
        Component::CurDir => false,
        Component::ParentDir => match depth.checked_sub(1) {
            Some(above) => {
                depth = above;
                false
            }
            None => true,
        },
        Component::Prefix(_) | Component::RootDir => true,
    })
}

/// Checks that `path` is a regular file, and below `real_root` once links are followed.
fn regular(path: &Path, real_root: &Path) -> Result<Metadata, Reason> {
    let meta = std::fs::metadata(path).map_err(|e| Reason::of(&e))?;
    match meta {
        meta if !meta.is_file() => Err(Reason::NotAFile),
        meta => match path.canonicalize().map_err(|e| Reason::of(&e))?.starts_with(real_root) {
            true => Ok(meta),
            false => Err(Reason::Outside),
        },
    }
}

/// What is in a folder and its sub-folders.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Regular files that are not hidden, in the order of their paths.
    pub(crate) files: Vec<PathBuf>,
    /// Everything else.
    pub(crate) passed: PassedOver,
}

/// Walks through a folder: each real folder once, however many links lead to it, and none outside.
///
/// # Errors
/// The folder itself cannot be read. Sub-folders that cannot be are counted.
pub(crate) fn tree(root: &Path) -> Result<Tree, DataError> {
    let mut walk = Walk {
        root,
        real_root: root.canonicalize().map_err(DataError::io(root))?,
        seen: HashSet::new(),
        folders: vec![],
        links: vec![],
        tree: Tree::default(),
    };
    walk.enter(root).map_err(DataError::io(root))?;
    // Real folders before links to folders, so that a link never takes the place of what it leads to.
    while let Some((folder, link)) =
        walk.folders.pop().map(|folder| (folder, false)).or_else(|| walk.links.pop().map(|link| (link, true)))
    {
        let inside = !link || folder.canonicalize().is_ok_and(|real| real.starts_with(&walk.real_root));
        match inside {
            false => walk.pass(Reason::Outside, &folder),
            true => {
                if let Err(e) = walk.enter(&folder) {
                    walk.pass(Reason::of(&e), &folder);
                }
            }
        }
    }
    let mut tree = walk.tree;
    tree.files.sort();
    Ok(tree)
}

/// What tells a real folder from all others: its device and number.
#[cfg(unix)]
type Identity = (u64, u64);
/// What tells a real folder from all others: its path.
#[cfg(not(unix))]
type Identity = PathBuf;

#[cfg(unix)]
fn identity(folder: &Path) -> io::Result<Identity> {
    let meta = std::fs::metadata(folder)?;
    Ok((std::os::unix::fs::MetadataExt::dev(&meta), std::os::unix::fs::MetadataExt::ino(&meta)))
}

#[cfg(not(unix))]
fn identity(folder: &Path) -> io::Result<Identity> {
    folder.canonicalize()
}

struct Walk<'a> {
    root: &'a Path,
    real_root: PathBuf,
    /// The folders read so far.
    seen: HashSet<Identity>,
    folders: Vec<PathBuf>,
    links: Vec<PathBuf>,
    tree: Tree,
}

impl Walk<'_> {
    fn pass(&mut self, reason: Reason, path: &Path) {
        self.tree.passed.add(reason, relative(self.root, path));
    }

    fn enter(&mut self, folder: &Path) -> io::Result<()> {
        if !self.seen.insert(identity(folder)?) {
            self.pass(Reason::FolderAgain, folder);
            return Ok(());
        }
        let mut links = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if names::is_hidden(entry.file_name().as_encoded_bytes()) {
                self.pass(Reason::Hidden, &path);
            } else if kind.is_dir() {
                self.folders.push(path);
            } else if kind.is_file() {
                self.tree.files.push(path);
            } else if kind.is_symlink() && path.is_dir() {
                links.push(path);
            } else if kind.is_symlink() {
                match regular(&path, &self.real_root) {
                    Ok(_) => self.tree.files.push(path),
                    Err(reason) => self.pass(reason, &path),
                }
            } else {
                self.pass(Reason::NotAFile, &path);
            }
        }
        // Taken from the end: the first in alphabetical order is followed first, whatever order the system lists them in.
        links.sort_by(|a, b| b.cmp(a));
        self.links.extend(links);
        Ok(())
    }
}

/// The path of `file` below `root`, with `/` between its parts on every system, as text: see [`names::shown`].
pub(crate) fn relative(root: &Path, file: &Path) -> String {
    names::shown(&relative_bytes(root, file))
}

/// The path of `file` below `root` as bytes, with `/` between its parts on every system.
pub(crate) fn relative_bytes(root: &Path, file: &Path) -> Vec<u8> {
    let parts = file.strip_prefix(root).unwrap_or(file).components();
    parts.map(|c| c.as_os_str().as_encoded_bytes()).collect::<Vec<_>>().join(&b'/')
}
