//! Adam, with state that can be saved.
use super::gradients::Gradients;
use super::optimizer::{Optimizer, OptimizerConfig};
use crate::error::{Result, TrainError};
use candle_core::{DType, Tensor, Var};
use drgan_tensor::device::HOST;
use drgan_tensor::ops::{AdamStep, AdamUpdate, adam_update_all};
use drgan_tensor::{Error, ParamKind, ParamStore};
use std::collections::BTreeMap;

/// A parameter and its moments, all on one device.
#[derive(Debug)]
struct Slot {
    name: String,
    parameter: Var,
    m: Var,
    v: Var,
}

/// Adam (Kingma and Ba, 2015) whose state can be saved, which candle's own (0.11.1) cannot.
///
/// `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`,
/// `p = p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)`, one pass per tensor.
#[derive(Debug)]
pub(super) struct Adam {
    cfg: OptimizerConfig,
    step: u64,
    slots: Vec<Slot>,
}

impl Adam {
    /// Optimizes exactly the store's parameters, never its buffers.
    ///
    /// # Errors
    /// A hyperparameter out of range.
    pub(super) fn new(store: &ParamStore, cfg: OptimizerConfig) -> Result<Self> {
        if let Some((field, why)) = cfg.out_of_range() {
            return Err(TrainError::Config(format!("optimizer: `{field}`: {why}")));
        }
        let slot = |(name, parameter): (String, Var)| {
            let zeros = || Var::zeros(parameter.shape(), parameter.dtype(), parameter.device());
            let (m, v) = (zeros()?, zeros()?);
            Ok(Slot { name, parameter, m, v })
        };
        let slots = store.vars(ParamKind::Param).into_iter().map(slot).collect::<candle_core::Result<_>>()?;
        Ok(Self { cfg, step: 0, slots })
    }
}

impl Optimizer for Adam {
    fn apply(&mut self, gradients: &Gradients, lr_scale: f64) -> Result<()> {
        let (found, wanted) = (gradients.tensors().len(), self.slots.len());
        if found != wanted {
            return Err(Error::input(format!("adam: {found} gradients for {wanted} parameters")).into());
        }
        self.step += 1;
        let OptimizerConfig { lr, betas, eps, .. } = self.cfg;
        let step = AdamStep::new(self.step, lr * lr_scale, betas, eps).with_scale(gradients.scale());
        let found = self.slots.iter().zip(gradients.tensors());
        let found = found.filter_map(|(s, gradient)| Some((s, gradient.as_ref()?)));
        let updates: Vec<AdamUpdate<'_>> = found
            .map(|(Slot { parameter, m, v, .. }, gradient)| AdamUpdate { parameter, gradient, m, v })
            .collect();
        Ok(adam_update_all(&updates, step, gradients.guard())?)
    }

