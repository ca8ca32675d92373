//! From a name to the module that defines it, re-exports followed.
use super::modules::{Crate, Meaning};
use super::tokens::Written;
use std::collections::BTreeSet;

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Module(usize),
    /// An item of this name that this module defines.
    Item(usize, String),
}

/// Names that are being looked up, so that imports which lead back to themselves end.
type Open = Vec<(usize, String)>;

impl Crate {
    /// What `path`, written in module `from`, leads to; nothing where that is another crate's.
    pub(super) fn targets(&self, from: usize, path: &Written) -> Vec<Target> {
        let targets = self.resolve(from, &path.segments, &mut Open::new());
        if let ([], [name]) = (targets.as_slice(), path.segments.as_slice())
            && !self.modules[from].names.contains_key(name)
        {
            return self.macros.get(name).map(|m| Target::Item(*m, name.clone())).into_iter().collect();
        }
        targets
    }

    fn resolve(&self, from: usize, segments: &[String], open: &mut Open) -> Vec<Target> {
        let Some((first, rest)) = segments.split_first() else { return Vec::new() };
        let start = match first.as_str() {
            "crate" => vec![Target::Module(0)],
            "self" => vec![Target::Module(from)],
            "super" => self.modules[from].parent.map(Target::Module).into_iter().collect(),
            name => self.lookup(from, name, open).unwrap_or_default(),
        };
        rest.iter().fold(start, |targets, segment| self.step(targets, segment, open))
    }

    /// One segment further than `targets`.
    fn step(&self, targets: Vec<Target>, segment: &str, open: &mut Open) -> Vec<Target> {
        let modules: Vec<usize> = targets
            .iter()
            .filter_map(|t| match t {
                Target::Module(id) => Some(*id),
                Target::Item(..) => None,
            })
            .collect();
        if modules.is_empty() {
            return targets; // A variant or an associated item: it comes with the type that has it.
        }
        let mut found = BTreeSet::new();
        for id in modules {
            if segment == "super" {
                found.extend(self.modules[id].parent.map(Target::Module));
            } else if let Some(targets) = self.lookup(id, segment, open) {
                found.extend(targets);
            } else {
                found.insert(Target::Item(id, segment.to_owned())); // A name that a macro makes.
            }
        }
        found.into_iter().collect()
    }

    /// What module `id` means by `name`: none where it has no such name.
    fn lookup(&self, id: usize, name: &str, open: &mut Open) -> Option<Vec<Target>> {
        let key = (id, name.to_owned());
        let again = open.contains(&key);
        let module = &self.modules[id];
        let mut found = BTreeSet::new();
        let mut known = false;
        open.push(key);
        for meaning in module.names.get(name).into_iter().flatten() {
            known = true;
            match meaning {
                Meaning::Item => drop(found.insert(Target::Item(id, name.to_owned()))),
                Meaning::Module(child) => drop(found.insert(Target::Module(*child))),
                Meaning::Import { path, .. } if !again => {
                    found.extend(self.resolve(id, &path.segments, open))
                }
                Meaning::Import { .. } => {}
            }
        }
        for glob in module.globs.iter().filter(|_| !known && !again) {
            for target in self.resolve(id, &glob.segments, open) {
                if let Target::Module(of) = target
                    && let Some(targets) = self.lookup(of, name, open)
                {
                    found.extend(targets);
                }
            }
        }
        open.pop();
        (known || !found.is_empty()).then(|| found.into_iter().collect())
    }
}
