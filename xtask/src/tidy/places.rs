//! Rules about what may stand where: devices and element types, words of the command line, what a file begins with.
use super::source::{before_tests, code_lines, strings};
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

/// How a device or an element type is asked for.
const QUESTIONS: [&str; 10] = [
    ".is_cpu()",
    ".is_cuda()",
    ".is_metal()",
    ".same_device(",
    ".location()",
    "DType::F32 ==",
    "== DType::",
    "!= DType::",
    "match x.dtype()",
    "match x.device()",
];

fn devices(file: &File, found: &mut Vec<Violation>) {
    let kernels = file.member() == Some("drgan-kernels") && !file.path.ends_with(DISPATCH);
    let host = HOST.iter().any(|place| file.path.starts_with(place));
    for (i, line) in before_tests(&code_lines(&file.text)).iter().enumerate() {
        for question in QUESTIONS.iter().filter(|q| kernels && line.contains(**q)) {
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
