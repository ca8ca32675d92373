//! The model card of an exported run, in Markdown.
use super::text;
use drgan_train::TrainError;
use drgan_train::config::{Overrides, RunConfig};
use drgan_train::evaluate::Evaluation;
use drgan_train::run;
use drgan_train::session::TrainedRun;

/// What the file's reader should know: `text` of its author first, then how the run was made and what was measured of it.
///
/// # Errors
/// None that a run's settings could cause.
pub(crate) fn of(
    trained: &TrainedRun,
    evaluation: Option<&Evaluation>,
    text: Option<&str>,
) -> Result<String, TrainError> {
    let cfg = &trained.cfg;
    let data = match cfg.data.path.as_str() {
        "" => "the emoji set of drgan (Fluent emoji, MIT; words of emojibase, MIT)".to_owned(),
        path => format!("`{}`", std::path::Path::new(path).file_name().unwrap_or_default().to_string_lossy()),
    };
    let mut card = text.map(|text| format!("{}\n\n", text.trim_end())).unwrap_or_default();
    card += &format!(
        "# {}\n\nA text-to-image generator (DR-GAN) of {} x {} pixels, trained by drgan {}.\n\n\
         - data: {data}\n- recipe {}, seed {}, {} steps of {} images\n- draws captions of {} known words; others are ignored\n\n",
        cfg.preset,
        trained.model.config().side(),
        trained.model.config().side(),
        env!("CARGO_PKG_VERSION"),
        u32::from(cfg.recipe),
        cfg.seed,
        trained.step,
        cfg.loader.batch,
        trained.model.captions().tokenizer().vocab_size(),
    );
    let settings = own_settings(cfg)?;
    if !settings.is_empty() {
        card += &format!("Settings over the preset's: `{}`.\n\n", settings.join("`, `"));
    }
    card += &match evaluation {
        Some(evaluation) => format!("## Measured\n\n```\n{}```\n", text::table(evaluation)),
        None => "Nothing was measured of it.\n".to_owned(),
    };
    Ok(card)
}

/// The settings that a run had over those of its preset, `KEY=VALUE`, but for the paths of one machine.
fn own_settings(cfg: &RunConfig) -> Result<Vec<String>, TrainError> {
    let preset = RunConfig::resolve(&cfg.preset, &Overrides::default())?;
    let of_machine =
        ["data.path", "start.", "encoders.", "image_encoder.weights", "device", "train.checkpoint_every"];
    let mut found = Vec::new();
    for key in run::diff_config(&preset.to_toml()?, &cfg.to_toml()?)? {
        if !of_machine.iter().any(|of| key.starts_with(of)) {
            found.push(format!("{key}={}", cfg.setting(&key)?));
        }
    }
    Ok(found)
}
