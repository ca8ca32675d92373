//! Planted circles are found, and what only looks like one is not.
use super::*;

/// A crate of these files under `src/`; what the check says, a line per circle.
fn say(files: &[(&str, &str)]) -> Vec<String> {
    let file = |path: String, text: &str| File { path: path.into(), bytes: 0, text: text.to_owned() };
    let manifest = file("crates/a/Cargo.toml".into(), "");
    let sources = files.iter().map(|(path, text)| file(format!("crates/a/src/{path}"), text));
    let tree = Tree { files: std::iter::once(manifest).chain(sources).collect() };
    check(&tree).iter().map(ToString::to_string).collect()
}

/// The one circle has exactly `members`: for each the file, the line and the path it takes.
#[track_caller]
fn circle(files: &[(&str, &str)], members: &[&str]) {
    let said = say(files);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains(&format!("import circle of {} files: ", members.len())), "{said:?}");
    for member in members {
        assert!(said[0].contains(&format!("crates/a/src/{member} ")), "`{member}` is not in {said:?}");
    }
}

#[track_caller]
fn none(files: &[(&str, &str)]) {
    assert_eq!(say(files), Vec::<String>::new());
}

const ROOT: (&str, &str) = ("lib.rs", "mod b;\nmod c;\n");

#[test]
fn two_files_that_import_each_other() {
    let b = ("b.rs", "use crate::c::g;\npub fn f() { g() }\n");
    circle(&[ROOT, b, ("c.rs", "use crate::b::f;\npub fn g() { f() }\n")], &["b.rs:1", "c.rs:1"]);
    none(&[ROOT, b, ("c.rs", "pub fn g() {}\n")]);
}

#[test]
fn the_message_names_files_lines_and_paths() {
    let said = say(&[
        ROOT,
        ("b.rs", "//! b\nuse crate::c::G;\npub struct F(G);\n"),
        ("c.rs", "pub struct G(crate::b::F);\n"),
    ]);
    let wanted = "crates/a/src/b.rs:2: import circle of 2 files: \
                  crates/a/src/b.rs:2 takes `crate::c::G` from crates/a/src/c.rs; \
                  crates/a/src/c.rs:1 takes `crate::b::F` from crates/a/src/b.rs; \
                  move what they share into a file below them";
    assert_eq!(said, [wanted]);
}

#[test]
fn three_files_in_a_ring_and_a_fourth_beside_them() {
    let root = ("lib.rs", "mod b;\nmod c;\nmod d;\nmod e;\n");
    circle(
        &[
            root,
            ("b.rs", "use crate::c;\npub fn f() { c::f() }\n"),
            ("c.rs", "use super::{d, e};\npub fn f() { d::f(); e::f() }\n"),
            ("d.rs", "pub fn f() { crate::b::f() }\n"),
            ("e.rs", "pub fn f() {}\n"),
        ],
        &["b.rs:2", "c.rs:2", "d.rs:1"],
    );
}

#[test]
fn through_super_and_grouped_imports() {
    let files = [
        ("lib.rs", "pub mod m;\n"),
        ("m/mod.rs", "pub mod b;\npub mod c;\n"),
        ("m/b.rs", "use super::{c::{G, H as I}, c};\npub struct F(G, I);\n"),
        ("m/c.rs", "pub struct G;\npub struct H(Box<super::super::m::b::F>);\n"),
    ];
    circle(&files, &["m/b.rs:1", "m/c.rs:2"]);
}

#[test]
fn through_paths_in_place_and_inside_macro_calls() {
    let root = ("lib.rs", "pub mod b;\npub mod c;\n");
    let b = ("b.rs", "pub fn f() -> usize {\n    crate::c::deep::g()\n}\n");
    let c = "pub mod deep;\npub fn h() { assert_eq!(1, { crate::b::f() }) }\n";
    // The nested file needs the one above it, which needs the first.
    let nested = ("c/deep.rs", "pub fn g() -> usize { super::h(); 1 }\n");
    circle(&[root, b, ("c.rs", c), nested], &["b.rs:2", "c.rs:2", "c/deep.rs:1"]);
    let field =
        "pub mod deep;\npub struct S { pub b: usize }\npub fn h(s: S) -> String { format!(\"{}\", s.b) }\n";
    none(&[root, b, ("c.rs", field), nested]);
}

#[test]
fn through_a_reexport_to_the_file_that_defines_the_item() {
    let root = ("lib.rs", "mod b;\nmod c;\npub use b::F;\npub use c::{self as cc, *};\n");
    let b = ("b.rs", "pub struct F(crate::G);\n");
    circle(&[root, b, ("c.rs", "pub struct G(Box<crate::F>);\n")], &["b.rs:1", "c.rs:1"]);
    none(&[root, b, ("c.rs", "pub struct G(u8);\n")]);
    let renamed = ("b.rs", "use crate::cc::G as Other;\npub struct F(Other);\n");
    circle(&[root, renamed, ("c.rs", "pub struct G(Box<crate::F>);\n")], &["b.rs:1", "c.rs:1"]);
}

