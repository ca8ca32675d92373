//! `drgan import`.
use super::common::report;
use crate::cli::ImportArgs;
use crate::report::weights;
use crate::signals::Stop;
use anyhow::{Context, Result, bail};
use drgan_infer::Model;
use drgan_tensor::device::HOST;
use drgan_tensor::internal::{agreeing, counted, escaped, shown};
use drgan_tensor::weights::{self as files, safetensors};
use drgan_train::import::{self, Network};
use drgan_train::own_files::OwnFile;

/// Nothing is written of a file that lacks a tensor.
pub(super) fn run(args: &ImportArgs, stop: &Stop) -> Result<()> {
    let mut opened = files::open(&args.file, &HOST)?;
    let network = args.network.map(Into::into);
    let own = OwnFile::of(&opened.tensors, &opened.metadata);
    match (own, network) {
        (Some(OwnFile::Model), None) => return read_back(args, stop),
        (Some(own), network) => {
            let network = network.with_context(|| {
                format!("{}: a checkpoint of a run: say which network to take with --as", shown(&args.file))
            })?;
            let part = own.part(opened.tensors, network, args.stage);
            opened.tensors = part.with_context(|| shown(&args.file).to_string())?;
        }
        (None, _) => {}
    }
    let of_checkpoint = own == Some(OwnFile::Checkpoint) && network == Some(Network::Discriminator);
    if args.stage.is_some() && !of_checkpoint {
        bail!("--stage: for a discriminator of a run's checkpoint alone");
    }
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

/// Checks a model file and writes it with weights in single precision.
fn read_back(args: &ImportArgs, stop: &Stop) -> Result<()> {
    let model = Model::load(&args.file, &HOST)?;
    let config = model.config();
    let _whole = stop.hold();
    model.save(&args.out)?;
    report(&format!(
        "network        model {}: text encoder ({}) and generator ({})\nwrote          {}",
        escaped(&config.name),
        counted(model.captions().weights().num_params(), "parameter[|s]"),
        counted(model.generator().num_params(), "parameter[|s]"),
        shown(&args.out)
    ));
    Ok(())
}
