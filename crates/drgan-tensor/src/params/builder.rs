//! The builder that a module's constructor takes, and what the constructor says about each tensor it asks for.
use super::kind::ParamKind;
use candle_core::{DType, Device, Error, Result, Shape, Tensor, bail};
use candle_nn::Init;
use candle_nn::var_builder::{Backend, VarBuilderArgs};
use std::collections::BTreeMap;

/// The builder that module constructors take: candle's, over a [`TensorSource`].
///
/// `vb.pp("name")` goes down one name; `vb.get_with_hints(shape, "name", hint)` asks for a tensor, where the [`Hint`] says
/// whether it is a parameter or a buffer. [`ParamStore::builder`](crate::ParamStore::builder) makes one for training,
/// [`builder_over`] one over any source.
pub type VarBuilder<'a> = VarBuilderArgs<'a, Box<dyn TensorSource + 'a>>;

/// What a module says about a tensor it asks for: how a new one is initialized, and whether it is learnt.
///
/// ```
/// use drgan_tensor::prelude::*;
///
/// let store = ParamStore::seeded(1);
/// let vb = store.builder(DType::F32, &Device::Cpu);
/// vb.get_with_hints(3, "weight", Hint::param(Init::Const(1.)))?;
/// vb.get_with_hints(3, "mean", Hint::buffer(Init::Const(0.)))?;
/// assert_eq!(store.vars(ParamKind::Param)[0].0, "weight");
/// assert_eq!(store.vars(ParamKind::Buffer)[0].0, "mean");
/// # Ok::<(), drgan_tensor::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Hint {
    /// Initial values, where the source makes new tensors.
    pub init: Init,
    /// Whether the optimizer changes the tensor.
    pub kind: ParamKind,
}

impl Hint {
    /// A parameter: it is learnt.
    pub const fn param(init: Init) -> Self {
        Self { init, kind: ParamKind::Param }
    }

    /// A buffer: the optimizer leaves it alone.
    pub const fn buffer(init: Init) -> Self {
        Self { init, kind: ParamKind::Buffer }
    }
}

impl Default for Hint {
    /// A parameter of zeros.
    fn default() -> Self {
        Self::param(Init::default())
    }
}

/// Where a [`VarBuilder`] gets tensors from: a store that makes them, a file's tensors, a rule of a test.
pub trait TensorSource: Send + Sync {
    /// The tensor `name` (the whole path, joined by dots) of this shape, type and device.
    ///
    /// # Errors
    /// There is none, or it has another shape.
    fn tensor(&self, shape: Shape, name: &str, hint: Hint, dtype: DType, device: &Device) -> Result<Tensor>;

    /// Whether there is a tensor of that name.
    fn contains(&self, name: &str) -> bool;
}

impl Backend for Box<dyn TensorSource + '_> {
    type Hints = Hint;

    fn get(&self, shape: Shape, name: &str, hint: Hint, dtype: DType, device: &Device) -> Result<Tensor> {
        self.tensor(shape, name, hint, dtype, device)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        bail!("`{name}` is asked for without a shape")
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.contains(name)
    }
}

/// Tensors by name, those of a file for example: modules built from them compute with these values as constants.
impl TensorSource for BTreeMap<String, Tensor> {
    fn tensor(&self, shape: Shape, name: &str, _: Hint, dtype: DType, device: &Device) -> Result<Tensor> {
        let Some(tensor) = self.get(name) else {
            return Err(Error::CannotFindTensor { path: name.to_owned() }.bt());
        };
        if tensor.shape() != &shape {
            let (msg, got) = (format!("shape mismatch for {name}"), tensor.shape().clone());
            return Err(Error::UnexpectedShape { msg, expected: shape, got }.bt());
        }
        tensor.to_device(device)?.to_dtype(dtype)
    }

    fn contains(&self, name: &str) -> bool {
        self.contains_key(name)
    }
}

/// A builder over `source` whose tensors have type `dtype` and lie on `device`.
pub fn builder_over<'a>(source: impl TensorSource + 'a, dtype: DType, device: &Device) -> VarBuilder<'a> {
    VarBuilder::new_with_args(Box::new(source), dtype, device)
}
