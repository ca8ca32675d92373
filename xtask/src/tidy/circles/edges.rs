//! Which file needs which, and for what.
use super::modules::{Crate, Meaning};
use super::resolve::Target;
use super::tokens::Written;
use std::collections::{BTreeMap, BTreeSet};

/// A file, or, where it has children, one of its items. Such a file may hold what its children share and what puts them
/// together: that is a circle only if one item is both.
pub(super) type Node = (usize, Option<usize>);

/// The first reason of each node to need each other one.
pub(super) type Edges = BTreeMap<(Node, Node), Written>;

/// An item, and what it takes from where.
struct Needs {
    module: usize,
    names: Vec<String>,
    takes: Vec<(usize, String, Written)>,
}

/// To import a module is no need: only what is taken from it counts, and it counts for the file that defines it. So a parent
/// that declares its children and re-exports their items needs none of them.
pub(super) fn edges(krate: &Crate) -> Edges {
    let items = needs(krate);
    let file = |module: usize| krate.modules[module].file;
    let parents: BTreeSet<usize> =
        krate.modules.iter().filter_map(|m| m.parent.map(file).filter(|parent| *parent != m.file)).collect();
    let node =
        |module: usize, item: Option<usize>| (file(module), item.filter(|_| parents.contains(&file(module))));
    let mut places = BTreeMap::new();
    for (i, item) in items.iter().enumerate() {
        places.extend(item.names.iter().map(|name| ((item.module, name.as_str()), i)));
    }
    let mut edges = Edges::new();
    for (i, item) in items.iter().enumerate() {
        for (module, name, reason) in &item.takes {
            let from = node(item.module, Some(i));
            let to = node(*module, places.get(&(*module, name.as_str())).copied());
            if from != to {
                let first = edges.entry((from, to)).or_insert_with(|| reason.clone());
                if reason.line < first.line {
                    *first = reason.clone();
                }
            }
        }
    }
    edges
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
            all.push(Needs { module: id, names: part.names.clone(), takes });
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
            all.push(Needs { module: id, names: Vec::new(), takes });
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
