//! The program behind `cargo xtask parity DIR`.
use clap::Parser;
use drgan_parity::exported;
use drgan_tensor::device::DeviceRequest;
use drgan_tensor::ops::Precision;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Compares this workspace's modules with every golden file of a folder; exit status 1 if one disagrees.
#[derive(Parser)]
#[command(
    name = "cargo xtask parity",
    bin_name = "cargo xtask parity",
    after_help = "Examples:\n  cargo xtask parity ../shared/golden\n  cargo xtask parity --onnx\n  cargo xtask parity --onnx --model emoji.safetensors"
)]
struct Cli {
    /// A folder with `golden.json` and golden files.
    #[arg(required_unless_present = "write_exports")]
    dir: Option<PathBuf>,
    /// Compare exported ONNX graphs in ONNX Runtime with our images instead; installs it under target/ on the first call.
    #[arg(long)]
    onnx: bool,
    /// Compare exported state dicts in PyTorch (docs/pytorch/drgan.py) with our images instead; installs it under target/ on the first
    /// call, about 3 GB.
    #[arg(long, conflicts_with = "onnx")]
    torch: bool,
    /// With --onnx or --torch, a model file to compare as well.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Write graphs, state dicts, inputs for them and our images into a folder: what `--onnx` and `--torch` compare.
    #[arg(long, value_name = "DIR", hide = true)]
    write_exports: Option<PathBuf>,
    /// A folder with `weights/` and `data/fashion/`: trained weights that some golden files belong to [default: the parent
    /// of DIR, else a folder `shared` here or above].
    #[arg(long, value_name = "DIR")]
    weights: Option<PathBuf>,
    /// Where the modules compute: `cpu`, `cuda`, `cuda:N`, or `auto` for the fastest there is.
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: DeviceRequest,
}

/// The parent of `dir`, or a folder `shared` of the current folder or one above it: the first that has `weights/`.
fn nearest_weights(dir: &Path) -> PathBuf {
    let parent = dir.canonicalize().ok().and_then(|d| d.parent().map(PathBuf::from));
    let here = std::env::current_dir().unwrap_or_default();
    let mut places = parent.into_iter().chain(here.ancestors().map(|above| above.join("shared")));
    places.find(|place| place.join("weights").is_dir()).unwrap_or_default()
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return drgan_terminal::refused(&answer),
    };
    if let Some(to) = &cli.write_exports {
        return match exported::write(to, cli.model.as_deref()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => drgan_terminal::failed(&e, |_| false, None),
        };
    }
    let Some(dir) = &cli.dir else { return ExitCode::from(2) };
    let weights = cli.weights.clone().unwrap_or_else(|| nearest_weights(dir));
    let opened = cli.device.open_noted(Precision::F32).map_err(Into::into);
    let report = opened.and_then(|opened| {
        opened.notes.iter().for_each(|note| drgan_terminal::remark(format!("warning: {note}")));
        drgan_parity::run(dir, &weights, &opened.device)
    });
    match report {
        Ok(report) => match drgan_terminal::result(&report) {
            Ok(()) => ExitCode::from(u8::from(report.failures() > 0)),
            Err(e) => drgan_terminal::failed(&e.into(), |_| false, None),
        },
        Err(e) => {
            drgan_terminal::failed(&e, |_| false, None);
            ExitCode::from(2)
        }
    }
}
