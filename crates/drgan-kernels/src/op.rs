//! How a kernel becomes a node of candle's graph: the only implementations of candle's custom-op traits.
//!
//! A kernel implements [`Op`]: a forward pass over slices and a backward pass that computes the gradients of those inputs
//! that need one. [`apply`] makes inputs contiguous, runs the forward pass, and keeps what it [saves](Op::Saved) in the
//! graph's node until the backward pass has used it. Kernels that change tensors in place use [`with_values_mut`].
use crate::cpu::slices::{f32_slice, f32_slice_mut, with_values};
use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, Device, InplaceOp1, Layout, Result, Shape, Tensor, bail,
};
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

/// What a backward pass is computed from.
pub(crate) struct Pass<'a, const N: usize, S> {
    pub(crate) inputs: [&'a [f32]; N],
    /// What the forward pass has left.
    pub(crate) saved: &'a S,
    /// The forward pass's output.
    pub(crate) output: &'a [f32],
    /// The output's gradient.
    pub(crate) gradient: &'a [f32],
    /// Which inputs need a gradient: the others are constants.
    pub(crate) wanted: [bool; N],
}

/// The gradient of one input.
pub(crate) enum Gradient {
    /// No gradient, since nobody asks for this input's.
    None,
    /// The gradient's values, in the input's shape.
    Values(Vec<f32>),
    /// The output's gradient itself, which is not copied.
    OfOutput,
}

impl Gradient {
    /// What `values` computes, if the gradient is `wanted`.
    pub(crate) fn of(wanted: bool, values: impl FnOnce() -> Vec<f32>) -> Self {
        if wanted { Self::Values(values()) } else { Self::None }
    }
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
    let node = Node { op, saved: saved.clone() };
    let inputs = inputs.iter().map(|x| x.contiguous()).collect::<Result<Vec<_>>>()?;
    let output = match inputs.as_slice() {
        [x] => x.apply_op1(node),
        [x, y] => x.apply_op2(y, node),
        [x, y, z] => x.apply_op3(y, z, node),
        _ => bail!("{}: candle has no custom operation of {N} inputs", O::NAME),
    }?;
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

/// A graph's node: the operation, and what its forward pass has left.
struct Node<O: Op<N>, const N: usize> {
    op: O,
    saved: Arc<OnceLock<O::Saved>>,
}

impl<O: Op<N>, const N: usize> Node<O, N> {
    fn forward(&self, inputs: &[(&CpuStorage, &Layout)]) -> Result<(CpuStorage, Shape)> {
        let mut slices: [&[f32]; N] = [&[]; N];
        for (slice, (storage, layout)) in slices.iter_mut().zip(inputs) {
            *slice = f32_slice(storage, layout)?;
        }
        let (output, saved) = self.op.forward(slices);
        // A second pass over the same node would leave the same.
        let _ = self.saved.set(saved);
        Ok((CpuStorage::F32(output), self.op.output()))
    }

    fn backward(&self, inputs: [&Tensor; N], output: &Tensor, gradient: &Tensor) -> Result<Gradients<N>> {
        let Some(saved) = self.saved.get() else {
            bail!("{}: a backward pass without a forward pass", O::NAME)
        };
        let gradient = gradient.contiguous()?;
        let wanted = inputs.map(Tensor::track_op);
        let gradients = with_values([output, &gradient], |[output, gradient]| {
            with_values(inputs, |inputs| {
                Ok(self.op.backward(Pass { inputs, saved, output, gradient, wanted }))
            })
        })?;
        let mut tensors = [const { None }; N];
        for (((tensor, input), of_input), wanted) in tensors.iter_mut().zip(inputs).zip(gradients).zip(wanted)
        {
            *tensor = match of_input {
                Gradient::Values(values) if wanted => {
                    Some(Tensor::from_vec(values, input.shape(), &Device::Cpu)?)
                }
                Gradient::OfOutput if wanted => Some(gradient.clone()),
                _ => None,
            };
        }
        Ok(tensors)
    }
}

type Gradients<const N: usize> = [Option<Tensor>; N];

impl<O: Op<N>, const N: usize> CustomOp1 for Node<O, N> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout) -> Result<(CpuStorage, Shape)> {
        self.forward(&[(x, lx)])
    }

    fn bwd(&self, x: &Tensor, output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let [x] = of_arity(self.backward(of_arity([x])?, output, gradient)?)?;
        Ok(x)
    }
}

impl<O: Op<N>, const N: usize> CustomOp2 for Node<O, N> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        y: &CpuStorage,
        ly: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward(&[(x, lx), (y, ly)])
    }

    fn bwd(
        &self,
        x: &Tensor,
        y: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [x, y] = of_arity(self.backward(of_arity([x, y])?, output, gradient)?)?;
        Ok((x, y))
    }
}

impl<O: Op<N>, const N: usize> CustomOp3 for Node<O, N> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        y: &CpuStorage,
        ly: &Layout,
        z: &CpuStorage,
        lz: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward(&[(x, lx), (y, ly), (z, lz)])
    }

    fn bwd(
        &self,
        x: &Tensor,
        y: &Tensor,
        z: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [x, y, z] = of_arity(self.backward(of_arity([x, y, z])?, output, gradient)?)?;
        Ok((x, y, z))
    }
}

/// An array of `A` as one of `B`, which are the same number: [`apply`] calls the operation of as many inputs as there are.
fn of_arity<T, const A: usize, const B: usize>(items: [T; A]) -> Result<[T; B]> {
    match Vec::from(items).try_into() {
        Ok(items) => Ok(items),
        Err(_) => bail!("an operation of {A} inputs was applied to {B}"),
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
