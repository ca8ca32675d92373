//! Our side of `cargo xtask bench --peer`, and the check whether both sides compute the same.
//!
//! `drgan-peer ROW THREADS DIR` writes settings.json, inputs.safetensors and its own outputs, ours.safetensors, into DIR;
//! says `ready BYTES`; then for each line `run N` of standard input does N iterations and says their seconds; at `quit`,
//! the largest resident memory since `ready`. benches/pytorch does the same in PyTorch.
//!
//! `drgan-peer compare ROW DIR` compares ours.safetensors with peer.safetensors; `drgan-peer sample-run DIR` writes a run
//! folder for `drgan sample`.
mod agreement;
mod image;
mod sample_run;
mod step;

use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use drgan_benches::{Inference, Step, resident};
use drgan_tensor::device::HOST;
use drgan_tensor::ops::Precision;
use drgan_tensor::weights;
use drgan_train::config::{Overrides, RunConfig};
use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

/// Tensors by name.
type Named = BTreeMap<String, Tensor>;

/// A computation that is timed on both sides.
trait Row {
    /// What the other side reads.
    fn inputs(&self) -> Result<Named>;
    /// The first iteration, and what is compared of it.
    fn first(&mut self) -> Result<Named>;
    /// Computes one iteration.
    fn run(&mut self) -> Result<()>;
}

fn row(name: &str) -> Result<(RunConfig, Box<dyn Row>)> {
    let preset = |name: &str, set: &[&str]| {
        let set: Vec<String> = set.iter().map(|s| (*s).to_owned()).collect();
        RunConfig::resolve(name, &Overrides { file: None, set: &set })
    };
    let birds = preset("birds", &[])?;
    let step = |cfg: RunConfig| -> Result<(RunConfig, Box<dyn Row>)> {
        let row = Step::new(&cfg, &HOST)?;
        Ok((cfg, Box::new(row)))
    };
    let row: Box<dyn Row> = match name {
        "image-1" | "image-1-compiled" => Box::new(Inference::new(&birds, 1, Precision::F32, &HOST)?),
        "image-16" => Box::new(Inference::new(&birds, 16, Precision::F32, &HOST)?),
        "image-1-bf16" => Box::new(Inference::new(&birds, 1, Precision::Bf16, &HOST)?),
        "step-4" => return step(preset("birds", &["loader.batch=4"])?),
        "emoji-64" => return step(preset("emoji-64", &[])?),
        other => bail!("no row is called `{other}`"),
    };
    Ok((birds, row))
}

fn save(path: &Path, tensors: &Named) -> Result<()> {
    Ok(weights::safetensors::save(path, tensors, &weights::Metadata::new())?)
}

fn serve(name: &str, threads: &str, dir: &Path) -> Result<()> {
    let threads = threads.parse().context("THREADS")?;
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let (cfg, mut row) = row(name)?;
    std::fs::write(dir.join("settings.json"), serde_json::to_vec(&cfg)?)?;
    save(&dir.join("inputs.safetensors"), &row.inputs()?)?;
    save(&dir.join("ours.safetensors"), &row.first()?)?;
    std::fs::write("/proc/self/clear_refs", "5").context("/proc/self/clear_refs")?; // forget the peak so far
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready {}", resident("VmRSS")?)?;
    for line in std::io::stdin().lock().lines() {
        match line?.split(' ').collect::<Vec<_>>().as_slice() {
            ["run", times] => {
                let times: usize = times.parse().with_context(|| format!("run {times}"))?;
                let start = Instant::now();
                (0..times).try_for_each(|_| row.run())?;
                writeln!(out, "{}", start.elapsed().as_secs_f64())?;
            }
            ["quit"] => {
                writeln!(out, "{}", resident("VmHWM")?)?;
                break;
            }
            other => bail!("expected run N or quit, got {other:?}"),
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    drgan_tensor::ops::limit_candle_threads();
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["compare", row, dir] => agreement::compare(row, Path::new(dir)),
        ["sample-run", dir] => sample_run::write(Path::new(dir)),
        [row, threads, dir] => serve(row, threads, Path::new(dir)),
        _ => bail!("expected ROW THREADS DIR, or compare ROW DIR, or sample-run DIR"),
    }
}
