//! How a kernel on a CUDA device becomes a node of candle's graph: as `crate::op`, for values in a device's memory.
use super::launch::Arg;
use super::{Buffer, Queue, Value, View};
use crate::node::{self, Passes, of_inputs};
use candle_core::{CudaStorage, Layout, Result, Shape, Storage, Tensor, bail};
use std::sync::{Arc, OnceLock};

pub(crate) type Pass<'a, const N: usize, S> = node::Pass<'a, N, S, View<'a>>;
pub(crate) type Gradient = node::Gradient<Buffer>;

/// An operation of `N` f32 inputs on a CUDA device whose shapes are checked. A value of it belongs to one call: it knows all
/// sizes.
pub(crate) trait Op<const N: usize>: Send + Sync + 'static {
    /// The operation's name in candle's error messages.
    const NAME: &'static str;
    /// What the forward pass leaves for the backward pass, beside inputs and output.
    type Saved: Send + Sync + 'static;

    /// Shape of the output.
    fn output(&self) -> Shape;

    /// Enqueues what computes the output's values.
    fn forward(&self, queue: &Queue, inputs: [View<'_>; N]) -> Result<(Buffer, Self::Saved)>;

    /// Enqueues what computes the gradient of each input that is wanted.
    fn backward(&self, queue: &Queue, pass: Pass<'_, N, Self::Saved>) -> Result<[Gradient; N]>;
}

impl Gradient {
    /// What `values` enqueues, if the gradient is `wanted`.
    pub(crate) fn when(wanted: bool, values: impl FnOnce() -> Result<Buffer>) -> Result<Self> {
        Ok(if wanted { Self::Values(values()?) } else { Self::None })
    }
}

impl From<Option<Buffer>> for Gradient {
    fn from(values: Option<Buffer>) -> Self {
        values.map_or(Self::None, Self::Values)
    }
}

impl Queue {
    /// Room for the `n` values of a gradient, if it is `wanted`.
    pub(crate) fn buffer_if(&self, wanted: bool, n: usize) -> Result<Option<Buffer>> {
        wanted.then(|| self.buffer(n)).transpose()
    }
}

/// A null pointer where there is no buffer.
impl<'a> From<&'a mut Option<Buffer>> for Arg<'a> {
    fn from(buffer: &'a mut Option<Buffer>) -> Self {
        buffer.as_mut().map_or(Arg::NONE, Arg::from)
    }
}

/// The output of `op` for `inputs`, f32 on one CUDA device and of the shapes that `op` was made for.
pub(crate) fn apply<O: Op<N>, const N: usize>(op: O, inputs: [&Tensor; N]) -> Result<Tensor> {
    Ok(apply_saved(op, inputs)?.0)
}

/// [`apply`] with what the forward pass has left, which the graph's node shares.
pub(crate) fn apply_saved<O: Op<N>, const N: usize>(
    op: O,
    inputs: [&Tensor; N],
) -> Result<(Tensor, Arc<OnceLock<O::Saved>>)> {
    let saved = Arc::new(OnceLock::new());
    let output = node::apply(OnCuda { op, saved: saved.clone() }, inputs)?;
    Ok((output, saved))
}

/// Runs `f` on the values of contiguous f32 tensors on one CUDA device, and with its queue.
pub(crate) fn with_views<const N: usize, R>(
    xs: [&Tensor; N],
    f: impl FnOnce(&Queue, [View<'_>; N]) -> Result<R>,
) -> Result<R> {
    with_views_of::<f32, N, R>(xs, f)
}

/// The same for values of type `T`.
pub(crate) fn with_views_of<T: Value, const N: usize, R>(
    xs: [&Tensor; N],
    f: impl FnOnce(&Queue, [View<'_, T>; N]) -> Result<R>,
) -> Result<R> {
    let guards = xs.map(|x| x.storage_and_layout());
    let mut views = Vec::with_capacity(N);
    let mut queue = None;
    for (storage, layout) in &guards {
        let storage = on_device(storage)?;
        views.push(View::of(storage, layout)?);
        queue = Some(Queue::of(storage)?);
    }
    match (queue, views.try_into()) {
        (Some(queue), Ok(views)) => f(&queue, views),
        _ => bail!("a kernel was given no tensors"),
    }
}

/// Runs `f` on the values of a contiguous u8 tensor on a CUDA device.
pub(crate) fn with_bytes<R>(x: &Tensor, f: impl FnOnce(View<'_, u8>) -> Result<R>) -> Result<R> {
    let (storage, layout) = x.storage_and_layout();
    f(View::of(on_device(&storage)?, layout)?)
}

fn on_device(storage: &Storage) -> Result<&CudaStorage> {
    match storage {
        Storage::Cuda(storage) => Ok(storage),
        _ => bail!("a kernel was given a tensor that is not on a CUDA device"),
    }
}

/// An operation on a CUDA device, and what its forward pass has left.
struct OnCuda<O: Op<N>, const N: usize> {
    op: O,
    saved: Arc<OnceLock<O::Saved>>,
}

impl<O: Op<N>, const N: usize> Passes<N> for OnCuda<O, N> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn output(&self) -> Shape {
        self.op.output()
    }

    fn on_cuda(&self, inputs: [(&CudaStorage, &Layout); N]) -> Result<CudaStorage> {
        let queue = Queue::of(inputs[0].0)?;
        let mut views = Vec::with_capacity(N);
        for (storage, layout) in inputs {
            views.push(View::of(storage, layout)?);
        }
        let Ok(views) = views.try_into() else { bail!("{}: a view per input", O::NAME) };
        let (output, saved) = self.op.forward(&queue, views)?;
        // A second pass over the same node would leave the same.
        let _ = self.saved.set(saved);
        Ok(queue.storage(output))
    }

    fn gradients(
        &self,
        inputs: [&Tensor; N],
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<[Option<Tensor>; N]> {
        let Some(saved) = self.saved.get() else {
            bail!("{}: a backward pass without a forward pass", O::NAME)
        };
        let wanted = inputs.map(Tensor::track_op);
        with_views([output, gradient], |queue, [of_output, of_gradient]| {
            let gradients = with_views(inputs, |queue, inputs| {
                self.op
                    .backward(queue, Pass { inputs, saved, output: of_output, gradient: of_gradient, wanted })
            })?;
            of_inputs(gradients, inputs, gradient, |buffer, shape| Ok(queue.tensor(buffer, shape)))
        })
    }
}
