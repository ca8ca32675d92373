//! Two checkpoints, tensor by tensor, and what is noted beside the tensors.
use anyhow::{Context, Result};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use std::collections::{BTreeMap, BTreeSet};

/// What a comparison found about one network: the tensors whose names begin alike.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Network {
    /// Tensors with the same bits, under the same name or another.
    pub(super) equal: usize,
    /// Of these, under another name.
    pub(super) renamed: usize,
    /// Names of tensors that differ or are in one file only.
    pub(super) differ: Vec<String>,
}

/// The networks of both files by name. A tensor under a new name counts as equal if type, shape and bits are.
///
/// # Errors
/// One of the two is no safetensors file.
pub(super) fn compare(old: &[u8], new: &[u8]) -> Result<BTreeMap<String, Network>> {
    let mut old = tensors(old).context("the old checkpoint")?;
    let mut new = tensors(new).context("the new checkpoint")?;
    let mut networks = BTreeMap::<String, Network>::new();
    let mut network = |name: &str, note: fn(&mut Network, &str)| {
        let start = name.split_once('.').map_or(name, |(start, _)| start);
        note(networks.entry(start.to_owned()).or_default(), name);
    };
    let both: Vec<String> = old.keys().filter(|name| new.contains_key(*name)).cloned().collect();
    for name in both {
        let same = old.remove(&name) == new.remove(&name);
        network(&name, if same { |n, _| n.equal += 1 } else { |n, name| n.differ.push(name.to_owned()) });
    }
    for (name, tensor) in old {
        let moved = new.iter().find(|(_, other)| **other == tensor).map(|(name, _)| name.clone());
        let Some(moved) = moved else {
            network(&name, |n, name| n.differ.push(format!("{name} (old only)")));
            continue;
        };
        new.remove(&moved);
        network(&name, |n, _| (n.equal, n.renamed) = (n.equal + 1, n.renamed + 1));
    }
    for name in new.keys() {
        network(name, |n, name| n.differ.push(format!("{name} (new only)")));
    }
    Ok(networks)
}

/// The key that checkpoints keep their notes under, as JSON.
const NOTES: &str = "drgan";

/// Keys of what the files note beside their tensors (step, phase, positions of the random streams, early measurements) that
/// one lacks or has with another value. The settings' text, checksums and the format's version may differ.
///
/// # Errors
/// One of the two is no safetensors file, or has no such notes.
pub(super) fn notes_that_differ(old: &[u8], new: &[u8]) -> Result<Vec<String>> {
    let old = notes(old).context("the old checkpoint")?;
    let new = notes(new).context("the new checkpoint")?;
    let value =
        |of: &BTreeMap<String, String>, key: &str| of.get(key).cloned().unwrap_or_else(|| "none".to_owned());
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differ = keys.into_iter().filter(|key| old.get(*key) != new.get(*key));
    Ok(differ.map(|key| format!("{key} ({}, now {})", value(&old, key), value(&new, key))).collect())
}

fn notes(file: &[u8]) -> Result<BTreeMap<String, String>> {
    let (_, header) = SafeTensors::read_metadata(file)?;
    let json = header.metadata().as_ref().and_then(|m| m.get(NOTES)).context("it notes no step")?;
    let mut notes: BTreeMap<String, String> = serde_json::from_str(json)?;
    notes.retain(|key, _| !matches!(key.as_str(), "config" | "format_version") && !key.starts_with("crc32c"));
    Ok(notes)
}

fn tensors(file: &[u8]) -> Result<BTreeMap<String, TensorView<'_>>> {
    Ok(SafeTensors::deserialize(file)?.tensors().into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::Dtype;

    fn file(tensors: &[(&str, [u8; 4])]) -> Vec<u8> {
        let views = tensors.iter().map(|(name, data)| {
            (*name, TensorView::new(Dtype::F32, vec![1], data).expect("four bytes are one number"))
        });
        safetensors::serialize(views, None).expect("valid tensors")
    }

    #[test]
    fn bits_count_and_names_do_not() -> Result<()> {
        let old = file(&[("g.a", [1; 4]), ("g.b", [2; 4]), ("d.a", [3; 4])]);
        assert!(compare(&old, &old)?.values().all(|n| n.differ.is_empty() && n.renamed == 0));
        let renamed = file(&[("g.a", [1; 4]), ("generator.b", [2; 4]), ("d.a", [3; 4])]);
        let found = compare(&old, &renamed)?;
        assert_eq!(found["g"], Network { equal: 2, renamed: 1, differ: Vec::new() });
        assert_eq!(found.len(), 2, "{found:?}");
        Ok(())
    }

    #[test]
    fn positions_and_measurements_count_and_settings_do_not() -> Result<()> {
        let file = |notes: &[(&str, &str)]| {
            let json = serde_json::to_string(&notes.iter().copied().collect::<BTreeMap<_, _>>());
            let info = std::collections::HashMap::from([(NOTES.to_owned(), json.expect("strings are JSON"))]);
            let none: [(&str, TensorView<'_>); 0] = [];
            safetensors::serialize(none, Some(info)).expect("no tensors are valid")
        };
        let old =
            file(&[("step", "6"), ("random.g", "10"), ("config", "a"), ("crc32c.g", "1"), ("crc32c", "2")]);
        let same = file(&[("step", "6"), ("random.g", "10"), ("config", "b"), ("format_version", "4")]);
        assert!(notes_that_differ(&old, &same)?.is_empty());
        let new = file(&[("step", "6"), ("random.g", "11"), ("early_kid", "0.5")]);
        assert_eq!(notes_that_differ(&old, &new)?, ["early_kid (none, now 0.5)", "random.g (10, now 11)"]);
        let bare = safetensors::serialize([] as [(&str, TensorView<'_>); 0], None).expect("valid");
        assert!(notes_that_differ(&old, &bare).is_err());
        Ok(())
    }

    #[test]
    fn a_changed_a_missing_and_a_new_tensor_are_named() -> Result<()> {
        let old = file(&[("g.a", [1; 4]), ("g.b", [2; 4])]);
        // Minus zero is not zero: numbers that are equal may have other bits.
        let zeros = (file(&[("g.a", [0; 4])]), file(&[("g.a", [0, 0, 0, 0x80])]));
        assert_eq!(compare(&zeros.0, &zeros.1)?["g"].differ, ["g.a"]);
        let new = file(&[("g.a", [9; 4]), ("g.c", [3; 4])]);
        assert_eq!(compare(&old, &new)?["g"].differ, ["g.a", "g.b (old only)", "g.c (new only)"]);
        assert!(compare(&old, b"no checkpoint").is_err());
        Ok(())
    }
}