    /// `m.NAME` and `v.NAME`, the moments of each parameter, and `step`, the updates made so far.
    fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut out = BTreeMap::new();
        for s in &self.slots {
            // Copied first: on the host `to_device` would give a view, which the next step changes.
            out.insert(format!("m.{}", s.name), s.m.as_detached_tensor().copy()?.to_device(&HOST)?);
            out.insert(format!("v.{}", s.name), s.v.as_detached_tensor().copy()?.to_device(&HOST)?);
        }
        out.insert("step".into(), Tensor::new(self.step as i64, &HOST)?);
        Ok(out)
    }

    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let moments =
            self.slots.iter().flat_map(|s| [("m", &s.m), ("v", &s.v)].map(|(kind, t)| (kind, &s.name, t)));
        let mut want: BTreeMap<_, _> =
            moments.map(|(kind, name, t)| (format!("{kind}.{name}"), t.shape().clone())).collect();
        want.insert("step".into(), ().into());
        let fits = |n: &String| state.get(n).is_some_and(|t| *t.shape() == want[n]);
        let missing: Vec<_> = want.keys().filter(|n| !fits(n)).cloned().collect();
        let unexpected: Vec<_> = state.keys().filter(|n| !want.contains_key(*n)).cloned().collect();
        if !missing.is_empty() || !unexpected.is_empty() {
            return Err(Error::Weights { missing, unexpected }.into());
        }
        let step = state["step"].to_dtype(DType::I64)?.to_scalar::<i64>()?;
        for s in &self.slots {
            for (kept, name) in [(&s.m, "m"), (&s.v, "v")] {
                let saved = &state[&format!("{name}.{}", s.name)];
                kept.set(&saved.to_dtype(kept.dtype())?.to_device(kept.device())?.contiguous()?)?;
            }
        }
        self.step = step.unsigned_abs();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use drgan_tensor::nn::{BatchNorm, Linear};
    use drgan_tensor::testing::{Tol, assert_close};

    fn net(dtype: DType) -> Result<(ParamStore, Linear, Tensor)> {
        let store = ParamStore::seeded(3);
        let lin = Linear::new(4, 1, store.builder(dtype, &Device::Cpu))?;
        BatchNorm::new(3, store.builder(dtype, &Device::Cpu).pp("unused"))?;
        let x = Tensor::arange(-3f32, 5., &Device::Cpu)?.reshape((2, 4))?.to_dtype(dtype)?;
        Ok((store, lin, x))
    }

    fn flat(t: &Tensor) -> Result<Vec<f64>> {
        Ok(t.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
    }

    fn grads(store: &ParamStore, lin: &Linear, x: &Tensor) -> Result<Gradients> {
        Gradients::of(Some((lin.forward(x)? - 1.)?.sqr()?.mean_all()?), store)
    }

    fn values(store: &ParamStore) -> Result<Vec<Vec<f64>>> {
        store.vars(ParamKind::Param).iter().map(|(_, v)| flat(v.as_tensor())).collect()
    }

    #[test]
    fn the_first_step_is_the_learning_rate_against_the_sign() -> Result<()> {
        let (store, lin, x) = net(DType::F64)?;
        let (g, before) = (grads(&store, &lin, &x)?, values(&store)?);
        Adam::new(&store, OptimizerConfig { lr: 0.01, ..Default::default() })?.apply(&g, 0.5)?;
        let names = store.vars(ParamKind::Param).into_iter().map(|(name, _)| name);
        for (((name, g), old), new) in names.zip(g.tensors()).zip(before).zip(values(&store)?) {
            let Some(g) = g else {
                assert!(name.starts_with("unused") && old == new, "{name}");
                continue;
            };
            for ((g, a), b) in flat(g)?.iter().zip(old).zip(new) {
                assert!((b - a + 0.005 * g.signum()).abs() < 1e-8, "{name}: {a} -> {b}, gradient {g}");
            }
        }
        Ok(())
    }

    #[test]
    fn twenty_steps_follow_the_plain_formula() -> Result<()> {
        let (store, lin, x) = net(DType::F64)?;
        let cfg = OptimizerConfig { lr: 0.03, ..Default::default() };
        let mut opt = Adam::new(&store, cfg)?;
        let place = store.vars(ParamKind::Param).iter().position(|(n, _)| n == "weight").unwrap();
        let (_, w) = store.vars(ParamKind::Param).swap_remove(place);
        let mut p = w.as_detached_tensor().copy()?;
        let (mut m, mut v) = (p.zeros_like()?, p.zeros_like()?);
        for t in 1..=20 {
            let all = grads(&store, &lin, &x)?;
            let g = all.tensors()[place].as_ref().unwrap().detach();
            m = ((m * 0.5)? + (&g * 0.5)?)?;
            v = ((v * 0.999)? + (g.sqr()? * (1. - 0.999))?)?;
            let mh = (&m / (1. - 0.5f64.powi(t)))?;
            let vh = (&v / (1. - 0.999f64.powi(t)))?;
            p = (p - ((mh / (vh.sqrt()? + 1e-8)?)? * 0.03)?)?;
            opt.apply(&all, 1.)?;
            let worst = (w.as_detached_tensor() - &p)?.abs()?.max_all()?.to_scalar::<f64>()?;
            assert!(worst < 1e-12, "step {t}: {worst}");
        }
        Ok(())
    }

    fn run(resume_at: Option<usize>) -> Result<Tensor> {
        let (store, lin, x) = net(DType::F32)?;
        let mut opt = Adam::new(&store, OptimizerConfig::default())?;
        for i in 0..6 {
            if resume_at == Some(i) {
                let state = opt.state()?;
                opt = Adam::new(&store, OptimizerConfig::default())?;
                opt.restore(&state)?;
                assert_eq!(opt.step, i as u64);
            }
            opt.apply(&grads(&store, &lin, &x)?, 1.)?;
        }
        Ok(store.views()["weight"].clone())
    }

    #[test]
    fn stopping_and_resuming_changes_nothing() -> Result<()> {
        Ok(assert_close("weights", &run(Some(3))?, &run(None)?, Tol::EXACT)?)
    }

    #[test]
    fn a_state_is_a_snapshot_that_later_steps_leave_alone() -> Result<()> {
        let (store, lin, x) = net(DType::F32)?;
        let mut opt = Adam::new(&store, OptimizerConfig::default())?;
        opt.apply(&grads(&store, &lin, &x)?, 1.)?;
        let contents = |state: &BTreeMap<String, Tensor>| -> Result<Vec<(String, Vec<f64>)>> {
            state.iter().map(|(name, t)| Ok((name.clone(), flat(t)?))).collect()
        };
        let kept = opt.state()?;
        let before = contents(&kept)?;
        // An optimizer takes its own state as it is.
        opt.restore(&kept)?;
        assert_eq!(contents(&opt.state()?)?, before);
        opt.apply(&grads(&store, &lin, &x)?, 1.)?;
        assert_eq!(contents(&kept)?, before);
        assert_ne!(contents(&opt.state()?)?, before);
        opt.restore(&kept)?;
        assert_eq!(contents(&opt.state()?)?, before);
        assert_eq!(opt.step, 1);
        Ok(())
    }

    #[test]
    fn clipping_scales_all_gradients_to_the_norm() -> Result<()> {
        let (store, lin, x) = net(DType::F64)?;
        let mut g = grads(&store, &lin, &x)?;
        let norm = g.norm()?;
        g.clip(0.25)?;
        let mut opt = Adam::new(&store, OptimizerConfig::default())?;
        opt.apply(&g, 1.)?;
        let mut want = 0.;
        for ((n, _), g) in store.vars(ParamKind::Param).iter().zip(g.tensors()) {
            let Some(g) = g else { continue };
            want += flat(g)?.iter().map(|x| x * x).sum::<f64>();
            let (g, m) = (flat(g)?, flat(&opt.state()?[&format!("m.{n}")])?);
            g.iter().zip(m).for_each(|(g, m)| assert!((m - 0.5 * g * 0.25 / norm).abs() < 1e-12));
        }
        assert!(norm > 0.25 && (norm - want.sqrt()).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn gradients_of_another_network_are_refused() -> Result<()> {
        let (store, lin, x) = net(DType::F32)?;
        let other = ParamStore::seeded(1);
        Linear::no_bias(4, 1, other.builder(DType::F32, &Device::Cpu))?;
        let mut opt = Adam::new(&other, OptimizerConfig::default())?;
        assert!(opt.apply(&grads(&store, &lin, &x)?, 1.).is_err());
        Ok(())
    }

    #[test]
    fn another_networks_state_is_refused() -> Result<()> {
        let (store, ..) = net(DType::F32)?;
        let mut opt = Adam::new(&store, OptimizerConfig::default())?;
        let mut state = opt.state()?;
        state.remove("m.weight");
        state.insert("stray".into(), Tensor::new(1f32, &Device::Cpu)?);
        match opt.restore(&state) {
            Err(TrainError::Model(Error::Weights { missing, unexpected })) => {
                assert_eq!((missing, unexpected), (vec!["m.weight".to_owned()], vec!["stray".to_owned()]));
            }
            other => panic!("{other:?}"),
        }
        assert!(Adam::new(&store, OptimizerConfig { lr: -1., ..Default::default() }).is_err());
        Ok(())
    }
}
