//! Which phase a checkpoint was written in, and checkpoints of both phases.
use crate::config::RunConfig;
use crate::error::TrainError;
use crate::gan::refuse_non_finite_tensors;
use crate::run::{Checkpoint, Checkpointed};
use candle_core::Device;
use drgan_tensor::ops::convolutions as convolutions_on;

/// The key of what has computed convolutions, on a CUDA device.
const CONVOLUTIONS: &str = "convolutions";

/// What has computed the convolutions of a checkpoint, if that was a CUDA device.
pub(super) fn convolutions(checkpoint: &Checkpoint) -> Option<String> {
    checkpoint.meta.get(CONVOLUTIONS).cloned()
}

/// The phase of a run that a checkpoint was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Between two epochs of the DAMSM.
    Damsm,
    /// Between two steps of the GAN.
    Gan,
}

impl Phase {
    /// The phase of a checkpoint.
    ///
    /// # Errors
    /// Its metadata is not of this version.
    pub fn of(checkpoint: &Checkpoint) -> Result<Self, TrainError> {
        match checkpoint.get::<String>("phase")?.as_str() {
            "damsm" => Ok(Self::Damsm),
            "gan" => Ok(Self::Gan),
            other => Err(TrainError::Run(format!(
                "checkpoint: unknown phase `{other}`; was it written by a newer drgan?"
            ))),
        }
    }

    /// The phase's name in metadata, events and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Damsm => "damsm",
            Self::Gan => "gan",
        }
    }

    /// A checkpoint of everything that `owners` have on `device`, after `step` steps of the GAN. The loader's position is the step: batch
    /// n belongs to step n.
    ///
    /// # Errors
    /// [`TrainError::NonFinite`] with the first tensor that holds NaN or infinity: weights, averages, moments, running statistics
    /// and spectral vectors alike; whatever the device reports.
    pub fn checkpoint(
        self,
        cfg: &RunConfig,
        step: u64,
        device: &Device,
        owners: &[&dyn Checkpointed],
    ) -> Result<Checkpoint, TrainError> {
        let mut checkpoint = Checkpoint::default();
        checkpoint.set("config", cfg.to_toml()?);
        checkpoint.set("phase", self.name());
        checkpoint.set("step", step);
        if let Some(by) = convolutions_on(device)? {
            checkpoint.set(CONVOLUTIONS, by);
        }
        owners.iter().try_for_each(|owner| owner.save(&mut checkpoint))?;
        refuse_non_finite_tensors(&checkpoint.tensors)?;
        Ok(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;
    use crate::damsm::{DamsmTrainer, Encoders};
    use crate::gan::Networks;
    use crate::run::History;
    use candle_core::{DType, Tensor};
    use drgan_data::{Dataset, Split};
    use drgan_tensor::device::HOST;

    /// What checkpoints of revision f1e38d0 hold: names, types and shapes, a block per phase.
    const OLD: &str = include_str!("../../tests/fixtures/checkpoint-f1e38d0.txt");

    /// The lines of a phase's block, sorted.
    fn old(phase: Phase) -> Vec<&'static str> {
        let block = OLD.split('[').find_map(|b| b.strip_prefix(phase.name())?.strip_prefix("]\n"));
        let mut lines: Vec<_> = block.expect("a block per phase").lines().collect();
        lines.sort_unstable();
        lines
    }

    /// The names, types and shapes that `checkpoint` holds, as sorted lines.
    fn lines(checkpoint: &Checkpoint) -> Vec<String> {
        let tensor = |(name, t): (&String, &Tensor)| {
            let dims: Vec<_> = t.dims().iter().map(ToString::to_string).collect();
            let shape = if dims.is_empty() { "scalar".to_owned() } else { dims.join("x") };
            format!("{name} {} {shape}", t.dtype().as_str())
        };
        let keys = checkpoint.meta.keys().map(|key| format!("meta {key}"));
        let mut lines: Vec<_> = checkpoint.tensors.iter().map(tensor).chain(keys).collect();
        lines.sort_unstable();
        lines
    }

    /// A checkpoint of the first version, all of its values 0.
    fn zeros(phase: Phase) -> Result<Checkpoint, TrainError> {
        let mut checkpoint = Checkpoint::default();
        for line in old(phase) {
            let parts: Vec<&str> = line.split(' ').collect();
            match parts[..] {
                ["meta", key] => checkpoint.set(key, 0),
                [name, dtype, dims] => {
                    let dims: Vec<usize> = dims.split('x').filter_map(|n| n.parse().ok()).collect();
                    let dtype = if dtype == "i64" { DType::I64 } else { DType::F32 };
                    checkpoint.tensors.insert(name.to_owned(), Tensor::zeros(dims, dtype, &HOST)?);
                }
                _ => panic!("{line}"),
            }
        }
        Ok(checkpoint)
    }

    #[test]
    fn no_tensor_of_a_checkpoint_may_be_nan_or_infinite() -> Result<(), TrainError> {
        struct Owner(f32);
        impl Checkpointed for Owner {
            fn save(&self, to: &mut Checkpoint) -> Result<(), TrainError> {
                to.insert_all("g_avg", [("fc.weight".to_owned(), Tensor::new(&[1f32, self.0, 2.], &HOST)?)]);
                Ok(())
            }
            fn restore(&mut self, _: &Checkpoint) -> Result<(), TrainError> {
                Ok(())
            }
        }
        let cfg = RunConfig::default();
        for (value, said) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
            let e = Phase::Gan
                .checkpoint(&cfg, 1, &HOST, &[&Owner(value)])
                .expect_err("it is broken")
                .to_string();
            assert_eq!(e, format!("`g_avg.fc.weight` is {said}"));
        }
        // Finite numbers whose sum is beyond their type's largest are still finite.
        Phase::Gan.checkpoint(&cfg, 1, &HOST, &[&Owner(f32::MAX)])?;
        Ok(())
    }

    #[test]
    fn checkpoints_of_both_phases_hold_what_those_of_the_first_version_did() -> Result<(), TrainError> {
        let cfg = RunConfig::resolve("tiny", &Overrides::default())?;
        let mut data = Dataset::embedded()?;
        data.truncate(40);
        let mut encoders = Encoders::new(&cfg, Encoders::tokenizer_of(&cfg, &data)?, &HOST)?;
        let records = data.split(Split::Train);
        let mut trainer =
            DamsmTrainer::new(&cfg, &encoders, &data, &records, |_| true)?.expect("not interrupted");
        let mut networks = Networks::new(&cfg, &HOST)?;

        let checkpoint = Phase::Damsm.checkpoint(&cfg, 0, &HOST, &[&encoders, &trainer])?;
        assert_eq!(lines(&checkpoint), old(Phase::Damsm));
        let owners: [&dyn Checkpointed; 3] = [&encoders, &networks, &History::default()];
        assert_eq!(lines(&Phase::Gan.checkpoint(&cfg, 1, &HOST, &owners)?), old(Phase::Gan));

        encoders.restore(&zeros(Phase::Damsm)?)?;
        trainer.restore(&zeros(Phase::Damsm)?)?;
        encoders.restore(&zeros(Phase::Gan)?)?;
        networks.restore(&zeros(Phase::Gan)?)?;
        for store in [&encoders.image_store, &networks.generator.store, networks.ema.average()] {
            for (name, value) in store.views() {
                assert_eq!(value.abs()?.max_all()?.to_scalar::<f32>()?, 0., "{name} was not taken");
            }
        }
        Ok(())
    }
}
