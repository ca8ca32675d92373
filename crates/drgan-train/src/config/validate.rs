//! What several settings must be together, beyond the range of each.
use super::ranges::LARGEST_SIDE;
use super::sections::RunConfig;
use crate::error::TrainError;
use drgan_tensor::device::FloatType;
use drgan_tensor::ops::Precision;

/// Checks the networks' settings, and the sizes that follow from several settings.
///
/// # Errors
/// The first setting that does not fit the others, by its key.
pub(super) fn validate(cfg: &RunConfig) -> Result<(), TrainError> {
    if cfg.precision != Precision::F32 && cfg.dtype != FloatType::F32 {
        return Err(TrainError::Config(format!(
            "`precision`: {} is for tensors of `dtype` f32, which is {} here",
            cfg.precision, cfg.dtype
        )));
    }
    if !cfg.start.model.is_empty() && !cfg.encoders.is_empty() {
        return Err(TrainError::Config(
            "`start.model` brings a text encoder, and `encoders` names another: give one of them".to_owned(),
        ));
    }
    cfg.text.validate()?;
    cfg.generator.validate()?;
    let finest = cfg.generator.side(cfg.generator.stages - 1);
    if finest > LARGEST_SIDE {
        return Err(TrainError::Config(format!(
            "`generator.stages`: {} stages from `generator.base` {} end in images of {finest} pixels; at most \
             {LARGEST_SIDE} are taken",
            cfg.generator.stages, cfg.generator.base
        )));
    }
    for side in cfg.sides() {
        cfg.discriminator_at(side).validate()?;
    }
    Ok(())
}
