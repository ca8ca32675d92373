//! Names and shapes of a module's parameters, without their values.
use crate::{Result, VarBuilder};
use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::{Init, var_builder::SimpleBackend};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Shapes of parameters by name.
pub type Shapes = BTreeMap<String, Vec<usize>>;

/// Names and shapes of the parameters and buffers that `build` asks its builder for: what a weight file must hold, as the
/// module itself says it. No memory is spent on values.
///
/// ```
/// let shapes = drgan_tensor::parameter_shapes(|vb| drgan_tensor::nn::Linear::new(3, 2, vb.pp("fc")))?;
/// assert_eq!(shapes["fc.weight"], [2, 3]);
/// # Ok::<(), drgan_tensor::Error>(())
/// ```
///
/// # Errors
/// What `build` reports.
pub fn parameter_shapes<M>(build: impl FnOnce(VarBuilder<'static>) -> Result<M>) -> Result<Shapes> {
    let asked = Recorder::default();
    build(VarBuilder::from_backend(Box::new(asked.clone()), DType::F32, Device::Cpu))?;
    let mut shapes = asked.0.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut shapes))
}

#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Shapes>>);

impl SimpleBackend for Recorder {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: Init,
        dtype: DType,
        dev: &Device,
    ) -> candle_core::Result<Tensor> {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.insert(name.to_owned(), shape.dims().to_vec());
        Tensor::zeros((), dtype, dev)?.broadcast_as(shape) // one value, seen everywhere
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        candle_core::bail!("`{name}` is asked for without a shape")
    }

    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}
