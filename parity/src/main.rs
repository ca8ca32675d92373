//! `cargo xtask parity DIR`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the table is printed here and nowhere else")]
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;

/// Holds every golden file of a folder against this workspace's modules; exit status 1 if one disagrees.
#[derive(Parser)]
#[command(
    name = "cargo xtask parity",
    bin_name = "cargo xtask parity",
    after_help = "Example:\n  cargo xtask parity ../shared/golden"
)]
struct Cli {
    /// A folder with `golden.json` and golden files.
    dir: PathBuf,
    /// A folder with `weights/` and `data/fashion/`: trained weights that some golden files belong to [default: the parent
    /// of DIR].
    #[arg(long, value_name = "DIR")]
    weights: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let parent =
        || cli.dir.canonicalize().ok().and_then(|d| d.parent().map(PathBuf::from)).unwrap_or_default();
    let weights = cli.weights.clone().unwrap_or_else(parent);
    match drgan_parity::run(&cli.dir, &weights) {
        Ok(report) => {
            println!("{report}");
            ExitCode::from(u8::from(report.failures() > 0))
        }
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::from(2)
        }
    }
}
