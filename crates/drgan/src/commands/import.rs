//! `drgan import`.
use crate::cli::ImportArgs;
use crate::report::weights as report;
use anyhow::{Context, Result, bail};
use drgan_tensor::device::HOST;
use drgan_tensor::weights;
use drgan_train::import;

/// Nothing is written of a file that lacks a tensor.
pub(super) fn run(args: &ImportArgs) -> Result<()> {
    let opened = weights::open(&args.file, &HOST)?;
    let network = args.network.map(Into::into);
    let found = import::fit(&opened.shapes(), network).with_context(|| args.file.display().to_string())?;
    print!("{}", report::import(&found));
    for note in &opened.notes {
        println!("note           {note}");
    }
    let missing = found.fit.missing.len();
    if missing > 0 {
        bail!(
            "{}: {missing} tensors of a {} are missing; nothing was written",
            args.file.display(),
            found.network.name()
        );
    }
    let source = args.file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let metadata = import::metadata(&found, &source)?;
    weights::safetensors::save(&args.out, &import::contiguous(opened.tensors)?, &metadata)?;
    println!("wrote          {}", args.out.display());
    Ok(())
}
