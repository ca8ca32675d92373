//! Every rule can fail, and a tidy tree passes.
use super::source::code_lines;
use super::*;

const MANIFEST: &str = "[package]\nname = \"x\"\nlicense = \"MIT\"\ndescription = \"x\"\n";

/// A tidy tree of one crate, with `changes` written over it; what tidy says, a line each.
fn say(changes: &[(&str, &str)]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let base = [
        ("crates/drgan-sdm/Cargo.toml", MANIFEST),
        ("crates/drgan-sdm/README.md", "# x\n[the docs](../../docs/divergences.md#where-we-differ)\n"),
        ("crates/drgan-sdm/examples/x.rs", "fn main() {\n    println!(\"examples print\");\n}\n"),
        ("crates/drgan-sdm/src/lib.rs", "//! See (docs/divergences.md,\n//! mask).\n"),
        ("docs/divergences.md", "# Where we differ\n\n| topic | paper |\n|---|---|\n| mask | one |\n"),
        ("xtask/Cargo.toml", "[dependencies]\nanyhow = \"1\"\n"),
    ];
    for (path, text) in base.iter().chain(changes) {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    check(dir.path()).unwrap().iter().map(ToString::to_string).collect()
}

/// The one thing tidy says begins with `place` and holds `word`.
#[track_caller]
fn says(changes: &[(&str, &str)], place: &str, word: &str) {
    let said = say(changes);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with(place) && said[0].contains(word), "{said:?}");
}

#[test]
fn a_tidy_tree_passes() {
    assert_eq!(say(&[]), Vec::<String>::new());
}

#[test]
fn model_crates_never_see_each_other() {
    let with = |name: &str| format!("{MANIFEST}[dependencies]\n{name}.workspace = true\n");
    let sdm = "crates/drgan-sdm/Cargo.toml";
    says(&[(sdm, &with("drgan-dnm"))], "crates/drgan-sdm/Cargo.toml:6", "drgan-tensor");
    assert!(say(&[(sdm, &with("drgan-tensor")), (sdm, &with("candle-core"))]).is_empty());
    let dev = format!("{MANIFEST}[dev-dependencies]\ndrgan-losses.workspace = true\n");
    says(&[(sdm, &dev)], "crates/drgan-sdm/Cargo.toml:6", "drgan-losses");
    let platform = format!("{MANIFEST}[target.'cfg(unix)'.dependencies]\ndrgan-text = \"1\"\n");
    says(&[(sdm, &platform)], "crates/drgan-sdm/Cargo.toml:6", "drgan-text");
}

#[test]
fn xtask_depends_on_no_candle() {
    says(&[("xtask/Cargo.toml", "[dependencies]\ncandle-nn = \"1\"\n")], "xtask/Cargo.toml:2", "candle-nn");
}

#[test]
fn a_crate_has_its_furniture() {
    let bare = "[package]\nname = \"y\"\n";
    let said = say(&[("crates/drgan-train/Cargo.toml", bare)]).join("\n");
    for missing in ["`license`", "`description`", "README.md", "examples"] {
        assert!(said.contains(missing), "{missing}: {said}");
    }
    says(
        &[("crates/drgan-sdm/Cargo.toml", &format!("{MANIFEST}= 1"))],
        "crates/drgan-sdm/Cargo.toml:1",
        "TOML",
    );
}

#[test]
fn words_have_their_place() {
    let lib = "crates/drgan-sdm/src/other.rs";
    says(&[(lib, "fn f() {\n    unsafe { g() }\n}\n")], "crates/drgan-sdm/src/other.rs:2", "drgan-kernels");
    says(&[(lib, "fn f() { println!(\"x\") }\n")], "crates/drgan-sdm/src/other.rs:1", "never print");
    says(&[(lib, "fn f() { x.relu(); }\n")], "crates/drgan-sdm/src/other.rs:1", "gradient");
    assert!(say(&[(lib, "fn f() { x.detach().relu(); }\n")]).is_empty());
    says(&[(lib, "fn f() { todo!() }\n")], "crates/drgan-sdm/src/other.rs:1", "todo!");
    says(&[(lib, "fn f() { dbg!(1); }\n")], "crates/drgan-sdm/src/other.rs:1", "dbg!");
    says(&[(lib, "#[test]\n#[ignore]\nfn f() {}\n")], "crates/drgan-sdm/src/other.rs:2", "ignored");
    says(&[(lib, concat!("// FIX", "ME later\n"))], "crates/drgan-sdm/src/other.rs:1", "mend it");
    // Words of comments and literals are none of code's.
    let quoted = "// unsafe println!\nconst A: &str = \"unsafe \\\" todo!\";\nconst B: char = '\"';\n";
    assert!(say(&[(lib, quoted)]).is_empty());
    assert!(say(&[("crates/drgan-sdm/src/main.rs", "fn main() { println!() }\n")]).is_empty());
}

#[test]
fn files_stay_small() {
    let long = "// line\n".repeat(501);
    says(&[("crates/drgan-sdm/src/long.rs", &long)], "crates/drgan-sdm/src/long.rs:501", "split");
    says(&[("benches/peer/x.py", &"# line\n".repeat(501))], "benches/peer/x.py:501", "501 lines");
    let large = " ".repeat((20 << 20) + 1);
    says(&[("data.txt", &large)], "data.txt:1", "20");
}

#[test]
fn no_path_of_one_machine() {
    let path = concat!("see /ho", "me/me/file\n");
    says(&[("notes.txt", path)], "notes.txt:1", "relative");
    assert!(say(&[("notes.txt", concat!("https://example.org/ho", "me/page\n"))]).is_empty());
}

#[test]
fn links_lead_somewhere() {
    says(&[("docs/a.md", "[b](b.md)\n")], "docs/a.md:1", "docs/b.md");
    says(&[("docs/a.md", "[b](divergences.md#nothing)\n")], "docs/a.md:1", "heading");
    let fine = "[web](https://example.org) [up](../xtask/Cargo.toml) `[no](link)`\n```\n[no](link)\n```\n";
    assert!(say(&[("docs/a.md", fine)]).is_empty());
}

#[test]
fn divergences_named_in_comments_exist() {
    let text = "//! See docs/divergences.md, attention.\n";
    says(&[("crates/drgan-sdm/src/lib.rs", text)], "crates/drgan-sdm/src/lib.rs:1", "attention");
}

#[test]
fn code_is_told_from_comments_and_literals() {
    let text = "let a = r#\"x\"y\"#; /* b /* c */ d */ e\nfn f<'a>(x: &'a str) -> char { '\\'' } // g\n\"two\nlines\"; h";
    let code = code_lines(text);
    assert_eq!(code.len(), 4, "lines keep their numbers: {code:?}");
    assert_eq!(code[0].split_whitespace().collect::<Vec<_>>(), ["let", "a", "=", ";", "e"]);
    assert!(code[1].starts_with("fn f<'a>(x: &'a str) -> char {") && !code[1].contains('g'));
    assert_eq!(code[3].trim(), "; h");
}
