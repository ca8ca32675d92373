//! `drgan import`.
use super::common::report;
use crate::cli::ImportArgs;
use crate::report::weights;
use crate::signals::Stop;
use anyhow::{Context, Result, bail};
use drgan_tensor::device::HOST;
use drgan_tensor::internal::{agreeing, counted, escaped, shown};
use drgan_tensor::weights::{self as files, safetensors};
use drgan_train::import;

/// Nothing is written of a file that lacks a tensor.
pub(super) fn run(args: &ImportArgs, stop: &Stop) -> Result<()> {
    let opened = files::open(&args.file, &HOST)?;
    let network = args.network.map(Into::into);
    let found = import::fit(&opened.shapes(), network).with_context(|| shown(&args.file).to_string())?;
    let mut text = weights::import(&found);
    for note in &opened.notes {
        text += &format!("note           {}\n", escaped(note));
    }
    let missing = found.fit.missing.len();
    if missing > 0 {
        report(&text);
        bail!(
            "{}: {} of a {} {} missing; nothing was written",
            shown(&args.file),
            counted(missing, "tensor[|s]"),
            found.network.name(),
            agreeing(missing, "[is|are]")
        );
    }
    let source = args.file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let metadata = import::metadata(&found, &source)?;
    let _whole = stop.hold();
    safetensors::save(&args.out, &import::contiguous(opened.tensors)?, &metadata)?;
    report(&format!("{text}wrote          {}", shown(&args.out)));
    Ok(())
}
