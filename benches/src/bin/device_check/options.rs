//! The options of the device check: the program takes them, and `cargo xtask device-check` hands them on.
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// A part of the check. Each has eight minutes at most, all together twenty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Part {
    /// Every operation, value and gradients, in f32 and bf16 beside its reference on the CPU in f64.
    Ops,
    /// Operations and training steps twice: equal bits.
    Determinism,
    /// The golden files of another framework.
    Golden,
    /// Twenty training steps of `emoji-64`, slowly, on the CPU and on the device: the losses of each.
    Train,
    /// The operations under compute-sanitizer's memcheck, where it is installed.
    Sanitizer,
    /// Images per second, memory, launches, and the time of each kernel beside what the device can do at most.
    Speed,
    /// The same work in PyTorch: eager, TF32, compiled, bf16, channels last; where Python has it.
    Peer,
}

impl Part {
    /// The name that the command line knows it by.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// What is checked, and where results go.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// A part to run; give it again for more [default: all parts].
    #[arg(long = "part", value_name = "NAME", value_enum)]
    pub(crate) parts: Vec<Part>,
    /// The folder of results: device-check.json, device-check.md and a file per part. What is finished there is not done again.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Do again what is finished.
    #[arg(long)]
    pub(crate) again: bool,
    /// Small sizes, and the preset `tiny` in place of `emoji-64` and `birds`: seconds on a GPU.
    #[arg(long)]
    pub(crate) quick: bool,
    /// The device: `cuda`, or `cuda:N` for the one of that number.
    #[arg(long, value_name = "DEVICE", default_value = "cuda", value_parser = cuda)]
    pub(crate) device: String,
}

impl Options {
    /// The arguments that stand for the same options; results go to `out` where none is given.
    #[cfg_attr(not(test), allow(dead_code, reason = "who hands the options on calls it"))]
    pub(crate) fn arguments(&self, out: &Path) -> Vec<std::ffi::OsString> {
        let mut all = vec!["--device".into(), self.device.clone().into()];
        all.push("--out".into());
        all.push(self.out.as_deref().unwrap_or(out).into());
        all.extend(self.parts.iter().flat_map(|part| ["--part".into(), part.name().into()]));
        all.extend(
            [("--again", self.again), ("--quick", self.quick)]
                .iter()
                .filter(|(_, on)| *on)
                .map(|(flag, _)| (*flag).into()),
        );
        all
    }
}

/// A device that is compared with the CPU, and so is another.
fn cuda(text: &str) -> Result<String, String> {
    let number = text.strip_prefix("cuda:").map(str::parse::<u16>);
    if text == "cuda" || matches!(number, Some(Ok(_))) {
        return Ok(text.to_owned());
    }
    Err("expected `cuda` or `cuda:N`: the device is compared with the CPU".to_owned())
}
