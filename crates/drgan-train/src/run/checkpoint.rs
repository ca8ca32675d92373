//! One file that holds a whole training run: networks, optimizers, positions, configuration.
use crate::error::{Result, TrainError};
use candle_core::Tensor;
use drgan_tensor::Error;
use drgan_tensor::device::HOST;
use drgan_tensor::weights::safetensors as file;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Version of the file's layout; a reader refuses another, but for the one before it.
const FORMAT_VERSION: &str = "3";

/// The version before: one checksum over everything, so that no part can be trusted without the rest.
const WHOLE_VERSION: &str = "2";

const VERSION_KEY: &str = "format_version";
/// Key of the checksum of the metadata, in which each section (the tensors under one prefix) has its own checksum, under
/// [`SECTION_CRC`] and its name.
const CRC_KEY: &str = "crc32c";
const SECTION_CRC: &str = "crc32c.";
const LATEST: &str = "latest";

/// Named tensors (`g.`, `g_avg.`, `d0.`, `adam_g.m.`, ... are prefixes by agreement) and text.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    /// Tensors by their names, each under the prefix of its section.
    pub tensors: BTreeMap<String, Tensor>,
    /// Step, seed, positions, the configuration as TOML, ...; `format_version` and `crc32c` are added when it is written.
    pub meta: BTreeMap<String, String>,
    /// The file it was read from, for messages.
    origin: PathBuf,
}

/// Tells that a damaged checkpoint was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The damaged file.
    pub bad: PathBuf,
    /// What is wrong with the damaged file.
    pub reason: String,
    /// The checkpoint that was read in its place.
    pub used: PathBuf,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "checkpoint {} is damaged ({}); continuing from {}",
            self.bad.display(),
            self.reason,
            self.used.display()
        )
    }
}

impl Checkpoint {
    /// Puts tensors under `prefix.`.
    pub fn insert_all(&mut self, prefix: &str, tensors: impl IntoIterator<Item = (String, Tensor)>) {
        self.tensors.extend(tensors.into_iter().map(|(n, t)| (format!("{prefix}.{n}"), t)));
    }

    /// The tensors under `prefix.`, without it.
    pub fn section(&self, prefix: &str) -> BTreeMap<String, Tensor> {
        let cut = |(n, t): (&String, &Tensor)| {
            Some((n.strip_prefix(prefix)?.strip_prefix('.')?.to_owned(), t.clone()))
        };
        self.tensors.iter().filter_map(cut).collect()
    }

    /// Sets the metadata value of `key`.
    pub fn set(&mut self, key: &str, value: impl ToString) {
        self.meta.insert(key.to_owned(), value.to_string());
    }

    /// The metadata value of `key`.
    ///
    /// # Errors
    /// [`Error::File`] that names the key when it is missing or cannot be parsed.
    pub fn get<T: std::str::FromStr>(&self, key: &str) -> Result<T> {
        let file = |reason: String| Error::file(&self.origin, reason);
        let text = self.meta.get(key).ok_or_else(|| file(format!("`{key}` is missing")))?;
        Ok(text.parse().map_err(|_| file(format!("`{key}` is unreadable: {text}")))?)
    }

