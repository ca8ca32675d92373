//! Names and shapes of a module's parameters, without their values.
use super::builder::{Hint, TensorSource, VarBuilder, builder_over};
use crate::Result;
use crate::device::HOST;
use candle_core::{DType, Device, Shape, Tensor};
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
    build(builder_over(asked.clone(), DType::F32, &HOST))?;
    let mut shapes = asked.0.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut shapes))
}

#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Shapes>>);

impl TensorSource for Recorder {
    fn tensor(
        &self,
        shape: Shape,
        name: &str,
        _: Hint,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.insert(name.to_owned(), shape.dims().to_vec());
        Tensor::zeros((), dtype, device)?.broadcast_as(shape) // one value, seen everywhere
    }

    fn contains(&self, _: &str) -> bool {
        true
    }
}
