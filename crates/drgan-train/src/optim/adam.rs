//! Adam, with state that can be saved.
use super::gradients::Gradients;
use super::layout::span;
use super::optimizer::{Optimizer, OptimizerConfig};
use candle_core::{CpuStorage, DType, Device, InplaceOp2, Layout, Tensor, Var, WithDType};
use drgan_tensor::ops::optimize::{self, AdamStep};
use drgan_tensor::{Error, ParamKind, ParamStore, Result};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

#[derive(Debug)]
enum Moments {
    F32(Vec<f32>, Vec<f32>),
    F64(Vec<f64>, Vec<f64>),
}

/// [`optimize::adam`] in f64, which nothing is trained in but tests.
fn adam_f64(p: &mut [f64], g: &[f64], m: &mut [f64], v: &mut [f64], k: AdamStep) {
    let AdamStep { betas: (b1, b2), rate, root, eps, scale } = k;
    for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
        let g = g * scale;
        *m = b1 * *m + (1. - b1) * g;
        *v = b2 * *v + (1. - b2) * g * g;
        *p -= rate * *m / (v.sqrt() / root + eps);
    }
}

/// One tensor's update; candle lends the parameter mutably, the moments ride along.
struct Update<'a> {
    k: AdamStep,
    moments: Mutex<&'a mut Moments>,
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn cpu_fwd(
        &self,
        p: &mut CpuStorage,
        lp: &Layout,
        g: &CpuStorage,
        lg: &Layout,
    ) -> candle_core::Result<()> {
        let (sp, sg) = (span(lp)?, span(lg)?);
        let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        match (p, g, &mut **moments) {
            (CpuStorage::F32(p), CpuStorage::F32(g), Moments::F32(m, v)) => {
                optimize::adam(&mut p[sp], &g[sg], m, v, self.k);
            }
            (CpuStorage::F64(p), CpuStorage::F64(g), Moments::F64(m, v)) => {
                adam_f64(&mut p[sp], &g[sg], m, v, self.k);
            }
            _ => candle_core::bail!("adam: parameter, gradient and moments must share one type, f32 or f64"),
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Slot {
    name: String,
    var: Var,
    moments: Moments,
}

/// Adam (Kingma and Ba, 2015) whose state can be saved, which candle's own (0.11.1) cannot.
///
/// `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`,
/// `p = p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)`, one pass per tensor.
#[derive(Debug)]
pub struct Adam {
    cfg: OptimizerConfig,
    step: u64,
    slots: Vec<Slot>,
}

impl Adam {
    /// Optimizes exactly the store's parameters, never its buffers.
    ///
    /// # Errors
    /// [`Error::Config`] for a hyperparameter out of range; a parameter that is neither f32 nor f64.
    pub fn new(store: &ParamStore, cfg: OptimizerConfig) -> Result<Self> {
        cfg.validate()?;
        let slot = |(name, var): (String, Var)| {
            let n = var.elem_count();
            let moments = match var.dtype() {
                DType::F32 => Moments::F32(vec![0.; n], vec![0.; n]),
                DType::F64 => Moments::F64(vec![0.; n], vec![0.; n]),
                other => candle_core::bail!("adam: `{name}` is {other:?}, only f32 and f64 can be optimized"),
            };
            Ok(Slot { name, var, moments })
        };
        let slots = store.vars(ParamKind::Param).into_iter().map(slot).collect::<candle_core::Result<_>>()?;
        Ok(Self { cfg, step: 0, slots })
    }
}

impl Optimizer for Adam {
    fn apply(&mut self, gradients: &Gradients, lr_scale: f64) -> Result<()> {
        let (found, wanted) = (gradients.tensors().len(), self.slots.len());
        if found != wanted {
            return Err(Error::input(format!("adam: {found} gradients for {wanted} parameters")));
        }
        self.step += 1;
        let (b1, b2) = self.cfg.betas;
        let t = self.step as f64;
        let k = AdamStep {
            betas: (b1, b2),
            rate: self.cfg.lr * lr_scale / (1. - b1.powf(t)),
            root: (1. - b2.powf(t)).sqrt(),
            eps: self.cfg.eps,
            scale: gradients.scale(),
        };
        for (s, g) in self.slots.iter_mut().zip(gradients.tensors()) {
            let Some(g) = g else { continue };
            let g = g.detach().contiguous()?;
            let op = Update { k, moments: Mutex::new(&mut s.moments) };
            if s.var.device().is_cpu() {
                s.var.inplace_op2(&g, &op)?;
            } else {
                // The moments live on the host: the parameter visits them.
                let host = s.var.as_detached_tensor().to_device(&Device::Cpu)?.contiguous()?;
                host.inplace_op2(&g.to_device(&Device::Cpu)?, &op)?;
                s.var.set(&host.to_device(s.var.device())?)?;
            }
        }
        Ok(())
    }

    /// `m.NAME` and `v.NAME`, the moments of each parameter, and `step`, the updates made so far.
    fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut out = BTreeMap::new();
        for s in &self.slots {
            let (m, v) = match &s.moments {
                Moments::F32(m, v) => (host(m, &s.var)?, host(v, &s.var)?),
                Moments::F64(m, v) => (host(m, &s.var)?, host(v, &s.var)?),
            };
            out.insert(format!("m.{}", s.name), m);
            out.insert(format!("v.{}", s.name), v);
        }
        out.insert("step".into(), Tensor::new(self.step as i64, &Device::Cpu)?);
        Ok(out)
    }

    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let want: BTreeMap<_, _> = self.state()?.into_iter().map(|(n, t)| (n, t.shape().clone())).collect();
        let fits = |n: &String| state.get(n).is_some_and(|t| *t.shape() == want[n]);
        let missing: Vec<_> = want.keys().filter(|n| !fits(n)).cloned().collect();
        let unexpected: Vec<_> = state.keys().filter(|n| !want.contains_key(*n)).cloned().collect();
        if !missing.is_empty() || !unexpected.is_empty() {
            return Err(Error::Weights { missing, unexpected });
        }
        let step = state["step"].to_dtype(DType::I64)?.to_scalar::<i64>()?;
        let mut loaded = Vec::with_capacity(self.slots.len());
        for s in &self.slots {
            let (m, v) = (&state[&format!("m.{}", s.name)], &state[&format!("v.{}", s.name)]);
            loaded.push(match s.moments {
                Moments::F32(..) => Moments::F32(flat(m)?, flat(v)?),
                Moments::F64(..) => Moments::F64(flat(m)?, flat(v)?),
            });
        }
        self.step = step.unsigned_abs();
        self.slots.iter_mut().zip(loaded).for_each(|(s, l)| s.moments = l);
        Ok(())
    }
}