    /// The file's bytes; equal contents give equal bytes.
    ///
    /// # Errors
    /// Whatever candle reports.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut meta = self.meta.clone();
        meta.insert(VERSION_KEY.into(), FORMAT_VERSION.into());
        meta.extend(section_checksums(&self.tensors)?);
        let crc = checksum(&BTreeMap::new(), &meta)?;
        meta.insert(CRC_KEY.into(), crc);
        Ok(file::to_bytes(&self.tensors, &meta)?)
    }

    /// Writes `dir/step-000123.safetensors` and then `dir/latest`, each beside and renamed.
    ///
    /// # Errors
    /// [`Error::File`]; earlier checkpoints are untouched and no partial file is left.
    pub fn save(&self, dir: &Path, step: u64) -> Result<PathBuf> {
        self.save_through(dir, step, |f| f)
    }

    fn save_through<W: Write>(
        &self,
        dir: &Path,
        step: u64,
        wrap: impl FnOnce(std::fs::File) -> W,
    ) -> Result<PathBuf> {
        std::fs::create_dir_all(dir).map_err(|e| Error::file_because(dir, "cannot be created", e))?;
        let name = format!("step-{step:06}.safetensors");
        let path = dir.join(&name);
        drgan_tensor::weights::file::write_atomic_through(&path, &self.to_bytes()?, wrap)?;
        drgan_tensor::weights::file::write_atomic(&dir.join(LATEST), format!("{name}\n").as_bytes())?;
        Ok(path)
    }

    /// Reads and verifies one file.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read, is cut short, fails its checksum or has another format version.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::file_because(path, "cannot be read", e))?;
        let (tensors, meta) = file::from_bytes(&bytes, path, &HOST)?;
        Self::verified(tensors, meta, path, None)
    }

    /// Reads and verifies the tensors under some prefixes, and the metadata; the rest of the file is not read.
    ///
    /// # Errors
    /// As [`Checkpoint::load`].
    pub fn load_part(path: &Path, sections: &[&str]) -> Result<Self> {
        let wanted = |name: &str| sections.contains(&section_of(name));
        let (tensors, meta) = file::load_part(path, wanted, &HOST)?;
        if meta.get(VERSION_KEY).is_some_and(|v| v == WHOLE_VERSION) {
            return Self::load(path);
        }
        Self::verified(tensors, meta, path, Some(sections))
    }

    /// `only`: the sections that were read; `None` for all.
    fn verified(
        tensors: BTreeMap<String, Tensor>,
        mut meta: BTreeMap<String, String>,
        path: &Path,
        only: Option<&[&str]>,
    ) -> Result<Self> {
        let damaged = || Error::file(path, "its checksum does not match: the file is damaged");
        let Some(want) = meta.remove(CRC_KEY) else {
            return Err(Error::file(path, "has no checksum: not a checkpoint of a training run").into());
        };
        let none = BTreeMap::new();
        let covered = match meta.get(VERSION_KEY).map(String::as_str) {
            Some(FORMAT_VERSION) => &none,
            Some(WHOLE_VERSION) => &tensors,
            // A version that is damaged is told as one that is not known.
            v => {
                return Err(Error::file(
                    path,
                    format!(
                        "has format version {}, this program reads {FORMAT_VERSION}",
                        v.unwrap_or_default()
                    ),
                )
                .into());
            }
        };
        if checksum(covered, &meta)? != want {
            return Err(damaged().into());
        }
        if meta.remove(VERSION_KEY).is_some_and(|v| v == FORMAT_VERSION) {
            let mut wanted = meta.clone();
            wanted.retain(|key, _| {
                let section = key.strip_prefix(SECTION_CRC);
                section.is_some_and(|name| only.is_none_or(|only| only.contains(&name)))
            });
            if section_checksums(&tensors)? != wanted {
                return Err(damaged().into());
            }
            meta.retain(|key, _| !key.starts_with(SECTION_CRC));
        }
        Ok(Self { tensors, meta, origin: path.to_owned() })
    }

    /// The newest good checkpoint: what `latest` names, else the others from the highest step down.
    ///
    /// # Errors
    /// [`Error::File`] when none can be read; the first failure is told.
    pub fn load_latest(dir: &Path) -> Result<(Self, Option<Warning>)> {
        Self::latest(dir, Self::load)
    }

    /// [`Checkpoint::load_latest`], of which only the tensors under some prefixes are read and verified.
    ///
    /// # Errors
    /// As [`Checkpoint::load_latest`].
    pub fn load_latest_part(dir: &Path, sections: &[&str]) -> Result<(Self, Option<Warning>)> {
        Self::latest(dir, |path| Self::load_part(path, sections))
    }

    fn latest(dir: &Path, read: impl Fn(&Path) -> Result<Self>) -> Result<(Self, Option<Warning>)> {
        let mut candidates: Vec<_> = list(dir)?.into_iter().rev().map(|(_, p)| p).collect();
        if let Ok(name) = std::fs::read_to_string(dir.join(LATEST)) {
            let named = dir.join(name.trim());
            candidates.retain(|p| *p != named);
            candidates.insert(0, named);
        }
        let mut bad: Option<(PathBuf, TrainError)> = None;
        for used in candidates {
            match read(&used) {
                Ok(c) => {
                    let warning = bad.map(|(bad, e)| Warning { bad, reason: reason_of(e), used });
                    return Ok((c, warning));
                }
                Err(e) => bad = bad.or(Some((used, e))),
            }
        }
        Err(match bad {
            Some((path, e)) => Error::file(&path, format!("{}; no other checkpoint is usable", reason_of(e))),
            None => Error::file(dir, "holds no checkpoint (step-*.safetensors)"),
        }
        .into())
    }
}

/// What is wrong with a file, without its name.
fn reason_of(e: TrainError) -> String {
    match e {
        TrainError::Model(Error::File { reason, .. }) => reason,
        other => other.to_string(),
    }
}

/// CRC-32C of every tensor's name, type, shape and bytes, and of the metadata, in order.
fn checksum(tensors: &BTreeMap<String, Tensor>, meta: &BTreeMap<String, String>) -> Result<String> {
    let mut crc = 0;
    for (name, t) in tensors {
        crc = crc32c::crc32c_append(crc, format!("{name}\0{:?}{:?}\0", t.dtype(), t.dims()).as_bytes());
        crc = crc32c::crc32c_append(crc, &safetensors::View::data(&t));
    }
    for (k, v) in meta {
        crc = crc32c::crc32c_append(crc, format!("{k}\0{v}\0").as_bytes());
    }
    Ok(format!("{crc:08x}"))
}