#[test]
fn through_globs_traits_and_macros() {
    let c = ("c.rs", "use super::b::*;\npub fn g() { f() }\n");
    circle(&[ROOT, ("b.rs", "pub fn f() { super::c::g() }\n"), c], &["b.rs:1", "c.rs:2"]);
    // A trait is imported for its methods: no path names it.
    let user = ("c.rs", "use crate::b::T as _;\npub struct S;\npub fn g() { 1.t(); }\n");
    circle(&[ROOT, ("b.rs", "pub trait T { fn t(&self, s: crate::c::S); }\n"), user], &["b.rs:1", "c.rs:1"]);
    let with_macro = ("lib.rs", "#[macro_use]\nmod b;\nmod c;\n");
    let b = ("b.rs", "macro_rules! m { () => { $crate::c::g() } }\n");
    circle(&[with_macro, b, ("c.rs", "pub fn g() {}\nfn h() { m!() }\n")], &["b.rs:1", "c.rs:2"]);
}

#[test]
fn names_that_a_macro_call_spells_out() {
    let c = ("c.rs", "pub use crate::b::f;\nmake! { pub fn g() { f() } }\n");
    circle(&[ROOT, ("b.rs", "pub fn f() { crate::c::g() }\n"), c], &["b.rs:1", "c.rs:1"]);
}

#[test]
fn a_parent_that_declares_and_reexports_is_in_no_circle() {
    none(&[
        ("lib.rs", "mod m;\npub use m::{F, G};\npub type Result = std::result::Result<(), ()>;\n"),
        ("m/mod.rs", "mod b;\nmod c;\npub use b::*;\npub use c::G;\npub const N: usize = 1;\n"),
        (
            "m/b.rs",
            "use super::N;\npub struct F([u8; N]);\npub fn f(_: super::G) -> crate::Result { Ok(()) }\n",
        ),
        ("m/c.rs", "pub struct G([u8; super::N]);\n"),
    ]);
}

#[test]
fn a_parent_may_share_items_and_put_its_children_together() {
    let root = (
        "lib.rs",
        "mod b;\npub trait Shape { fn area(&self) -> f64; }\npub fn one() -> f64 { b::One.area() }\n",
    );
    none(&[
        root,
        ("b.rs", "use super::Shape;\npub struct One;\nimpl Shape for One { fn area(&self) -> f64 { 1. } }\n"),
    ]);
    // Nor if what the child takes needs another child.
    let root = (
        "lib.rs",
        "mod b;\nmod c;\npub trait Shape { fn area(&self) -> c::Area; }\npub fn one() { b::f() }\n",
    );
    none(&[
        root,
        ("b.rs", "pub fn f() -> Option<Box<dyn super::Shape>> { None }\n"),
        ("c.rs", "pub struct Area;\n"),
    ]);
    // But if what the child takes needs the child, directly or through another item of the parent.
    let back = ("b.rs", "use super::two;\npub struct One;\npub fn f() { two() }\n");
    let root = ("lib.rs", "mod b;\npub fn one() { b::f() }\npub fn two() { one() }\n");
    circle(&[root, back], &["b.rs:1", "lib.rs:2"]);
}

#[test]
fn tests_and_other_crates_do_not_count() {
    let b = ("b.rs", "use crate::c::g;\nuse c_api::f;\npub fn f() { g() }\n");
    let c = "pub fn g() {}\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\nuse crate::b::f;\n\
             #[cfg(all(test, unix))]\nmod more { use crate::b::f; }\n#[test]\nfn t() { crate::b::f() }\n";
    none(&[ROOT, b, ("c.rs", c), ("c/tests.rs", "use crate::b::f;\n")]);
    // What tests have too is no test.
    let any = "pub fn g() {}\n#[cfg(any(test, feature = \"x\"))]\nfn h() { crate::b::f() }\n";
    circle(&[ROOT, b, ("c.rs", any)], &["b.rs:1", "c.rs:3"]);
}

#[test]
fn a_module_and_a_function_of_one_name_are_told_apart() {
    let root = ("lib.rs", "mod b;\nmod c;\npub use b::b;\n");
    let b = ("b.rs", "pub fn b() { crate::c::g() }\npub const N: usize = 1;\n");
    circle(&[root, b, ("c.rs", "use crate::b;\npub fn g() { b() }\n")], &["b.rs:1", "c.rs:1"]);
    none(&[root, ("b.rs", "pub fn b() {}\n"), ("c.rs", "use crate::b;\npub fn g() { b() }\n")]);
    none(&[root, b, ("c.rs", "use crate::b;\npub fn g(b: usize) -> usize { 1 }\n")]);
}

#[test]
fn binaries_are_crates_of_their_own() {
    let lib = ("lib.rs", "pub fn f() {}\n");
    let main = ("main.rs", "mod b;\nmod c;\nfn main() { b::f() }\n");
    let c = ("c.rs", "pub fn g() { crate::b::f() }\n");
    circle(&[lib, main, ("b.rs", "pub fn f() { crate::c::g() }\n"), c], &["b.rs:1", "c.rs:1"]);
    let tool = ("bin/tool/main.rs", "mod b;\nmod c;\nfn main() { b::f() }\n");
    let inner = ("bin/tool/b.rs", "pub fn f() { super::c::g() }\n");
    let files = [lib, tool, inner, ("bin/tool/c.rs", "use crate::b;\npub fn g() { b::f() }\n")];
    circle(&files, &["bin/tool/b.rs:1", "bin/tool/c.rs:2"]);
}

#[test]
fn a_file_that_is_no_rust_is_said() {
    let said = say(&[("lib.rs", "mod b;\n"), ("b.rs", "\nfn f( {\n")]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("crates/a/src/b.rs:") && said[0].contains("cannot be read as Rust"),
        "{said:?}"
    );
}
