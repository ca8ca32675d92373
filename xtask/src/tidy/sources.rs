//! Rules about files: what stands in them, how long and how large they are.
use super::source::{code_lines, has_word, is_word};
use super::{File, Tree, Violation};

const LINES: usize = 500;
const BYTES: u64 = 20 << 20;

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in &tree.files {
        if file.bytes > BYTES {
            let what = format!("{} MiB: files stay under {}", file.bytes >> 20, BYTES >> 20);
            found.push(file.at(1, what));
        }
        machine_paths(file, &mut found);
    }
    for file in tree.files.iter().filter(|f| f.is("rs") || f.is("py")) {
        let lines = file.text.lines().count();
        if lines > LINES {
            found.push(
                file.at(LINES + 1, format!("{lines} lines: split the file by purpose ({LINES} at most)")),
            );
        }
    }
    for file in tree.rust() {
        code(file, &mut found);
    }
    found
}

/// Paths of the machine somebody worked on. Needles in pieces, so that this file holds none.
fn machine_paths(file: &File, found: &mut Vec<Violation>) {
    let needles = ["wo|rk", "ho|me", "ro|ot", "t|mp"].map(|n| format!("/{}/", n.replace('|', "")));
    for (i, line) in file.text.lines().enumerate() {
        let named = needles.iter().find(|needle| {
            line.match_indices(needle.as_str()).any(|(at, _)| {
                !line[..at].chars().next_back().is_some_and(|c| is_word(c) || ".~-)}".contains(c))
            })
        });
        if let Some(needle) = named {
            found.push(file.at(i + 1, format!("`{needle}`: a path of one machine; make it relative")));
        }
    }
}

/// Calls of candle operations whose gradient is wrong, missing or several times too slow
/// (crates/drgan-tensor/tests/candle_contract.rs); behind a `detach()` none is asked for.
const WRONG_GRADIENTS: [&str; 9] = [
    ".conv2d(",
    ".relu()",
    ".max_pool2d",
    ".avg_pool2d",
    "upsample_nearest2d",
    "upsample_bilinear2d",
    "softmax_last_dim",
    "layer_norm(",
    "rms_norm(",
];

/// Words with a place of their own, or none.
fn code(file: &File, found: &mut Vec<Violation>) {
    let library = file.member().is_some() && file.path.iter().nth(2).is_some_and(|p| p == "src");
    let prints = ["println!", "eprintln!", "print!", "eprint!"];
    let mark = ["FIX", "ME"].concat();
    let stubs = ["todo!", "unimplemented!", "dbg!"];
    for (i, line) in code_lines(&file.text).iter().enumerate() {
        let mut add = |what: String| found.push(file.at(i + 1, what));
        if file.member() != Some("drgan-kernels") && has_word(line, "unsafe") {
            add("`unsafe` belongs in drgan-kernels only".to_owned());
        }
        if library || file.path.starts_with("xtask") {
            for name in prints.iter().filter(|n| has_word(line, n)) {
                add(format!(
                    "`{name}`: it panics on a closed pipe; libraries never print, programs by drgan_terminal"
                ));
            }
        }
        if library && !file.is_test() && file.member() != Some("drgan-kernels") {
            for name in WRONG_GRADIENTS.iter().filter(|n| line.contains(**n) && !line.contains("detach()")) {
                add(format!("`{name}`: candle's gradient of it is wrong or missing; use drgan_tensor::ops"));
            }
        }
        for name in stubs.iter().filter(|n| has_word(line, n)) {
            add(format!("`{name}`: write what belongs here"));
        }
        if line.contains("#[ignore") {
            add("an ignored test tests nothing: make it fast, or remove it".to_owned());
        }
    }
    for (i, line) in file.text.lines().enumerate().filter(|(_, line)| has_word(line, &mark)) {
        found.push(file.at(i + 1, format!("`{}`: fix it", line.trim())));
    }
}