/// The prefix that a tensor lies under.
fn section_of(name: &str) -> &str {
    name.split_once('.').map_or(name, |(section, _)| section)
}

/// Each section's checksum under its key.
fn section_checksums(tensors: &BTreeMap<String, Tensor>) -> Result<BTreeMap<String, String>> {
    let mut sections: BTreeMap<&str, BTreeMap<String, Tensor>> = BTreeMap::new();
    for (name, t) in tensors {
        sections.entry(section_of(name)).or_default().insert(name.clone(), t.clone());
    }
    let none = BTreeMap::new();
    sections.into_iter().map(|(name, t)| Ok((format!("{SECTION_CRC}{name}"), checksum(&t, &none)?))).collect()
}

/// The folder's checkpoints, ascending by step.
///
/// # Errors
/// [`Error::File`] when the folder cannot be listed.
pub fn list(dir: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let entries = std::fs::read_dir(dir).map_err(|e| Error::file_because(dir, "cannot be listed", e))?;
    let step = |p: &Path| -> Option<u64> {
        p.file_name()?.to_str()?.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok()
    };
    let mut found: Vec<_> = entries.flatten().filter_map(|e| Some((step(&e.path())?, e.path()))).collect();
    found.sort();
    Ok(found)
}

/// Removes all but the `keep` (at least one) newest checkpoints.
///
/// # Errors
/// [`Error::File`] for one that cannot be removed.
pub(crate) fn prune(dir: &Path, keep: usize) -> Result<()> {
    let found = list(dir)?;
    let extra = found.len().saturating_sub(keep.max(1));
    for (_, path) in &found[..extra] {
        std::fs::remove_file(path).map_err(|e| Error::file_because(path, "cannot be removed", e))?;
    }
    Ok(())
}

/// Dotted keys whose values differ between two TOML documents, or that only one of them has.
///
/// # Errors
/// [`TrainError::Config`] when one is not TOML.
pub fn diff_config(saved: &str, wanted: &str) -> Result<Vec<String>> {
    let flat = |field: &str, text: &str| -> Result<BTreeMap<String, String>> {
        let table: toml::Table =
            text.parse().map_err(|e| TrainError::Config(format!("{field}: not TOML: {e}")))?;
        let mut out = BTreeMap::new();
        flatten("", &toml::Value::Table(table), &mut out);
        Ok(out)
    };
    let (a, b) = (flat("saved configuration", saved)?, flat("wanted configuration", wanted)?);
    let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
    Ok(keys.into_iter().filter(|k| a.get(*k) != b.get(*k)).cloned().collect())
}

