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

/// Groups of nodes each of which leads to every other.
fn circles(edges: &Edges) -> Vec<Vec<Node>> {
    let from = |node: Node| {
        let (mut reached, mut todo) = (BTreeSet::new(), vec![node]);
        while let Some(at) = todo.pop() {
            todo.extend(edges.keys().filter(|e| e.0 == at && reached.insert(e.1)).map(|e| e.1));
        }
        reached
    };
    let reached: BTreeMap<Node, BTreeSet<Node>> = edges.keys().map(|e| (e.0, from(e.0))).collect();
    let mut found: Vec<Vec<Node>> = Vec::new();
    for (node, others) in &reached {
        if others.contains(node) && !found.iter().any(|circle| circle.contains(node)) {
            found.push(
                others.iter().filter(|o| reached.get(o).is_some_and(|r| r.contains(node))).copied().collect(),
            );
        }
    }
    found
}

/// Names every file of the circle, and for each one line that leads on.
fn violation(krate: &Crate, edges: &Edges, circle: &[Node]) -> Violation {
    let path = |node: Node| &krate.files[node.0];
    let mut steps: Vec<_> = circle
        .iter()
        .filter_map(|node| edges.iter().find(|(e, _)| e.0 == *node && circle.contains(&e.1)))
        .map(|((from, to), reason)| (path(*from), reason, path(*to)))
        .collect();
    steps.sort_by_key(|(from, reason, _)| (*from, reason.line));
    let text = steps.iter().map(|(from, reason, to)| {
        format!(
            "{}:{} takes `{}` from {}",
            from.display(),
            reason.line,
            reason.segments.join("::"),
            to.display()
        )
    });
    let files: BTreeSet<_> = steps.iter().map(|(from, ..)| from).collect();
    let what = format!(
        "import circle of {} files: {}; move what they share into a file below them",
        files.len(),
        text.collect::<Vec<_>>().join("; ")
    );
    let (file, line) =
        steps.first().map_or((PathBuf::new(), 1), |(from, reason, _)| ((*from).clone(), reason.line));
    Violation { file, line, what }
}
