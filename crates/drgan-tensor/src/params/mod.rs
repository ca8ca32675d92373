//! Named parameters and buffers of one network: where they live, how they get their values.
mod builder;
pub mod init;
mod kind;
pub(crate) mod seed;
mod shapes;

pub use builder::{Hint, TensorSource, VarBuilder, builder_over};
pub use kind::ParamKind;
pub use shapes::{Shapes, parameter_shapes};

use crate::{Error, Result};
use candle_core::{DType, Device, Shape, Tensor, Var};
use candle_nn::Init;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal, Uniform};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct Inner {
    vars: BTreeMap<String, (ParamKind, Var)>,
    seed: u64,
    zeroed: bool,
}

/// Named, ordered, seeded parameters: one store per network, so that the optimizer of one network cannot touch another's.
#[derive(Clone, Debug, Default)]
pub struct ParamStore(Arc<Mutex<Inner>>);

impl ParamStore {
    /// A store whose initial values depend on `seed` and each parameter's name only, not on the order of construction, the
    /// thread or the device.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner { seed, ..Default::default() })))
    }

    /// A store whose values start as zeros, for a network that [`ParamStore::assign`] gives its values: drawing random ones
    /// takes longer than reading them.
    pub fn zeroed() -> Self {
        Self(Arc::new(Mutex::new(Inner { zeroed: true, ..Default::default() })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The seed of the initial values.
    pub fn seed(&self) -> u64 {
        self.lock().seed
    }

    /// A builder whose tensors this store keeps: a module built from it creates its parameters here.
    pub fn builder(&self, dtype: DType, device: &Device) -> VarBuilder<'static> {
        builder_over(self.clone(), dtype, device)
    }

    /// Names and variables of the tensors of `kind`, sorted by name.
    pub fn vars(&self, kind: ParamKind) -> Vec<(String, Var)> {
        self.all().into_iter().filter(|(_, k, _)| *k == kind).map(|(n, _, v)| (n, v)).collect()
    }

    /// Name, kind and variable of every tensor, sorted by name.
    pub fn all(&self) -> Vec<(String, ParamKind, Var)> {
        self.lock().vars.iter().map(|(n, (k, v))| (n.clone(), *k, v.clone())).collect()
    }

    /// Number of learnt values, over all parameters.
    pub fn num_params(&self) -> usize {
        self.vars(ParamKind::Param).iter().map(|(_, v)| v.elem_count()).sum()
    }

    /// Views of all tensors by name, outside the graph. They share memory with the store: a later optimizer step shows in
    /// them.
    pub fn views(&self) -> BTreeMap<String, Tensor> {
        self.all().into_iter().map(|(n, _, v)| (n, v.as_detached_tensor())).collect()
    }

    /// A builder over [`ParamStore::views`]: a module built from it computes with the store's current weights, and its weights
    /// get no gradient, as those of a discriminator should not while the generator learns.
    pub fn frozen(&self, dtype: DType, device: &Device) -> VarBuilder<'static> {
        builder_over(self.views(), dtype, device)
    }

    /// The tensors of a file whose names this store has: what [`ParamStore::assign`] takes if the file holds more.
    pub fn select(&self, tensors: BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
        let inner = self.lock();
        tensors.into_iter().filter(|(name, _)| inner.vars.contains_key(name)).collect()
    }

    /// Overwrites every value from `tensors`, which must hold exactly this store's names and shapes; they are brought to each
    /// variable's device and type.
    ///
    /// # Errors
    /// [`Error::Weights`] with the names missing, left over, or of another shape; nothing is changed then.
    pub fn assign(&self, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        let all = self.all();
        let fits = |n: &String, v: &Var| tensors.get(n).is_some_and(|t| t.shape() == v.shape());
        let missing: Vec<_> = all.iter().filter(|(n, _, v)| !fits(n, v)).map(|(n, ..)| n.clone()).collect();
        let known: HashMap<_, _> = all.iter().map(|(n, _, v)| (n.as_str(), v)).collect();
        let unexpected: Vec<_> =
            tensors.keys().filter(|n| !known.contains_key(n.as_str())).cloned().collect();
        if !missing.is_empty() || !unexpected.is_empty() {
            return Err(Error::Weights { missing, unexpected });
        }
        for (name, _, var) in &all {
            var.set(&tensors[name].to_device(var.device())?.to_dtype(var.dtype())?.contiguous()?)?;
        }
        Ok(())
    }
}

impl TensorSource for ParamStore {
    fn tensor(
        &self,
        shape: Shape,
        name: &str,
        hint: Hint,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let mut inner = self.lock();
        if let Some((kind, var)) = inner.vars.get(name) {
            if var.shape() != &shape {
                candle_core::bail!(
                    "`{name}` was created with shape {:?}, now asked for as {shape:?}",
                    var.shape()
                )
            }
            if *kind != hint.kind {
                candle_core::bail!("`{name}` was created as a {kind}, now asked for as a {}", hint.kind)
            }
            return Ok(var.as_tensor().clone());
        }
        let var = if inner.zeroed {
            Var::zeros(shape, dtype, device)?
        } else {
            let values = initial_values(hint.init, &shape, &mut seed::name_rng(inner.seed, name))?;
            Var::from_tensor(&Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?)?
        };
        let tensor = var.as_tensor().clone();
        inner.vars.insert(name.to_owned(), (hint.kind, var));
        Ok(tensor)
    }

