//! The trained model that a run starts from instead of initial values.
use crate::config::RunConfig;
use crate::error::TrainError;
use candle_core::{Device, Tensor};
use drgan_infer::Model;
use drgan_tensor::ParamStore;
use drgan_tensor::weights::Tensors;
use std::path::Path;

/// The model that `start.model` names; none where the run starts from initial values.
///
/// # Errors
/// No model file.
pub fn starting_model(cfg: &RunConfig, device: &Device) -> Result<Option<Model>, TrainError> {
    match cfg.start.model.as_str() {
        "" => Ok(None),
        path => open_model(Path::new(path), device).map(Some),
    }
}

/// The name of the model that comes with this crate, in place of a path; a file of this name is `./pretrained`.
pub const PRETRAINED: &str = "pretrained";

/// Opens a model file, or the model that comes with this crate where the path is [`PRETRAINED`].
///
/// # Errors
/// No model file.
pub fn open_model(path: &Path, device: &Device) -> Result<Model, TrainError> {
    match path == Path::new(PRETRAINED) {
        true => Ok(drgan_pretrained::emoji_64(device)?),
        false => Ok(Model::load(path, device)?),
    }
}

/// Gives `store` the weights `from`, which have the same names. Where a tensor of `from` has fewer rows, as a smaller vocabulary
/// has, the rows after them stay as they are.
///
/// # Errors
/// A tensor is missing, left over, or of another shape.
pub(crate) fn start_from(store: &ParamStore, from: Tensors) -> Result<(), TrainError> {
    let own = store.views();
    let placed = |(name, t): (String, Tensor)| -> candle_core::Result<_> {
        let Some(fresh) = own.get(&name) else { return Ok((name, t)) };
        let t = t.to_device(fresh.device())?.to_dtype(fresh.dtype())?;
        let more =
            fresh.dims().first().zip(t.dims().first()).and_then(|(all, known)| all.checked_sub(*known));
        match more {
            Some(more) if more > 0 => {
                let rest = fresh.narrow(0, t.dim(0)?, more)?;
                Ok((name, Tensor::cat(&[t, rest], 0)?))
            }
            _ => Ok((name, t)),
        }
    };
    let tensors: Tensors = from.into_iter().map(placed).collect::<candle_core::Result<_>>()?;
    Ok(store.assign(&tensors)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;
    use drgan_tensor::init;

    fn store(rows: usize, seed: u64) -> Result<ParamStore, TrainError> {
        let store = ParamStore::seeded(seed);
        let vb = store.builder(DType::F32, &Device::Cpu);
        vb.get((rows, 3), "encoder.weight")?;
        vb.get(2, "bias")?;
        init::gan(&store)?;
        Ok(store)
    }

    #[test]
    fn rows_that_the_model_lacks_stay_as_they_are() -> Result<(), TrainError> {
        let (of_model, run) = (store(4, 1)?, store(6, 2)?);
        let fresh: Vec<Vec<f32>> = run.views()["encoder.weight"].to_vec2()?;
        start_from(&run, of_model.views())?;
        let started: Vec<Vec<f32>> = run.views()["encoder.weight"].to_vec2()?;
        assert_eq!(started[..4], of_model.views()["encoder.weight"].to_vec2::<f32>()?);
        assert_eq!(started[4..], fresh[4..]);
        assert!(start_from(&of_model, run.views()).is_err(), "a vocabulary never loses words");
        Ok(())
    }
}
