//! Rules about crates: who may depend on whom, and what each must have.
use super::{File, Tree, Violation};
use toml::Table;

/// What programs share: it knows none of our crates, and may have what programs have.
const TERMINAL: &str = "drgan-terminal";

/// Of our crates, those that each may depend on, from the bottom up; whoever is not named may depend on all but the program.
/// The model crates share drgan-tensor and never see each other.
const MAY_KNOW: [(&str, &[&str]); 11] = [
    (TERMINAL, &[]),
    ("drgan-kernels", &[]),
    ("drgan-tensor", &["drgan-kernels"]),
    ("drgan-text", &["drgan-tensor"]),
    ("drgan-sdm", &["drgan-tensor"]),
    ("drgan-dnm", &["drgan-tensor"]),
    ("drgan-losses", &["drgan-tensor"]),
    ("drgan-metrics", &["drgan-tensor"]),
    ("drgan-data", &["drgan-tensor"]),
    ("drgan-infer", &["drgan-tensor", "drgan-text", "drgan-sdm"]),
    ("drgan-pretrained", &["drgan-infer"]),
];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|f| f.path.ends_with("Cargo.toml")) {
        match file.text.parse::<Table>() {
            Err(e) => found.push(file.at(1, format!("not TOML: {}", e.message()))),
            Ok(manifest) => {
                dependencies(file, &manifest, &mut found);
                if file.member().is_some() && file.path.iter().count() == 3 {
                    furniture(tree, file, &manifest, &mut found);
                }
            }
        }
    }
    found
}

/// Every dependency's name, for building, testing and running, of all platforms.
fn names(manifest: &Table) -> Vec<String> {
    let mut tables = vec![manifest];
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    tables.extend(targets.into_iter().flat_map(Table::values).filter_map(toml::Value::as_table));
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let found = tables.iter().flat_map(|t| kinds.iter().filter_map(|k| t.get(*k)?.as_table()));
    found.flat_map(Table::keys).cloned().collect()
}

fn dependencies(file: &File, manifest: &Table, found: &mut Vec<Violation>) {
    let is_xtask = file.path.starts_with("xtask");
    let allowed = MAY_KNOW.iter().find(|(name, _)| file.member() == Some(name)).map(|(_, allowed)| *allowed);
    let program = file.member().is_none_or(|name| [TERMINAL, "drgan"].contains(&name));
    for name in names(manifest) {
        let line = 1 + file.text.lines().position(|l| l.trim_start().starts_with(&name)).unwrap_or(0);
        let own_crate = name == "drgan" || name.starts_with("drgan-");
        if is_xtask && name != TERMINAL && (own_crate || name.starts_with("candle")) {
            found.push(file.at(line, format!("xtask must not depend on `{name}`: call the binary instead")));
        }
        if !program && ["anyhow", "clap"].contains(&name.as_str()) {
            found.push(
                file.at(line, format!("`{name}` is for programs: a library has an error type and no flags")),
            );
        }
        if let Some(allowed) = allowed.filter(|allowed| own_crate && !allowed.contains(&name.as_str())) {
            let instead = if allowed.is_empty() { "none" } else { &allowed.join(", ") };
            found.push(file.at(line, format!("depends on `{name}`; of our crates it may know: {instead}")));
        } else if name == "drgan" {
            found.push(file.at(line, "depends on `drgan`: the program is above all; take what it uses"));
        }
    }
}

/// What a package needs to be found and used by itself: fields of its manifest, a README, an example, the licenses' texts.
fn furniture(tree: &Tree, file: &File, manifest: &Table, found: &mut Vec<Violation>) {
    let Some(folder) = file.path.parent() else { return };
    let package = manifest.get("package").and_then(toml::Value::as_table);
    for field in ["license", "description", "keywords", "categories", "rust-version"] {
        if !package.is_some_and(|p| p.contains_key(field)) {
            found.push(file.at(1, format!("[package] has no `{field}`: add it")));
        }
    }
    for license in ["LICENSE-APACHE", "LICENSE-MIT"] {
        if tree.get(folder.join(license)).is_none() {
            found.push(file.at(1, format!("the crate has no {license}: link it to the one at the top")));
        }
    }
    if tree.get(folder.join("README.md")).is_none() {
        found.push(file.at(1, "the crate has no README.md: say what it is, with ten lines that work"));
    }
    let examples = folder.join("examples");
    if !tree.rust().any(|f| f.path.starts_with(&examples)) {
        found.push(file.at(1, "the crate has no examples/*.rs: add one that runs"));
    }
}