fn host<T: WithDType>(values: &[T], var: &Var) -> Result<Tensor> {
    Ok(Tensor::from_slice(values, var.shape(), &Device::Cpu)?)
}

fn flat<T: WithDType>(t: &Tensor) -> Result<Vec<T>> {
    Ok(t.to_dtype(T::DTYPE)?.flatten_all()?.to_vec1()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use drgan_tensor::nn::{BatchNorm, Linear};
    use drgan_tensor::testing::{Tol, assert_close};

    fn net(dtype: DType) -> Result<(ParamStore, Linear, Tensor)> {
        let store = ParamStore::seeded(3);
        let lin = Linear::new(4, 1, store.builder(dtype, &Device::Cpu))?;
        BatchNorm::new(3, store.builder(dtype, &Device::Cpu).pp("unused"))?;
        let x = Tensor::arange(-3f32, 5., &Device::Cpu)?.reshape((2, 4))?.to_dtype(dtype)?;
        Ok((store, lin, x))
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
            for ((g, a), b) in flat::<f64>(g)?.iter().zip(old).zip(new) {
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
        assert_close("weights", &run(Some(3))?, &run(None)?, Tol::EXACT)
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
            want += flat::<f64>(g)?.iter().map(|x| x * x).sum::<f64>();
            let (g, m) = (flat::<f64>(g)?, flat::<f64>(&opt.state()?[&format!("m.{n}")])?);
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
            Err(Error::Weights { missing, unexpected }) => {
                assert_eq!((missing, unexpected), (vec!["m.weight".to_owned()], vec!["stray".to_owned()]));
            }
            other => panic!("{other:?}"),
        }
        assert!(Adam::new(&store, OptimizerConfig { lr: -1., ..Default::default() }).is_err());
        Ok(())
    }
}
