//! Rules about documents: links lead somewhere, comments cite sections that exist, the overview stays one.
use super::{File, Tree, Violation};
use std::path::{Component, Path, PathBuf};

const DIVERGENCES: &str = "docs/divergences.md";
const OVERVIEW: &str = "docs/architecture.md";
/// Lines that the overview may have; details have documents of their own.
const OVERVIEW_LINES: usize = 120;

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|f| f.is("md")) {
        links(tree, file, &mut found);
    }
    citations(tree, &mut found);
    if let Some(file) = tree.get(OVERVIEW)
        && file.text.lines().count() > OVERVIEW_LINES
    {
        let what = format!("more than {OVERVIEW_LINES} lines: move details into a document of their own");
        found.push(file.at(OVERVIEW_LINES + 1, what));
    }
    found
}

/// Lines outside code blocks, numbered from 1, inline code removed.
fn prose(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(i, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then(|| (i + 1, line.split('`').step_by(2).collect::<Vec<_>>().join("`")))
    })
}

fn links(tree: &Tree, file: &File, found: &mut Vec<Violation>) {
    for (i, line) in prose(&file.text) {
        for target in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let folder = file.path.parent().unwrap_or(Path::new(""));
            let path = if path.is_empty() { file.path.clone() } else { plain(&folder.join(path)) };
            let exists = tree.files.iter().any(|f| f.path.starts_with(&path)) || path.as_os_str().is_empty();
            if !exists {
                found.push(file.at(i, format!("link `{target}`: there is no {}", path.display())));
            } else if let Some(page) = tree.get(&path).filter(|f| f.is("md") && !heading.is_empty())
                && !headings(page).contains(&heading.to_owned())
            {
                found.push(file.at(i, format!("link `{target}`: no such heading there")));
            }
        }
    }
}

/// `a/../b` as `b`.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(out.pop()),
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

/// A page's headings as they are written.
fn titles(page: &File) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    let titles = page.text.lines().filter(move |line| {
        fenced ^= line.trim_start().starts_with("```");
        !fenced && line.starts_with('#')
    });
    titles.map(|line| line.trim_start_matches('#').trim())
}

/// Anchors of a page's headings, as GitHub makes them.
fn headings(page: &File) -> Vec<String> {
    let slug = |title: &str| -> String {
        let kept = title.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
    };
    titles(page).map(slug).collect()
}

/// The first column of a page's tables: each row's name.
fn topics(page: &File) -> impl Iterator<Item = &str> {
    let rows = page.text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    rows.map(|cell| cell.trim_matches(|c| "*` ".contains(c)))
}

/// Every "docs/PAGE.md, NAME" of a comment is a heading of one of these pages, or a row of the table of divergences.
fn citations(tree: &Tree, found: &mut Vec<Violation>) {
    for path in [DIVERGENCES, "docs/model.md", "docs/benchmarks.md"] {
        let page = tree.get(path);
        let rows = page.filter(|_| path == DIVERGENCES).into_iter().flat_map(topics);
        let known: Vec<String> =
            page.into_iter().flat_map(titles).chain(rows).map(str::to_lowercase).collect();
        cited(tree, path, &known, found);
    }
}

fn cited(tree: &Tree, page: &str, known: &[String], found: &mut Vec<Violation>) {
    let needle = format!("{page},");
    for file in tree.rust().filter(|f| !f.path.starts_with("xtask")) {
        // Comments wrap: read on into the next line.
        let lines: Vec<_> =
            file.text.lines().map(|l| l.trim().trim_start_matches(['/', '!']).trim()).collect();
        for (i, line) in lines.iter().enumerate() {
            let Some((_, after)) = line.split_once(&needle) else { continue };
            let text = format!("{after} {}", lines.get(i + 1).unwrap_or(&""));
            let name =
                text.split(|c| ").;:,]`\"".contains(c)).next().unwrap_or_default().trim().to_lowercase();
            if !known.contains(&name) {
                found.push(file.at(i + 1, format!("`{name}` is no line of {page}: add it, or name another")));
            }
        }
    }
}
