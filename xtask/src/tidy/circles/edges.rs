//! Which file needs which, and for what.
use super::modules::{Crate, Meaning};
use super::resolve::Target;
use super::tokens::Written;
use std::collections::{BTreeMap, BTreeSet};

/// A file, or one of two halves of a file that has children: what its children may share, and what puts them together
/// (`true`). A file with children often has both, and that is no circle: the children need the first, the second needs them.
pub(super) type Node = (usize, bool);

/// The first reason of each node to need each other one.
pub(super) type Edges = BTreeMap<(Node, Node), Written>;

/// An item, and what it takes from where.
struct Needs {
    module: usize,
    names: Vec<String>,
    takes: Vec<(usize, String, Written)>,
    /// Whether it needs a file below its own, itself or through others of its file.
    above: bool,
}

/// To import a module is no need: only what is taken from it counts, and it counts for the file that defines it. So a parent
/// that declares its children and re-exports their items needs none of them.
pub(super) fn edges(krate: &Crate) -> Edges {
    let mut all = needs(krate);
    let file = |module: usize| krate.modules[module].file;
    let below = |from: usize, to: usize| {
        let mut up = krate.modules[to].parent;
        while let Some(module) = up.filter(|m| file(*m) != file(from)) {
            up = krate.modules[module].parent;
        }
        up.is_some() && file(to) != file(from)
    };
    loop {
        let high: BTreeSet<(usize, String)> = all
            .iter()
            .filter(|n| n.above)
            .flat_map(|n| n.names.iter().map(|name| (n.module, name.clone())))
            .collect();
        let mut changed = false;
        for item in all.iter_mut().filter(|n| !n.above) {
            item.above = item.takes.iter().any(|(module, name, _)| {
                below(item.module, *module)
                    || (file(*module) == file(item.module) && high.contains(&(*module, name.clone())))
            });
            changed |= item.above;
        }
        if changed {
            continue;
        }
        let mut edges = Edges::new();
        for item in &all {
            for (module, name, reason) in &item.takes {
                let from = (file(item.module), item.above);
                let to = (file(*module), high.contains(&(*module, name.clone())));
                if from.0 != to.0 {
                    let first = edges.entry((from, to)).or_insert_with(|| reason.clone());
                    if reason.line < first.line {
                        *first = reason.clone();
                    }
                }
            }
        }
        return edges;
    }
}

/// Every item with what it takes; imports that no path names (traits, for their methods) are items of their own.
fn needs(krate: &Crate) -> Vec<Needs> {
    let mut all = Vec::new();
    for (id, module) in krate.modules.iter().enumerate() {
        for part in &module.parts {
            let mut takes = Vec::new();
            for path in &part.paths {
                take(&mut takes, krate.targets(id, path), krate.reason(id, path));
            }
            all.push(Needs { module: id, names: part.names.clone(), takes, above: false });
        }
        let named =
            |name: &String| module.parts.iter().flat_map(|p| &p.paths).any(|p| p.segments[0] == *name);
        let imports = module.names.iter().filter(|(name, _)| !named(name)).flat_map(|(_, m)| m);
        let unnamed = imports.filter_map(|meaning| match meaning {
            Meaning::Import { path, shared: false } => Some(path),
            _ => None,
        });
        for path in unnamed.chain(&module.globs) {
            let targets = krate.targets(id, path);
            // A module and a function of one name, and nothing named the function: the module is meant.
            if targets.iter().any(|t| matches!(t, Target::Module(_))) {
                continue;
            }
            let mut takes = Vec::new();
            take(&mut takes, targets, path);
            all.push(Needs { module: id, names: Vec::new(), takes, above: false });
        }
    }
    all
}

fn take(takes: &mut Vec<(usize, String, Written)>, targets: Vec<Target>, reason: &Written) {
    takes.extend(targets.into_iter().filter_map(|target| match target {
        Target::Item(module, name) => Some((module, name, reason.clone())),
        Target::Module(_) => None,
    }));
}

impl Crate {
    /// The import that brings the name `path` into module `id`, or the path itself.
    fn reason<'a>(&'a self, id: usize, path: &'a Written) -> &'a Written {
        let [name] = path.segments.as_slice() else { return path };
        let meanings = self.modules[id].names.get(name).into_iter().flatten();
        let mut imports = meanings.filter_map(|m| match m {
            Meaning::Import { path, .. } => Some(path),
            _ => None,
        });
        imports.next_back().unwrap_or(path)
    }
}
