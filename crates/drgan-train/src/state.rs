//! What a checkpoint of a run holds, and how a run is put back from one; `at` is the folder that errors name.
use crate::checkpoint::Checkpoint;
use crate::config::RunConfig;
use crate::encoders::Encoders;
use crate::error::TrainError;
use crate::networks::Networks;
use crate::pretrain::Pretrainer;
use std::path::Path;

/// Which phase a checkpoint was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Between two epochs of the DAMSM.
    Damsm,
    /// Between two steps of the GAN.
    Gan,
}

/// The phase of a checkpoint.
///
/// # Errors
/// Its metadata is not of this version.
pub fn phase(c: &Checkpoint, at: &Path) -> Result<Phase, TrainError> {
    match c.meta::<String>("phase", at)?.as_str() {
        "damsm" => Ok(Phase::Damsm),
        "gan" => Ok(Phase::Gan),
        other => Err(TrainError::Run(format!(
            "checkpoint: unknown phase `{other}`; was it written by a newer drgan?"
        ))),
    }
}

fn set(c: &mut Checkpoint, key: &str, value: impl ToString) {
    c.meta.insert(key.to_owned(), value.to_string());
}

fn base(cfg: &RunConfig, encoders: &Encoders, phase: &str, step: u64) -> Result<Checkpoint, TrainError> {
    let mut c = Checkpoint::default();
    c.insert_all("text", encoders.captions.weights().views());
    c.insert_all("image", encoders.image_store.views());
    set(&mut c, "config", cfg.to_toml()?);
    set(&mut c, "phase", phase);
    set(&mut c, "step", step);
    Ok(c)
}

/// After a DAMSM epoch.
///
/// # Errors
/// Whatever candle reports.
pub fn of_damsm(cfg: &RunConfig, encoders: &Encoders, p: &Pretrainer) -> Result<Checkpoint, TrainError> {
    let mut c = base(cfg, encoders, "damsm", 0)?;
    set(&mut c, "epoch", p.epoch);
    c.insert_all("adam_text", p.text_opt.state()?);
    c.insert_all("adam_image", p.image_opt.state()?);
    Ok(c)
}

/// Sections that drawing and measuring need; the rest is the training's.
pub const SAMPLED: [&str; 3] = ["text", "image", "g_avg"];

/// Puts the DAMSM phase back.
///
/// # Errors
/// The checkpoint is of another network.
pub fn restore_damsm(
    c: &Checkpoint,
    at: &Path,
    encoders: &Encoders,
    p: &mut Pretrainer,
) -> Result<(), TrainError> {
    restore_encoders(c, encoders)?;
    p.epoch = c.meta("epoch", at)?;
    p.text_opt.restore(&c.section("adam_text"))?;
    p.image_opt.restore(&c.section("adam_image"))?;
    Ok(())
}

/// Puts trained encoders back.
///
/// # Errors
/// The checkpoint is of another network.
pub fn restore_encoders(c: &Checkpoint, encoders: &Encoders) -> Result<(), TrainError> {
    encoders.captions.weights().assign(&c.section("text"))?;
    encoders.image_store.assign(&c.section("image"))?;
    Ok(())
}

/// After GAN step `step`. The loader's position is the step: batch n belongs to step n.
///
/// # Errors
/// Whatever candle reports.
pub fn of_gan(
    cfg: &RunConfig,
    encoders: &Encoders,
    n: &Networks,
    step: u64,
    early_kid: Option<f64>,
) -> Result<Checkpoint, TrainError> {
    let mut c = base(cfg, encoders, "gan", step)?;
    if let Some(kid) = early_kid {
        set(&mut c, "early_kid", kid);
    }
    c.insert_all("g", n.generator.views());
    c.insert_all("g_avg", n.average.store.views());
    c.insert_all("rip", n.real_image.views());
    c.insert_all("adam_g", n.hero.opt.state()?);
    c.insert_all("adam_rip", n.hero.real_image_opt.state()?);
    set(&mut c, "random.g", n.hero.ctx.position());
    for (i, (store, adversary)) in n.discriminators.iter().zip(&n.adversaries).enumerate() {
        c.insert_all(&format!("d{i}"), store.views());
        c.insert_all(&format!("adam_d{i}"), adversary.opt.state()?);
        set(&mut c, &format!("random.d{i}"), adversary.ctx.position());
    }
    Ok(c)
}

/// Puts the GAN phase back; the step it stands at.
///
/// # Errors
/// The checkpoint is of another network.
pub fn restore_gan(
    c: &Checkpoint,
    at: &Path,
    encoders: &Encoders,
    n: &mut Networks,
) -> Result<u64, TrainError> {
    restore_encoders(c, encoders)?;
    n.generator.assign(&c.section("g"))?;
    n.average.store.assign(&c.section("g_avg"))?;
    n.real_image.assign(&c.section("rip"))?;
    n.hero.opt.restore(&c.section("adam_g"))?;
    n.hero.real_image_opt.restore(&c.section("adam_rip"))?;
    n.hero.ctx.seek(c.meta("random.g", at)?);
    for (i, (store, adversary)) in n.discriminators.iter().zip(&mut n.adversaries).enumerate() {
        store.assign(&c.section(&format!("d{i}")))?;
        adversary.opt.restore(&c.section(&format!("adam_d{i}")))?;
        adversary.ctx.seek(c.meta(&format!("random.d{i}"), at)?);
    }
    Ok(c.meta("step", at)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;
    use drgan_data::{Dataset, Split};

    #[test]
    fn two_damsm_epochs_are_one_a_checkpoint_and_another() -> Result<(), TrainError> {
        let cfg = RunConfig::resolve("tiny", &Overrides::default())?;
        let mut data = Dataset::embedded()?;
        data.truncate(40);
        let records = data.split(Split::Train);
        let fresh = || -> Result<(Encoders, Pretrainer), TrainError> {
            let encoders = Encoders::new(&cfg, Encoders::tokenizer_of(&data)?, &candle_core::Device::Cpu)?;
            let phase = Pretrainer::new(&cfg, &encoders, &data, &records, |_| true)?;
            Ok((encoders, phase.expect("not interrupted")))
        };
        let (whole, mut phase) = fresh()?;
        phase.run_epoch(&cfg, &whole, &data, |_, _| true)?;
        let saved = of_damsm(&cfg, &whole, &phase)?;
        let saved = Checkpoint { tensors: copied(&saved)?, meta: saved.meta };
        phase.run_epoch(&cfg, &whole, &data, |_, _| true)?;

        let (resumed, mut phase) = fresh()?;
        restore_damsm(&saved, Path::new("memory"), &resumed, &mut phase)?;
        phase.run_epoch(&cfg, &resumed, &data, |_, _| true)?;
        let bytes = |e: &Encoders| of_damsm(&cfg, e, &phase)?.to_bytes().map_err(TrainError::from);
        assert!(bytes(&whole)? == bytes(&resumed)?, "a pause changed the encoders");
        Ok(())
    }

    /// Values of their own: views follow the weights.
    fn copied(c: &Checkpoint) -> Result<std::collections::BTreeMap<String, candle_core::Tensor>, TrainError> {
        Ok(c.tensors.iter().map(|(n, t)| Ok((n.clone(), t.copy()?))).collect::<candle_core::Result<_>>()?)
    }
}
