//! Rules about what may stand where: devices and element types, words of the command line, what a file begins with.
use super::source::{before_tests, code_lines, is_word, strings};
use super::{File, Tree, Violation};

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in tree.rust().filter(|f| f.inside().first() == Some(&"src")) {
        // A crate's README may be its documentation.
        if !["//!", "#![doc = include_str!("].iter().any(|start| file.text.starts_with(start)) {
            found.push(file.at(1, "begin the file with a line `//! ...` that says what is in it"));
        }
        if file.member().is_some() && !file.is_test() {
            devices(file, &mut found);
            command_line(file, &mut found);
        }
    }
    found
}

/// The files that write `Device::Cpu`: the choice of a device with the name `HOST`, and the kernels below it.
const HOST: [&str; 3] = [
    "crates/drgan-tensor/src/device.rs",
    "crates/drgan-kernels/src/dispatch.rs",
    "crates/drgan-kernels/src/op.rs",
];

/// The one file of the kernels that chooses between their implementations.
const DISPATCH: &str = "crates/drgan-kernels/src/dispatch.rs";

/// Calls that ask what a device or an element type is.
const QUESTIONS: [&str; 8] = [
    ".is_cpu()",
    ".is_cuda()",
    ".is_metal()",
    ".same_device(",
    ".location()",
    ".dtype().is_",
    ".as_cuda_device(",
    ".as_metal_device(",
];

/// What a line says of a device or an element type, to pass on or to compare.
const SUBJECTS: [&str; 4] = [".dtype()", ".device()", "DType::", "Device::"];

/// What stands before or after a subject that is compared rather than passed on.
const BEFORE: [&str; 6] = ["==", "!=", "match", "matches!(", "if let", "while let"];
const AFTER: [&str; 4] = ["==", "!=", "=>", "|"];

/// The question in `line` after a device or an element type, if there is one. A subject that is an argument, as in
/// `y.to_dtype(x.dtype())`, is none.
fn question(line: &str) -> Option<&str> {
    let call = QUESTIONS.into_iter().find(|q| line.contains(q));
    call.or_else(|| {
        SUBJECTS.iter().flat_map(|s| line.match_indices(s)).find_map(|(at, s)| compared(line, at, s))
    })
}

/// The expression around the `subject` at byte `at` of `line`, if it is compared there.
fn compared<'a>(line: &'a str, at: usize, subject: &str) -> Option<&'a str> {
    let is_path = |c: char| is_word(c) || matches!(c, '.' | ':' | '&' | '*' | '[' | ']');
    let from = line[..at].trim_end_matches(is_path).len();
    let to = at + subject.len();
    let to = line.len() - line[to..].trim_start_matches(is_word).len();
    let (before, after) = (line[..from].trim_end(), line[to..].trim_start());
    let asks = BEFORE.iter().any(|b| before.ends_with(b)) || AFTER.iter().any(|a| after.starts_with(a));
    asks.then(|| line[from..to].trim_start_matches(['&', '*']))
}

fn devices(file: &File, found: &mut Vec<Violation>) {
    let kernels = file.member() == Some("drgan-kernels") && !file.path.ends_with(DISPATCH);
    let host = HOST.iter().any(|place| file.path.starts_with(place));
    for (i, line) in before_tests(&code_lines(&file.text)).iter().enumerate() {
        if kernels && let Some(question) = question(line) {
            let what =
                format!("`{question}`: only {DISPATCH} asks for a device or a type; call what it offers");
            found.push(file.at(i + 1, what));
        }
        if !host && line.contains("Device::Cpu") {
            found.push(file.at(i + 1, "`Device::Cpu`: take the device as an argument or from a tensor; drgan_tensor::device::HOST for files"));
        }
    }
}

/// Libraries do not know how the program is called: crates/drgan turns their errors into its own commands.
fn command_line(file: &File, found: &mut Vec<Violation>) {
    if file.member() == Some("drgan") {
        return;
    }
    let end = before_tests(&code_lines(&file.text)).len();
    for (line, text) in strings(&file.text).into_iter().filter(|(line, _)| *line <= end) {
        let flag = text.match_indices("--").find(|(at, _)| {
            text[at + 2..].starts_with(|c: char| c.is_ascii_lowercase())
                && !text[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '-')
        });
        if text.contains("xtask") || flag.is_some() {
            let what = "a library names a command or a flag: say what is wrong, and let crates/drgan name the command";
            found.push(file.at(line, what));
        }
    }
}
