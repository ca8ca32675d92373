//! Hashes of what a data set holds, wherever it lies: whether it is still the one that a run was begun with.
use crate::dataset::Dataset;
use crate::record::{Location, Record};
use drgan_tensor::internal::fnv1a;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Bytes from the end of a picture that are hashed: compressed pictures that differ, differ there.
const TAIL: u64 = 1024;

/// Pictures whose ends are read; of larger sets as many, evenly spread. The sizes of all are compared.
const READ: usize = 20_000;

/// What a data set holds, as hashes: equal for the same records in another place or another format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetHashes {
    /// Number of records.
    records: usize,
    /// Of the records' keys and the parts of the set that they belong to.
    keys: String,
    /// Of captions, classes, labels and tags.
    captions: String,
    /// Of the pictures: the sizes of all, and of up to 20,000 the last bytes.
    pictures: String,
}

impl DatasetHashes {
    /// What differs first between the set that these hashes were taken of and another, in words.
    pub fn difference(&self, now: &Self) -> Option<String> {
        if self.records != now.records {
            return Some(format!("the number of images ({}, and {} now)", self.records, now.records));
        }
        let parts = [
            (&self.keys, &now.keys, "the images' names or their division into parts"),
            (&self.captions, &now.captions, "captions, classes or labels"),
            (&self.pictures, &now.pictures, "pictures"),
        ];
        parts.iter().find(|(then, now, _)| then != now).map(|(_, _, what)| (*what).to_owned())
    }
}

impl Dataset {
    /// Hashes of what the set holds. Reads the sizes of all pictures and the ends of up to 20,000.
    pub fn hashes(&self) -> DatasetHashes {
        let records = self.records();
        let every = records.len().div_ceil(READ).max(1);
        let each = |index: usize| {
            let Record { key, captions, class_id, tags, label, group: _, part } = &records[index];
            let pictures = picture(self.location(index), index.is_multiple_of(every));
            [
                fnv1a(format!("{key:?}{part:?}").as_bytes()),
                fnv1a(format!("{captions:?}{class_id:?}{tags:?}{label:?}").as_bytes()),
                pictures,
            ]
        };
        let all: Vec<[u64; 3]> = (0..records.len()).into_par_iter().map(each).collect();
        let joined = |part: usize| {
            let bytes: Vec<u8> = all.iter().flat_map(|hashes| hashes[part].to_le_bytes()).collect();
            format!("{:016x}", fnv1a(&bytes))
        };
        DatasetHashes { records: records.len(), keys: joined(0), captions: joined(1), pictures: joined(2) }
    }
}

/// Of a picture's size and, if it is to be read, its end. One that cannot be read has a hash too: whoever needs it tells of it.
fn picture(location: &Location, read: bool) -> u64 {
    let size = location.size().ok();
    let end = read.then(|| location.tail(TAIL).ok().map(|bytes| fnv1a(&bytes)));
    fnv1a(format!("{size:?}{end:?}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_sets::{entries, open_tar, tar_of};

    type Entries = Vec<(String, Vec<u8>)>;

    #[test]
    fn the_same_records_have_the_same_hashes_and_a_change_is_named() {
        let all = entries(30);
        let begun = open_tar(&tar_of(&all)).unwrap().hashes();
        let json = serde_json::to_string(&begun).unwrap();
        assert_eq!(serde_json::from_str::<DatasetHashes>(&json).unwrap(), begun);
        // In a folder, in place of the tar.
        let folder = tempfile::tempdir().unwrap();
        let plain: Vec<_> = all.iter().filter(|(name, _)| !name.ends_with("json")).cloned().collect();
        for (name, bytes) in &plain {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        let moved = Dataset::open(folder.path()).unwrap().hashes();
        assert_eq!(open_tar(&tar_of(&plain)).unwrap().hashes().difference(&moved), None);
        let changed = |change: &dyn Fn(&mut Entries)| {
            let mut all = all.clone();
            change(&mut all);
            begun.difference(&open_tar(&tar_of(&all)).unwrap().hashes())
        };
        assert_eq!(changed(&|_| {}), None);
        let said = changed(&|all| drop(all.drain(..3))).unwrap();
        assert!(said.contains("30, and 29 now"), "{said}");
        let at = |end: &str, nth: usize| {
            all.iter().enumerate().filter(|(_, (name, _))| name.ends_with(end)).nth(nth).unwrap().0
        };
        // Exchanged captions: the same texts, of other pictures.
        let said = changed(&|all| {
            let (a, b) = (at("txt", 0), at("txt", 1));
            (all[a].1, all[b].1) = (all[b].1.clone(), all[a].1.clone());
        });
        assert_eq!(said.as_deref(), Some("captions, classes or labels"));
        let said = changed(&|all| {
            let (a, b) = (at("png", 0), at("png", 1));
            (all[a].1, all[b].1) = (all[b].1.clone(), all[a].1.clone());
        });
        assert_eq!(said.as_deref(), Some("pictures"));
        let said = changed(&|all| {
            all[..3].iter_mut().for_each(|(name, _)| *name = format!("a{name}"));
        });
        assert_eq!(said.as_deref(), Some("the images' names or their division into parts"));
    }
}
