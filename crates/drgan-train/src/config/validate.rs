//! What every setting must be, beyond its type.
use super::sections::RunConfig;
use crate::error::TrainError;
use toml::Table;

/// Checks the networks' settings, and those that no network or loader checks.
///
/// # Errors
/// The first setting out of range, by its key.
pub(super) fn validate(cfg: &RunConfig) -> Result<(), TrainError> {
    cfg.text.validate()?;
    cfg.generator.validate()?;
    for side in cfg.sides() {
        cfg.discriminator_at(side).validate()?;
    }
    let refuse = |field: &str, why: &str| Err(TrainError::Config(format!("`{field}`: {why}")));
    let t = &cfg.train;
    if t.steps == 0 || t.checkpoint_every == 0 || t.sample_every == 0 || t.log_every == 0 || t.keep == 0 {
        return refuse(
            "train",
            "steps, checkpoint_every, sample_every, log_every and keep must be at least 1",
        );
    }
    if !(t.final_lr > 0. && t.final_lr <= 1.) {
        return refuse("train.final_lr", "must lie in (0, 1]");
    }
    if !(0. ..1.).contains(&t.ema) {
        return refuse("train.ema", "must lie in [0, 1)");
    }
    if cfg.loader.batch < 2 || cfg.damsm.batch < 2 {
        return refuse("loader.batch, damsm.batch", "must be at least 2: batch statistics need two images");
    }
    if !(0. ..=1.).contains(&cfg.damsm.full_rate) {
        return refuse("damsm.full_rate", "must lie in [0, 1]");
    }
    if cfg.damsm.max_words == 0 {
        return refuse("damsm.max_words", "must be at least 1");
    }
    let weights = Table::try_from(&cfg.loss).map_err(|e| TrainError::Config(e.to_string()))?;
    for (name, weight) in weights {
        if !weight.as_float().is_some_and(|w| w.is_finite() && w >= 0.) {
            return refuse(&format!("loss.{name}"), "must be a finite number, 0 or more");
        }
    }
    for (section, opt) in [
        ("generator_opt", &cfg.generator_opt),
        ("discriminator_opt", &cfg.discriminator_opt),
        ("damsm.opt", &cfg.damsm.opt),
    ] {
        if let Some((field, why)) = opt.out_of_range() {
            return refuse(&format!("{section}.{field}"), why);
        }
    }
    if !(cfg.damsm.decay > 0. && cfg.damsm.decay <= 1.) {
        return refuse("damsm.decay", "must lie in (0, 1]");
    }
    if !(cfg.damsm.clip.is_finite() && cfg.damsm.clip > 0.) {
        return refuse("damsm.clip", "must be a finite number above 0");
    }
    if cfg.image_encoder.side < 32 {
        return refuse("image_encoder.side", "must be at least 32: the backbone halves it five times");
    }
    if cfg.evaluate.seeds == 0 {
        return refuse("evaluate.seeds", "must be at least 1");
    }
    if cfg.evaluate.candidates < 2 {
        return refuse("evaluate.candidates", "must be at least 2: an image's own caption and another");
    }
    Ok(())
}
