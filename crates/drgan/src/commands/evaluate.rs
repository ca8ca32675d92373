//! `drgan evaluate`.
use super::common::{open_data, open_device, open_trained, path_setting, report, use_threads, utf8, write};
use crate::cli::EvaluateArgs;
use crate::report::text;
use crate::signals::Stop;
use anyhow::{Context, Result};
use candle_core::Device;
use drgan_tensor::internal::shown;
use drgan_train::config::{Overrides, PRESETS, RunConfig};
use drgan_train::damsm::Encoders;
use drgan_train::evaluate::{Evaluation, Evaluator};
use drgan_train::open_model;
use drgan_train::run::History;
use std::path::Path;

pub(super) fn run(args: &EvaluateArgs, stop: &Stop) -> Result<()> {
    if let Some(out) = &args.out {
        drgan_tensor::file::target(out)?;
    }
    use_threads(&args.compute)?;
    let device = open_device(&args.compute, args.precision)?;
    if let Some(path) = &args.model {
        return measure_model(args, path, &device, stop);
    }
    let mut trained = open_trained(args.run.as_deref(), &device)?;
    ask(args, &mut trained.cfg);
    if let Some(path) = &args.data {
        trained.move_data(utf8("data.path", path)?)?;
    }
    let data = open_data(&trained.cfg)?;
    trained.check_data(&data)?;
    let encoders = trained.encoders()?;
    let evaluator = Evaluator::new(&trained.cfg, &encoders, &data)?;
    let evaluation = evaluator.evaluate(&trained.model, trained.step, &trained.history)?;
    finish(args, stop, Some(&trained.run().evaluation()), &evaluation)
}

/// Writes the scores where they belong and where they were asked for, and prints them.
fn finish(args: &EvaluateArgs, stop: &Stop, own: Option<&Path>, evaluation: &Evaluation) -> Result<()> {
    let _whole = stop.hold();
    for path in own.into_iter().chain(args.out.as_deref()) {
        write(path, &serde_json::to_string_pretty(evaluation)?)?;
    }
    report(&text::table(evaluation));
    Ok(())
}

/// Measures a model file, by the settings of the preset that it is named after: the same figures as those of its run, on the
/// data that it was trained with.
fn measure_model(args: &EvaluateArgs, path: &Path, device: &Device, stop: &Stop) -> Result<()> {
    let model = open_model(path, device)?;
    let name = model.config().name.as_str();
    let preset = PRESETS.iter().map(|(preset, _)| *preset).find(|preset| *preset == name);
    let mut settings: Vec<String> = args.seed.map(|n| format!("seed={n}")).into_iter().collect();
    settings.extend(args.data.as_deref().map(|data| path_setting("data.path", data)).transpose()?);
    let cfg = RunConfig::resolve(preset.unwrap_or("emoji-64"), &Overrides { file: None, set: &settings })?;
    let mut cfg = cfg.with_sizes_of(model.config());
    if let Some(encoder) = &model.config().image_encoder {
        (cfg.image_encoder.backbone, cfg.image_encoder.side) = (encoder.backbone, encoder.side);
    }
    ask(args, &mut cfg);
    let data = open_data(&cfg)?;
    let encoders = Encoders::of_model(&cfg, &model, device).with_context(|| shown(path).to_string())?;
    report(&format!("model {}", shown(path)));
    let evaluator = Evaluator::new(&cfg, &encoders, &data)?;
    let evaluation = evaluator.evaluate(&model, model.config().step, &History::default())?;
    finish(args, stop, None, &evaluation)
}

/// What the command line asks for over the settings of a run.
fn ask(args: &EvaluateArgs, cfg: &mut RunConfig) {
    cfg.precision = args.precision;
    let asked = &mut cfg.evaluate;
    asked.samples = args.samples.unwrap_or(asked.samples);
    asked.seeds = args.seeds.unwrap_or(asked.seeds);
}
