//! Import circles: files of one crate that need each other, directly or through others.
//!
//! Every crate is read with its module tree: `use` with groups, globs, `super`, `self` and `crate`, paths written in place,
//! also inside macro calls, and re-exports, which count for the file that defines the item. Code that only tests have is
//! left out.
mod edges;
mod modules;
mod resolve;
mod tokens;

#[cfg(test)]
mod tests;

use super::{File, Tree, Violation};
use edges::{Edges, Node};
use modules::Crate;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for root in roots(tree) {
        let krate = Crate::read(tree, root);
        for (file, line, why) in &krate.unreadable {
            let what = format!("cannot be read as Rust: {why}");
            found.push(Violation { file: file.clone(), line: *line, what });
        }
        let edges = edges::edges(&krate);
        found.extend(circles(&edges).iter().map(|circle| violation(&krate, &edges, circle)));
    }
    found
}

/// Root files of libraries and binaries.
fn roots(tree: &Tree) -> impl Iterator<Item = &File> {
    tree.rust().filter(|file| {
        let parts: Vec<_> = file.path.iter().map(|p| p.to_str().unwrap_or_default()).collect();
        let Some(src) = parts.iter().position(|p| *p == "src") else { return false };
        let package = parts[..src].iter().collect::<PathBuf>();
        tree.get(package.join("Cargo.toml")).is_some()
            && matches!(parts[src + 1..], ["lib.rs" | "main.rs"] | ["bin", _] | ["bin", _, "main.rs"])
    })
}

/// Groups of nodes of several files each of which leads to every other.
fn circles(edges: &Edges) -> Vec<BTreeSet<Node>> {
    let mut next = BTreeMap::<Node, Vec<Node>>::new();
    for (from, to) in edges.keys() {
        next.entry(*from).or_default().push(*to);
    }
    let reached_from = |node: &Node| {
        let (mut reached, mut todo) = (BTreeSet::new(), vec![*node]);
        while let Some(at) = todo.pop() {
            todo.extend(next.get(&at).into_iter().flatten().filter(|to| reached.insert(**to)));
        }
        reached
    };
    let reached: BTreeMap<Node, BTreeSet<Node>> =
        next.keys().map(|node| (*node, reached_from(node))).collect();
    let mut found: Vec<BTreeSet<Node>> = Vec::new();
    for (node, others) in &reached {
        if found.iter().any(|circle| circle.contains(node)) {
            continue;
        }
        let back = |other: &&Node| reached.get(other).is_some_and(|r| r.contains(node));
        let circle: BTreeSet<Node> = others.iter().filter(back).copied().collect();
        if circle.iter().any(|other| other.0 != node.0) {
            found.push(circle);
        }
    }
    found
}

/// Names every file of the circle, and for each one line that leads on.
fn violation(krate: &Crate, edges: &Edges, circle: &BTreeSet<Node>) -> Violation {
    let mut steps = BTreeMap::new();
    for ((from, to), reason) in edges {
        if from.0 != to.0 && circle.contains(from) && circle.contains(to) {
            steps.entry(&krate.files[from.0]).or_insert((reason, &krate.files[to.0]));
        }
    }
    let text = steps.iter().map(|(from, (reason, to))| {
        let path = reason.segments.join("::");
        format!("{}:{} takes `{path}` from {}", from.display(), reason.line, to.display())
    });
    let what = format!(
        "import circle of {} files: {}; move what they share into a file below them",
        steps.len(),
        text.collect::<Vec<_>>().join("; ")
    );
    let (file, line) = steps
        .first_key_value()
        .map_or((PathBuf::new(), 1), |(file, (reason, _))| ((*file).clone(), reason.line));
    Violation { file, line, what }
}