fn flatten(prefix: &str, value: &toml::Value, out: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(t) => t.iter().for_each(|(k, v)| {
            let key = if prefix.is_empty() { k.clone() } else { format!("{prefix}.{k}") };
            flatten(&key, v, out);
        }),
        v => drop(out.insert(prefix.to_owned(), v.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(x: f32) -> Checkpoint {
        let mut c = Checkpoint::default();
        let t = Tensor::new(&[[x, 2., 3.]], &HOST).unwrap();
        c.insert_all("g", [("a.weight".to_owned(), t.clone()), ("b".to_owned(), t)]);
        c.insert_all("g_avg", [("b".to_owned(), Tensor::new(5i64, &HOST).unwrap())]);
        c.meta.extend((0..8).map(|i| (format!("key{i}"), format!("{x}"))));
        c
    }

    fn first(c: &Checkpoint) -> f32 {
        c.tensors["g.b"].to_vec2::<f32>().unwrap()[0][0]
    }

    #[test]
    fn what_was_saved_comes_back_in_the_same_bytes() -> Result<()> {
        let dir = tempfile::tempdir().unwrap();
        let path = sample(1.).save(dir.path(), 123)?;
        assert!(path.ends_with("step-000123.safetensors"));
        let back = Checkpoint::load(&path)?;
        assert_eq!(back.meta, sample(1.).meta);
        assert_eq!(back.to_bytes()?, std::fs::read(&path).unwrap());
        assert_eq!(back.section("g").into_keys().collect::<Vec<_>>(), ["a.weight", "b"]);
        assert_eq!(back.get::<f32>("key0")?, 1.);
        assert!(back.get::<f32>("nokey").unwrap_err().to_string().contains("nokey"));
        Ok(())
    }

    #[test]
    fn truncation_and_any_flipped_bit_are_noticed() -> Result<()> {
        let dir = tempfile::tempdir().unwrap();
        sample(1.).save(dir.path(), 1)?;
        let newest = sample(2.).save(dir.path(), 2)?;
        let bytes = std::fs::read(&newest).unwrap();
        for len in [0, 1, 7, 8, 9, 100, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&newest, &bytes[..len]).unwrap();
            let (c, warning) = Checkpoint::load_latest(dir.path())?;
            let w = warning.unwrap();
            assert!(
                first(&c) == 1. && w.bad == newest && w.used.ends_with("step-000001.safetensors"),
                "{len}"
            );
        }
        for i in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[i] ^= 4;
            std::fs::write(&newest, &damaged).unwrap();
            assert!(Checkpoint::load(&newest).is_err(), "byte {i}");
        }
        std::fs::write(&newest, &bytes).unwrap();
        let (c, warning) = Checkpoint::load_latest(dir.path())?;
        assert!(first(&c) == 2. && warning.is_none());
        Ok(())
    }

    #[test]
    fn a_part_is_verified_without_the_rest() -> Result<()> {
        let dir = tempfile::tempdir().unwrap();
        let path = sample(3.).save(dir.path(), 1)?;
        let part = Checkpoint::load_part(&path, &["g"])?;
        assert_eq!(part.tensors.into_keys().collect::<Vec<_>>(), ["g.a.weight", "g.b"]);
        assert_eq!(part.meta, sample(3.).meta);
        let bytes = std::fs::read(&path).unwrap();
        let (mut told, mut unseen) = (0, 0);
        for i in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[i] ^= 4;
            std::fs::write(&path, &damaged).unwrap();
            match Checkpoint::load_part(&path, &["g"]) {
                Err(_) => told += 1,
                // What the rest holds is not looked at; what was asked for is as it was.
                Ok(c) => {
                    unseen += 1;
                    let same = c.meta == sample(3.).meta && first(&c) == 3. && c.tensors.len() == 2;
                    assert!(same, "byte {i} changed what was read");
                }
            }
        }
        assert!(told > bytes.len() / 2 && unseen >= 8, "{told} told, {unseen} not");
        Ok(())
    }

    #[test]
    fn the_version_before_is_still_read() -> Result<()> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("step-000001.safetensors");
        let Checkpoint { tensors, mut meta, .. } = sample(1.);
        meta.insert(VERSION_KEY.into(), WHOLE_VERSION.into());
        let crc = checksum(&tensors, &meta)?;
        meta.insert(CRC_KEY.into(), crc);
        std::fs::write(&path, file::to_bytes(&tensors, &meta)?).unwrap();
        assert_eq!(Checkpoint::load(&path)?.meta, sample(1.).meta);
        assert_eq!(Checkpoint::load_latest_part(dir.path(), &["g_avg"])?.0.tensors.len(), 3);
        let mut damaged = std::fs::read(&path).unwrap();
        *damaged.last_mut().unwrap() ^= 1;
        std::fs::write(&path, damaged).unwrap();
        assert!(Checkpoint::load_part(&path, &["g"]).is_err());
        Ok(())
    }

    struct Full(std::fs::File, usize);
    impl Write for Full {
        fn write(&mut self, b: &[u8]) -> std::io::Result<usize> {
            if self.1 == 0 {
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            let n = self.0.write(&b[..b.len().min(self.1)])?;
            self.1 -= n;
            Ok(n)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            self.0.flush()
        }
    }

    #[test]
    fn a_full_disk_leaves_the_earlier_checkpoint_and_nothing_else() -> Result<()> {
        let dir = tempfile::tempdir().unwrap();
        sample(1.).save(dir.path(), 1)?;
        for room in [0, 10, 300] {
            let e = sample(2.).save_through(dir.path(), 2, |f| Full(f, room)).unwrap_err();
            assert!(e.to_string().contains("step-000002.safetensors"), "{e}");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
            assert_eq!(first(&Checkpoint::load_latest(dir.path())?.0), 1.);
        }
        Ok(())
    }

    #[test]
    fn pruning_keeps_the_newest_and_an_empty_folder_is_named() -> Result<()> {
        let dir = tempfile::tempdir().unwrap();
        assert!(Checkpoint::load_latest(dir.path()).unwrap_err().to_string().contains("no checkpoint"));
        for step in [5, 1, 9, 7] {
            sample(1.).save(dir.path(), step)?;
        }
        prune(dir.path(), 2)?;
        assert_eq!(list(dir.path())?.iter().map(|x| x.0).collect::<Vec<_>>(), [7, 9]);
        Ok(())
    }

    #[test]
    fn differing_configuration_keys_are_named() -> Result<()> {
        let a = "seed = 1\n[model.g]\nngf = 32\nr = 1\n";
        let b = "seed = 1\n[model.g]\nngf = 24\nr = 1\n[data]\nsize = 64\n";
        assert_eq!(diff_config(a, b)?, ["data.size", "model.g.ngf"]);
        assert!(diff_config(a, a)?.is_empty() && diff_config("=", a).is_err());
        Ok(())
    }
}
