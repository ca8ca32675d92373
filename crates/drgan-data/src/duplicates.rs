//! Pictures of a set with the same bytes: copies weigh more in training, and a copy of one that is held out is a leak.
use crate::dataset::Dataset;
use crate::formats::{PassedOver, Reason};
use crate::record::{Location, Split};
use rayon::prelude::*;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Bytes from the end that are compared before whole pictures are: compressed pictures that differ, differ there.
const TAIL: u64 = 4096;

impl Dataset {
    /// What a user should know of pictures with the same bytes under several keys. Reads the ends of pictures of the same
    /// size, and pictures whose ends are the same. Those that cannot be read are left to whoever reads them.
    pub fn duplicates(&self) -> Vec<String> {
        let mut passed = PassedOver::default();
        let all: Vec<usize> = (0..self.records().len()).collect();
        let sizes = self.alike(vec![all], |location| location.size().ok());
        let ends = self.alike(sizes, |location| location.tail(TAIL).ok().map(hash));
        let whole = self.alike(ends, |location| {
            // The end of a small one was the whole.
            if location.size().ok()? <= TAIL { Some(0) } else { location.read().ok().map(hash) }
        });
        for group in whole {
            let held_out = |index: &&usize| Split::HeldOut.holds(&self.records()[**index]);
            let leaks =
                group.iter().any(|index| held_out(&index)) && !group.iter().all(|index| held_out(&index));
            for index in group.iter().filter(|index| leaks && !held_out(index)) {
                passed.add(Reason::SameContentsBothParts, self.name(*index));
            }
            if !leaks {
                group[1..].iter().for_each(|index| passed.add(Reason::SameContents, self.name(*index)));
            }
        }
        passed.notes()
    }

    /// Divides each group of records by what `of` says of their pictures; groups of one are left out, as are the records that
    /// it says nothing of.
    fn alike<T: Hash + Eq + Send>(
        &self,
        groups: Vec<Vec<usize>>,
        of: impl Fn(&Location) -> Option<T> + Sync,
    ) -> Vec<Vec<usize>> {
        let divide = |group: Vec<usize>| {
            let told: Vec<_> = group.into_par_iter().map(|index| (of(self.location(index)), index)).collect();
            let mut by: HashMap<T, Vec<usize>> = HashMap::new();
            for (told, index) in told {
                if let Some(told) = told {
                    by.entry(told).or_default().push(index);
                }
            }
            by.into_values().filter(|group| group.len() > 1).collect::<Vec<_>>()
        };
        groups.into_iter().flat_map(divide).collect()
    }
}

fn hash(bytes: Vec<u8>) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_sets::{entries, open_tar, tar_of};

    #[test]
    fn pictures_with_the_same_bytes_are_told_and_leaks_named() {
        let mut all = entries(30);
        let data = open_tar(&tar_of(&all)).unwrap();
        assert!(data.duplicates().is_empty(), "{:?}", data.duplicates());
        let (train, held) = (data.split(Split::Train), data.split(Split::HeldOut));
        all[3 * train[1]].1 = all[3 * train[0]].1.clone();
        all[3 * train[2]].1 = all[3 * held[0]].1.clone();
        // Alike in size and in their ends, but not the same.
        for (at, first) in [(train[3], 1_u8), (train[4], 2)] {
            all[3 * at].1 = [vec![first], vec![0; 10_000]].concat();
        }
        let data = open_tar(&tar_of(&all)).unwrap();
        let notes = data.duplicates();
        let name =
            |index: usize| format!("1 picture has the bytes of another one, first k{index:03}.png: kept");
        assert_eq!(notes[0], name(train[1]));
        let leak = format!("first k{:03}.png", train[2]);
        assert!(notes[1].contains("of one that is held out") && notes[1].contains(&leak), "{notes:?}");
        assert_eq!(notes.len(), 2, "{notes:?}");
    }
}
