//! One file that holds a whole training run: networks, optimizers, positions, configuration.
use crate::error::{Result, TrainError};
use candle_core::Tensor;
use drgan_tensor::Error;
use drgan_tensor::device::HOST;
use drgan_tensor::weights::safetensors as file;
use std::collections::BTreeMap;
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

    /// Reads and verifies one file.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read, is cut short, fails its checksum or has another format version.
    pub fn load(path: &Path) -> Result<Self> {
        let (tensors, meta) = file::from_bytes(&drgan_tensor::file::read(path)?, path, &HOST)?;
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

    /// Verifies a file, one section after the other: no more than the largest is in memory.
    ///
    /// # Errors
    /// As [`Checkpoint::load`].
    pub(crate) fn verify(path: &Path) -> Result<()> {
        let (_, meta) = file::load_part(path, |_| false, &HOST)?;
        let mut sections: Vec<_> = meta.keys().filter_map(|key| key.strip_prefix(SECTION_CRC)).collect();
        sections.push(""); // the metadata alone: a file without sections is verified too
        sections.into_iter().try_for_each(|section| Self::load_part(path, &[section]).map(drop))
    }

    /// The file that it was read from; empty where it was made here.
    pub fn origin(&self) -> &Path {
        &self.origin
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
    use super::super::testing::{first, sample};
    use super::*;

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
                first(&c) == 1. && w.bad[0].0 == newest && w.used.ends_with("step-000001.safetensors"),
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

    #[test]
    fn differing_configuration_keys_are_named() -> Result<()> {
        let a = "seed = 1\n[model.g]\nngf = 32\nr = 1\n";
        let b = "seed = 1\n[model.g]\nngf = 24\nr = 1\n[data]\nsize = 64\n";
        assert_eq!(diff_config(a, b)?, ["data.size", "model.g.ngf"]);
        assert!(diff_config(a, a)?.is_empty() && diff_config("=", a).is_err());
        Ok(())
    }
}
