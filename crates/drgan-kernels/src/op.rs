//! How a kernel on the CPU becomes a node of candle's graph.
//!
//! A kernel implements [`Op`]: a forward pass over slices and a backward pass that computes the gradients of those inputs
//! that need one. [`apply`] makes inputs contiguous, runs the forward pass, and keeps what it [saves](Op::Saved) in the
//! graph's node until the backward pass has used it. Kernels that change tensors in place use [`with_values_mut`].
use crate::cpu::slices::{f32_slice, f32_slice_mut, with_values};
use crate::node::{self, Passes, of_inputs};
pub(crate) use crate::node::{Gradient, Pass};
use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Result, Shape, Tensor, bail};
use std::cell::Cell;
use std::sync::{Arc, OnceLock};

/// An operation of `N` f32 inputs on the CPU whose shapes are checked. A value of it belongs to one call: it knows all sizes.
pub(crate) trait Op<const N: usize>: Send + Sync + 'static {
    /// The operation's name in candle's error messages.
    const NAME: &'static str;
    /// What the forward pass leaves for the backward pass, beside inputs and output.
    type Saved: Send + Sync + 'static;

    /// Shape of the output.
    fn output(&self) -> Shape;

    /// The output's values.
    fn forward(&self, inputs: [&[f32]; N]) -> (Vec<f32>, Self::Saved);

    /// The gradient of each input that is [wanted](Pass::wanted).
    fn backward(&self, pass: Pass<'_, N, Self::Saved>) -> [Gradient; N];
}

/// The output of `op` for `inputs`, f32 on the CPU and of the shapes that `op` was made for.
pub(crate) fn apply<O: Op<N>, const N: usize>(op: O, inputs: [&Tensor; N]) -> Result<Tensor> {
    Ok(apply_saved(op, inputs)?.0)
}

/// [`apply`] with what the forward pass has left, which the graph's node shares.
pub(crate) fn apply_saved<O: Op<N>, const N: usize>(
    op: O,
    inputs: [&Tensor; N],
) -> Result<(Tensor, Arc<OnceLock<O::Saved>>)> {
    let saved = Arc::new(OnceLock::new());
    let output = node::apply(OnCpu { op, saved: saved.clone() }, inputs)?;
    Ok((output, saved))
}

/// Whether two tensors are views of one storage, which one thread must not lock twice.
pub(crate) fn same_storage(a: &Tensor, b: &Tensor) -> bool {
    // One lock after the other: a thread that holds one while it waits for the same again may wait forever.
    let address = |x: &Tensor| std::ptr::from_ref(&*x.storage_and_layout().0).addr();
    address(a) == address(b)
}

/// Runs `f` on the values of a contiguous f32 tensor on the CPU, to change them where they are. The storage is locked
/// meanwhile: `f` must not touch a tensor of the [same storage](same_storage), or it waits forever.
pub(crate) fn with_values_mut(x: &Tensor, f: impl FnOnce(&mut [f32]) -> Result<()>) -> Result<()> {
    x.inplace_op1(&InPlace(Cell::new(Some(f))))
}

/// An operation on the CPU, and what its forward pass has left.
struct OnCpu<O: Op<N>, const N: usize> {
    op: O,
    saved: Arc<OnceLock<O::Saved>>,
}

impl<O: Op<N>, const N: usize> Passes<N> for OnCpu<O, N> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn output(&self) -> Shape {
        self.op.output()
    }

    fn on_cpu(&self, inputs: [(&CpuStorage, &Layout); N]) -> Result<CpuStorage> {
        let mut slices: [&[f32]; N] = [&[]; N];
        for (slice, (storage, layout)) in slices.iter_mut().zip(inputs) {
            *slice = f32_slice(storage, layout)?;
        }
        let (output, saved) = self.op.forward(slices);
        // A second pass over the same node would leave the same.
        let _ = self.saved.set(saved);
        Ok(CpuStorage::F32(output))
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
        let gradients = with_values([output, gradient], |[output, gradient]| {
            with_values(inputs, |inputs| {
                Ok(self.op.backward(Pass { inputs, saved, output, gradient, wanted }))
            })
        })?;
        of_inputs(gradients, inputs, gradient, |values, shape| Tensor::from_vec(values, shape, &Device::Cpu))
    }
}

/// A change in place, made once.
struct InPlace<F>(Cell<Option<F>>);

impl<F: FnOnce(&mut [f32]) -> Result<()>> InplaceOp1 for InPlace<F> {
    fn name(&self) -> &'static str {
        "change in place"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        match self.0.take() {
            Some(change) => change(f32_slice_mut(storage, layout)?),
            None => bail!("a change in place was made twice"),
        }
    }
}
