//! `drgan export`.
use super::common::{open_trained, report};
use crate::cli::{ExportArgs, WeightsArg};
use crate::report::card;
use crate::signals::Stop;
use anyhow::{Context, Result, bail};
use drgan_infer::{Model, onnx, state_dicts};
use drgan_tensor::device::HOST;
use drgan_tensor::file;
use drgan_tensor::internal::shown;
use drgan_train::evaluate::Evaluation;
use drgan_train::session::TrainedRun;
use drgan_train::{PRETRAINED, open_model};
use std::path::Path;

pub(super) fn run(args: &ExportArgs, stop: &Stop) -> Result<()> {
    if args.torch {
        let model = open(args, None)?;
        let _whole = stop.hold();
        state_dicts::save(&model, &args.out)?;
        report(&format!(
            "{}: generator.pth, text_encoder.pth, config.json, tokenizer.json",
            shown(&args.out)
        ));
        return Ok(());
    }
    // Before anything is read.
    let extension = if args.onnx { "onnx" } else { "safetensors" };
    if args.out.extension().is_none_or(|e| !e.eq_ignore_ascii_case(extension)) {
        bail!("--out {}: end the name in .{extension}", shown(&args.out))
    }
    file::target(&args.out)?;
    let text = args.card.as_deref().map(file::read).transpose()?;
    let text = text.map(String::from_utf8).transpose().context("--card: the file is not UTF-8")?;
    let model = open(args, text.as_deref())?;
    let bytes = match args.weights {
        _ if args.onnx => onnx::to_bytes(&model)?,
        WeightsArg::F16 => model.to_half_bytes()?,
        WeightsArg::F32 => model.to_bytes()?,
    };
    let _whole = stop.hold();
    if let Some(folder) = args.out.parent() {
        std::fs::create_dir_all(folder).with_context(|| shown(folder).to_string())?;
    }
    file::write_atomic(&args.out, &bytes)?;
    report(&format!("{}: {:.2} MiB", shown(&args.out), bytes.len() as f64 / f64::from(1 << 20)));
    Ok(())
}

/// The pretrained model, or a run's with a card of which `text` is the author's part.
fn open(args: &ExportArgs, text: Option<&str>) -> Result<Model> {
    if args.run.as_deref() == Some(Path::new(PRETRAINED)) {
        let model = open_model(Path::new(PRETRAINED), &HOST)?;
        return Ok(match text {
            Some(text) => model.with_card(text),
            None => model,
        });
    }
    let trained = open_trained(args.run.as_deref(), &HOST)?;
    let card = card::of(&trained, evaluation(&trained)?.as_ref(), text)?;
    Ok(trained.model.with_card(card))
}

/// The run's last evaluation, if it is of the step that is exported.
fn evaluation(trained: &TrainedRun) -> Result<Option<Evaluation>> {
    let path = trained.run().evaluation();
    if !path.exists() {
        return Ok(None);
    }
    let found: Evaluation = serde_json::from_slice(&file::read(&path)?)
        .with_context(|| format!("{}: no evaluation", shown(&path)))?;
    Ok(Some(found).filter(|found| found.step == trained.step))
}
