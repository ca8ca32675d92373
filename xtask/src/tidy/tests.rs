//! Every rule can fail, and a tidy tree passes.
use super::source::code_lines;
use super::*;

/// Six lines, so that a dependency stands on the eighth.
const MANIFEST: &str = "[package]\nlicense = \"MIT\"\ndescription = \"x\"\nkeywords = []\ncategories = []\n\
                        rust-version = \"1\"\n";

/// A tidy tree of one crate, with `changes` written over it; what tidy says, a line each.
fn say(changes: &[(&str, &str)]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let base = [
        ("crates/drgan-sdm/Cargo.toml", MANIFEST),
        ("crates/drgan-sdm/LICENSE-MIT", "x"),
        ("crates/drgan-sdm/LICENSE-APACHE", "x"),
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
    says(&[(sdm, &with("drgan-dnm"))], "crates/drgan-sdm/Cargo.toml:8", "drgan-tensor");
    assert!(say(&[(sdm, &with("drgan-tensor")), (sdm, &with("candle-core"))]).is_empty());
    let dev = format!("{MANIFEST}[dev-dependencies]\ndrgan-losses.workspace = true\n");
    says(&[(sdm, &dev)], "crates/drgan-sdm/Cargo.toml:8", "drgan-losses");
    let platform = format!("{MANIFEST}[target.'cfg(unix)'.dependencies]\ndrgan-text = \"1\"\n");
    says(&[(sdm, &platform)], "crates/drgan-sdm/Cargo.toml:8", "drgan-text");
}

#[test]
fn no_dependency_runs_back_up() {
    let with = |name: &str| format!("{MANIFEST}[dependencies]\n{name}.workspace = true\n");
    let place = |of: &str| format!("crates/{of}/Cargo.toml");
    let allowed = |of: &str, name: &str| {
        let said = say(&[(&place(of), &with(name))]);
        !said.iter().any(|line| line.contains(&format!("depends on `{name}`")))
    };
    assert!(allowed("drgan-infer", "drgan-text") && allowed("drgan-train", "drgan-infer"));
    assert!(allowed("drgan", "drgan-train") && allowed("drgan-data", "drgan-tensor"));
    for (of, name) in [
        ("drgan-kernels", "drgan-tensor"),
        ("drgan-data", "drgan-text"),
        ("drgan-infer", "drgan-train"),
        ("drgan-infer", "drgan-dnm"),
        ("drgan-train", "drgan"),
    ] {
        assert!(!allowed(of, name), "{of} may not depend on {name}");
    }
}

#[test]
fn xtask_depends_on_no_candle() {
    says(&[("xtask/Cargo.toml", "[dependencies]\ncandle-nn = \"1\"\n")], "xtask/Cargo.toml:2", "candle-nn");
    assert!(say(&[("xtask/Cargo.toml", "[dependencies]\ndrgan-terminal = \"1\"\n")]).is_empty());
}

#[test]
fn a_crate_has_its_furniture() {
    let bare = "[package]\nname = \"y\"\n";
    let said = say(&[("crates/drgan-train/Cargo.toml", bare)]).join("\n");
    let fields = ["`license`", "`description`", "`keywords`", "`categories`", "`rust-version`"];
    for missing in fields.into_iter().chain(["LICENSE-MIT", "LICENSE-APACHE", "README.md", "examples"]) {
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
    says(
        &[(lib, "//! x\nfn f() {\n    unsafe { g() }\n}\n")],
        "crates/drgan-sdm/src/other.rs:3",
        "drgan-kernels",
    );
    says(&[(lib, "//! x\nfn f() { println!(\"x\") }\n")], "crates/drgan-sdm/src/other.rs:2", "never print");
    says(&[(lib, "//! x\nfn f() { x.relu(); }\n")], "crates/drgan-sdm/src/other.rs:2", "gradient");
    assert!(say(&[(lib, "//! x\nfn f() { x.detach().relu(); }\n")]).is_empty());
    says(&[(lib, "//! x\nfn f() { todo!() }\n")], "crates/drgan-sdm/src/other.rs:2", "todo!");
    says(&[(lib, "//! x\nfn f() { dbg!(1); }\n")], "crates/drgan-sdm/src/other.rs:2", "dbg!");
    says(&[(lib, "//! x\n#[test]\n#[ignore]\nfn f() {}\n")], "crates/drgan-sdm/src/other.rs:3", "ignored");
    says(&[(lib, concat!("//! x\n// FIX", "ME later\n"))], "crates/drgan-sdm/src/other.rs:2", "fix it");
    // Words of comments and literals are none of code's.
    let quoted = "//! x\n// unsafe println!\nconst A: &str = \"unsafe \\\" todo!\";\nconst B: char = '\"';\n";
    assert!(say(&[(lib, quoted)]).is_empty());
    let main = "//! x\nfn main() { println!() }\n";
    for program in ["crates/drgan/src/main.rs", "crates/drgan/src/commands/x.rs", "xtask/src/x.rs"] {
        says(&[(program, main)], &format!("{program}:2"), "closed pipe");
    }
    says(&[("crates/drgan-sdm/src/main.rs", main)], "crates/drgan-sdm/src/main.rs:2", "never print");
}

#[test]
fn programs_alone_have_a_command_line() {
    let with = |name: &str| format!("{MANIFEST}[dependencies]\n{name}.workspace = true\n");
    for name in ["anyhow", "clap"] {
        says(&[("crates/drgan-sdm/Cargo.toml", &with(name))], "crates/drgan-sdm/Cargo.toml:8", "programs");
        let said = say(&[("crates/drgan/Cargo.toml", &with(name))]).join("\n");
        assert!(!said.contains("programs"), "{said}");
    }
    let lib = "crates/drgan-sdm/src/other.rs";
    let place = "crates/drgan-sdm/src/other.rs:2";
    for text in ["go on with: cargo xtask train", "--steps is too small", "set it by `--set a=1`"] {
        says(&[(lib, &format!("//! x\nconst A: &str = \"{text}\";\n"))], place, "names a command");
    }
    let fine = "//! As `cargo xtask x --set` does.\nconst A: &str = \"a -- b, a--b, ---\";\n\
                #[cfg(test)]\nmod tests {\n    const B: &str = \"--set\";\n}\n";
    assert!(say(&[(lib, fine)]).is_empty());
    assert!(say(&[("crates/drgan-sdm/tests/x.rs", "const A: &str = \"--set\";\n")]).is_empty());
}

#[test]
fn devices_and_types_have_their_place() {
    let asks = "//! x\nfn f(x: &Tensor) -> bool {\n    x.device().is_cpu()\n}\n";
    let kernels = "crates/drgan-kernels/src/ops/x.rs";
    says(&[(kernels, asks)], "crates/drgan-kernels/src/ops/x.rs:3", "dispatch.rs");
    for question in [
        "x.dtype() == DType::F32",
        "t == DType::F32",
        "DType::F32 != t",
        "x.dtype() != y.dtype()",
        "t == x[0].dtype()",
        "vector.len() != n || vector.dtype() != weight.dtype()",
        "matches!(x.dtype(), F32 | BF16)",
        "matches!(t, DType::F32 | DType::BF16)",
        "match inputs[0].dtype() { _ => true }",
        "match t { DType::F32 => true, _ => false }",
        "match self.x.device() { _ => true }",
        "if let DType::F32 = t { true } else { false }",
        "x.dtype().is_float()",
        "x.device().same_device(y.device())",
        "x.device().as_cuda_device().is_ok()",
    ] {
        let text = format!("//! x\nfn f() -> bool {{\n    {question}\n}}\n");
        says(&[(kernels, &text)], "crates/drgan-kernels/src/ops/x.rs:3", "asks for a device or a type");
    }
    let lines = "//! x\nfn f() -> bool {\n    a\n        || x.dtype()\n            != y.dtype()\n}\n";
    says(&[(kernels, lines)], "crates/drgan-kernels/src/ops/x.rs:5", "asks for a device or a type");
    // To make a tensor like another is no question, and neither is to name a type.
    for passes in [
        "let y = y.to_dtype(x.dtype())?;",
        "let y = Tensor::zeros(shape, x.dtype(), x.device())?;",
        "let y = if a == b { x.to_dtype(DType::F64)? } else { y.to_device(x.device())? };",
        "let t = match packed { Packed::Cpu { .. } => DType::F32, Packed::Folded { weight } => weight.dtype() };",
        "match y.to_dtype(x.dtype()) { Ok(y) => y, Err(e) => return Err(e) };",
        "// x.dtype() == DType::F32",
    ] {
        let text = format!("//! x\nfn f() {{\n    {passes}\n}}\n");
        assert!(say(&[(kernels, &text)]).is_empty(), "{passes}");
    }
    assert!(say(&[("crates/drgan-kernels/src/dispatch.rs", asks)]).is_empty());
    assert!(say(&[("crates/drgan-kernels/src/ops/tests.rs", asks)]).is_empty());
    assert!(say(&[("crates/drgan-sdm/src/x.rs", asks)]).is_empty());

    let host = "//! x\nfn f() -> Device {\n    Device::Cpu\n}\n";
    says(&[("crates/drgan-sdm/src/x.rs", host)], "crates/drgan-sdm/src/x.rs:3", "as an argument");
    assert!(say(&[("crates/drgan-tensor/src/device.rs", host)]).is_empty());
    assert!(
        say(&[("crates/drgan-sdm/tests/x.rs", host), ("crates/drgan-sdm/src/x/tests.rs", host)]).is_empty()
    );
}

#[test]
fn a_file_begins_with_what_is_in_it() {
    says(&[("crates/drgan-sdm/src/other.rs", "fn f() {}\n")], "crates/drgan-sdm/src/other.rs:1", "//!");
    says(&[("xtask/src/other.rs", "use a::b;\n//! late\n")], "xtask/src/other.rs:1", "//!");
    let readme = "#![doc = include_str!(\"../README.md\")]\n";
    assert!(say(&[("crates/drgan-sdm/src/lib.rs", readme)]).is_empty());
    assert!(say(&[("crates/drgan-sdm/tests/other.rs", "fn f() {}\n")]).is_empty());
}

#[test]
fn files_stay_small() {
    let long = "//! line\n".repeat(501);
    says(&[("crates/drgan-sdm/src/long.rs", &long)], "crates/drgan-sdm/src/long.rs:501", "split");
    says(&[("benches/pytorch/x.py", &"# line\n".repeat(501))], "benches/pytorch/x.py:501", "501 lines");
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
fn the_overview_stays_one() {
    let long = "line\n".repeat(121);
    says(&[("docs/architecture.md", &long)], "docs/architecture.md:121", "120");
    assert!(say(&[("docs/architecture.md", &"line\n".repeat(120))]).is_empty());
}

#[test]
fn divergences_and_sections_named_in_comments_exist() {
    let text = "//! See docs/divergences.md, attention.\n";
    says(&[("crates/drgan-sdm/src/lib.rs", text)], "crates/drgan-sdm/src/lib.rs:1", "attention");
    let model = ("docs/model.md", "# The model\n\n## Text encoder\n\n| masks | one |\n");
    let citing = |text| [model, ("crates/drgan-sdm/src/lib.rs", text)];
    assert!(say(&citing("//! See (docs/model.md,\n//! text encoder).\n")).is_empty());
    says(&citing("//! See docs/model.md, masks.\n"), "crates/drgan-sdm/src/lib.rs:1", "masks");
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
