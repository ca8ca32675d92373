//! Rules about documents: links lead somewhere, comments name divergences that exist, the overview stays one.
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
    divergences(tree, &mut found);
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

/// Anchors of a page's headings, as GitHub makes them.
fn headings(page: &File) -> Vec<String> {
    let mut fenced = false;
    let titles = page.text.lines().filter(move |line| {
        fenced ^= line.trim_start().starts_with("```");
        !fenced && line.starts_with('#')
    });
    let slug = |title: &str| -> String {
        let kept = title.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
    };
    titles.map(|line| slug(line.trim_start_matches('#').trim())).collect()
}

/// The first column of the table: each line's name.
fn topics(text: &str) -> Vec<String> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    rows.map(|cell| cell.trim_matches(|c| "*` ".contains(c)).to_lowercase()).collect()
}

/// Every "docs/divergences.md, NAME" of a comment is a line of the table.
fn divergences(tree: &Tree, found: &mut Vec<Violation>) {
    let known = tree.get(DIVERGENCES).map(|f| topics(&f.text)).unwrap_or_default();
    let needle = format!("{DIVERGENCES},");
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
                found.push(
                    file.at(i + 1, format!("`{name}` is no line of {DIVERGENCES}: add it, or name another")),
                );
            }
        }
    }
}