    fn contains(&self, name: &str) -> bool {
        self.lock().vars.contains_key(name)
    }
}

/// Values of `shape` as `init` asks for, in row-major order.
fn initial_values(init: Init, shape: &Shape, rng: &mut ChaCha8Rng) -> candle_core::Result<Vec<f32>> {
    let n = shape.elem_count();
    let mut normal = |mean: f64, std: f64| -> candle_core::Result<Vec<f32>> {
        let d = Normal::new(mean, std).map_err(candle_core::Error::wrap)?;
        Ok((0..n).map(|_| d.sample(rng) as f32).collect())
    };
    match init {
        Init::Const(c) => Ok(vec![c as f32; n]),
        Init::Randn { mean, stdev } => normal(mean, stdev),
        Init::Kaiming { fan, non_linearity, .. } => {
            normal(0., non_linearity.gain() / (fan.for_shape(shape) as f64).sqrt())
        }
        Init::Uniform { lo, up } => {
            let d = Uniform::new(lo, up).map_err(candle_core::Error::wrap)?;
            Ok((0..n).map(|_| d.sample(rng) as f32).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{BatchNorm, Linear};
    use crate::testing::{Tol, assert_close};

    #[test]
    fn same_seed_same_weights_whatever_the_order() -> Result<()> {
        let dev = Device::Cpu;
        let (a, b) = (ParamStore::seeded(7), ParamStore::seeded(7));
        let va = a.builder(DType::F32, &dev);
        let vb = b.builder(DType::F32, &dev);
        Linear::new(3, 4, va.pp("one"))?;
        Linear::new(3, 4, va.pp("two"))?;
        Linear::new(3, 4, vb.pp("two"))?;
        Linear::new(3, 4, vb.pp("one"))?;
        for ((n, x), (m, y)) in a.vars(ParamKind::Param).iter().zip(&b.vars(ParamKind::Param)) {
            assert_eq!(n, m);
            assert_close(n, x, y, Tol::EXACT)?;
        }
        Ok(())
    }

    #[test]
    fn what_a_module_declares_decides_what_is_learnt_not_the_name() -> Result<()> {
        let store = ParamStore::seeded(1);
        let vb = store.builder(DType::F32, &Device::Cpu).pp("quantizer");
        vb.get_with_hints((4, 2), "codebook", Hint::buffer(Init::Const(0.)))?;
        vb.get_with_hints(3, "running_mean", Hint::param(Init::Const(0.)))?;
        let names = |kind| store.vars(kind).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(ParamKind::Buffer), ["quantizer.codebook"]);
        assert_eq!(names(ParamKind::Param), ["quantizer.running_mean"]);
        assert_eq!(store.num_params(), 3);
        let again = vb.get_with_hints((4, 2), "codebook", Hint::param(Init::Const(0.)));
        let message = again.unwrap_err().to_string();
        assert!(message.contains("`quantizer.codebook` was created as a buffer"), "{message}");
        Ok(())
    }

    #[test]
    fn batch_norm_statistics_are_buffers_and_assignment_is_strict() -> Result<()> {
        let dev = Device::Cpu;
        let a = ParamStore::seeded(1);
        BatchNorm::new(5, a.builder(DType::F32, &dev).pp("bn"))?;
        assert_eq!((a.vars(ParamKind::Buffer).len(), a.num_params()), (2, 10));
        let mut tensors = a.views();
        tensors.insert("stray".into(), Tensor::zeros(1, DType::F32, &dev)?);
        tensors.insert("bn.bias".into(), Tensor::zeros(4, DType::F32, &dev)?);
        match a.assign(&tensors) {
            Err(Error::Weights { missing, unexpected }) => {
                assert_eq!((missing, unexpected), (vec!["bn.bias".to_owned()], vec!["stray".to_owned()]));
            }
            other => panic!("{other:?}"),
        }
        Ok(())
    }

    #[test]
    fn a_zeroed_store_takes_the_values_it_is_given() -> Result<()> {
        let dev = Device::Cpu;
        let (from, to) = (ParamStore::seeded(4), ParamStore::zeroed());
        let x = Tensor::ones((1, 3), DType::F32, &dev)?;
        let want = Linear::new(3, 2, from.builder(DType::F32, &dev))?.forward(&x)?;
        let network = Linear::new(3, 2, to.builder(DType::F32, &dev))?;
        assert_close("zeroed", &network.forward(&x)?, &want.zeros_like()?, Tol::EXACT)?;
        to.assign(&from.views())?;
        assert_close("assigned", &network.forward(&x)?, &want, Tol::EXACT)
    }

    #[test]
    fn a_frozen_copy_follows_updates_and_gets_no_gradient() -> Result<()> {
        let dev = Device::Cpu;
        let store = ParamStore::seeded(5);
        let live = Linear::new(2, 1, store.builder(DType::F32, &dev))?;
        let frozen = Linear::new(2, 1, store.frozen(DType::F32, &dev))?;
        let x = Var::ones((1, 2), DType::F32, &dev)?;
        let (_, w) = store.vars(ParamKind::Param).swap_remove(1);
        w.set(&Tensor::new(&[[2f32, 3.]], &dev)?)?;
        assert_close("follows", &frozen.forward(&x)?, &live.forward(&x)?, Tol::EXACT)?;
        let grads = frozen.forward(&x)?.sum_all()?.backward()?;
        assert!(grads.get(&w).is_none() && grads.get(&x).is_some());
        Ok(())
    }
}
