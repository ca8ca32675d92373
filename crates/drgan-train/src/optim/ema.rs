//! The exponential moving average of a network's weights: what images are drawn with.
use crate::error::{Result, TrainError};
use crate::run::{Checkpoint, Checkpointed, section};
use candle_core::Var;
use drgan_tensor::ParamStore;
use drgan_tensor::ops::ema_update_all;
use std::collections::BTreeMap;

/// Exponential moving average of a network's parameters and buffers, in a second store of the same names.
#[derive(Debug)]
pub struct Ema {
    decay: f64,
    average: ParamStore,
    /// The average's value, then the network's.
    pairs: Vec<(Var, Var)>,
}

impl Ema {
    /// Pairs the stores by name and makes the average a copy of `live`.
    ///
    /// # Errors
    /// A `decay` that is not in `[0, 1)`; names or shapes that differ.
    pub fn new(live: &ParamStore, average: ParamStore, decay: f64) -> Result<Self> {
        if !(0. ..1.).contains(&decay) {
            return Err(TrainError::Config(format!("train.ema: {decay} is not in [0, 1)")));
        }
        average.assign(&live.views())?;
        let mut source: BTreeMap<_, _> = live.all().into_iter().map(|(n, _, v)| (n, v)).collect();
        let pair = |(n, _, a): (String, _, Var)| source.remove(&n).map(|x| (a, x));
        let pairs = average.all().into_iter().filter_map(pair).collect();
        Ok(Self { decay, average, pairs })
    }

    /// The averaged values.
    pub fn average(&self) -> &ParamStore {
        &self.average
    }

    /// The decay after `step` updates: `min(decay, (1 + step) / (10 + step))`, which forgets the start sooner.
    fn decay_at(&self, step: u64) -> f64 {
        self.decay.min((1. + step as f64) / (10. + step as f64))
    }

    /// Moves the average towards the network as it is now.
    ///
    /// # Errors
    /// Networks of different types.
    pub fn update(&self, step: u64) -> Result<()> {
        let d = self.decay_at(step);
        let pairs: Vec<_> = self.pairs.iter().map(|(average, value)| (average, value.as_tensor())).collect();
        Ok(ema_update_all(&pairs, d)?)
    }
}

impl Checkpointed for Ema {
    fn save(&self, to: &mut Checkpoint) -> Result<()> {
        to.insert_all(section::AVERAGE, self.average.views());
        Ok(())
    }

    fn restore(&mut self, from: &Checkpoint) -> Result<()> {
        Ok(self.average.assign(&from.section(section::AVERAGE))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Tensor};
    use drgan_tensor::nn::BatchNorm;

    fn store(seed: u64) -> Result<ParamStore> {
        let s = ParamStore::seeded(seed);
        BatchNorm::new(2, s.builder(DType::F64, &Device::Cpu).pp("bn"))?;
        Ok(s)
    }

    #[test]
    fn parameters_and_buffers_follow_the_closed_form() -> Result<()> {
        let (live, avg) = (store(1)?, store(2)?);
        let ema = Ema::new(&live, avg.clone(), 0.9)?;
        for (_, _, v) in live.all() {
            v.set(&Tensor::new(&[4f64, -1.], &Device::Cpu)?)?;
        }
        let before = avg.views()["bn.running_var"].to_vec1::<f64>()?;
        assert_eq!(before, [1., 1.]);
        ema.update(0)?;
        ema.update(1_000_000)?;
        // 1 -> 0.1 + 0.9 * 4 = 3.7 -> 0.9 * 3.7 + 0.4 = 3.73; 1 -> 0.1 - 0.9 = -0.8 -> -0.82.
        for name in ["bn.weight", "bn.running_var"] {
            let got = avg.views()[name].to_vec1::<f64>()?;
            assert!((got[0] - 3.73).abs() < 1e-12 && (got[1] + 0.82).abs() < 1e-12, "{name}: {got:?}");
        }
        assert_eq!(live.views()["bn.weight"].to_vec1::<f64>()?, [4., -1.]);
        Ok(())
    }

    #[test]
    fn another_network_or_decay_is_refused() -> Result<()> {
        let live = store(1)?;
        assert!(Ema::new(&live, ParamStore::seeded(1), 0.9).is_err());
        assert!(Ema::new(&live, store(1)?, 1.).is_err());
        Ok(())
    }
}
