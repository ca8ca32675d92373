//! Nodes of candle's graph: the only implementations of candle's custom-op traits.
use crate::gradients::for_candle;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail,
};

/// The passes of an operation of `N` inputs on one backend. A value belongs to one call: it knows all sizes.
pub(crate) trait Passes<const N: usize>: Send + Sync + 'static {
    /// The operation's name in candle's error messages.
    fn name(&self) -> &'static str;

    /// Shape of the output.
    fn output(&self) -> Shape;

    /// The output's values, where the operation is one of the CPU's.
    fn on_cpu(&self, inputs: [(&CpuStorage, &Layout); N]) -> Result<CpuStorage> {
        let _ = inputs;
        bail!("{}: the kernel for another device was given tensors on the CPU", self.name())
    }

    /// The output's values, where the operation is one of CUDA devices'.
    fn on_cuda(&self, inputs: [(&CudaStorage, &Layout); N]) -> Result<CudaStorage> {
        let _ = inputs;
        bail!("{}: the kernel for another device was given tensors on a CUDA device", self.name())
    }

    /// The gradient of each input, or none for those that need none.
    fn gradients(
        &self,
        inputs: [&Tensor; N],
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<[Option<Tensor>; N]>;
}

/// What a backward pass is computed from; `V` are values of the backend.
pub(crate) struct Pass<'a, const N: usize, S, V = &'a [f32]> {
    pub(crate) inputs: [V; N],
    /// What the forward pass has left.
    pub(crate) saved: &'a S,
    /// The forward pass's output.
    pub(crate) output: V,
    /// The output's gradient.
    pub(crate) gradient: V,
    /// Which inputs need a gradient: the others are constants.
    pub(crate) wanted: [bool; N],
}

/// The gradient of one input; `B` owns values of the backend.
pub(crate) enum Gradient<B = Vec<f32>> {
    /// No gradient, since nobody asks for this input's.
    None,
    /// The gradient's values, in the input's shape.
    Values(B),
    /// The output's gradient itself, which is not copied.
    OfOutput,
}

impl Gradient {
    /// What `values` computes, if the gradient is `wanted`.
    pub(crate) fn of(wanted: bool, values: impl FnOnce() -> Vec<f32>) -> Self {
        if wanted { Self::Values(values()) } else { Self::None }
    }
}

/// Gradients as tensors in the shapes of their inputs, for those that are wanted.
pub(crate) fn of_inputs<B, const N: usize>(
    gradients: [Gradient<B>; N],
    inputs: [&Tensor; N],
    of_output: &Tensor,
    tensor: impl Fn(B, &Shape) -> Result<Tensor>,
) -> Result<[Option<Tensor>; N]> {
    let mut tensors = [const { None }; N];
    for ((to, gradient), input) in tensors.iter_mut().zip(gradients).zip(inputs) {
        *to = match gradient {
            Gradient::Values(values) if input.track_op() => Some(tensor(values, input.shape())?),
            Gradient::OfOutput if input.track_op() => Some(of_output.clone()),
            _ => None,
        };
    }
    Ok(tensors)
}

/// Puts a node over `inputs`, made contiguous, into the graph.
pub(crate) fn apply<P: Passes<N>, const N: usize>(passes: P, inputs: [&Tensor; N]) -> Result<Tensor> {
    let node = Node(passes);
    let inputs = inputs.iter().map(|x| x.contiguous()).collect::<Result<Vec<_>>>()?;
    match inputs.as_slice() {
        [x] => x.apply_op1(node),
        [x, y] => x.apply_op2(y, node),
        [x, y, z] => x.apply_op3(y, z, node),
        _ => bail!("{}: candle has no custom operation of {N} inputs", node.0.name()),
    }
}

/// The passes in the form that candle wants.
struct Node<P, const N: usize>(P);

impl<P: Passes<N>, const N: usize> Node<P, N> {
    fn cpu(&self, inputs: Vec<(&CpuStorage, &Layout)>) -> Result<(CpuStorage, Shape)> {
        Ok((self.0.on_cpu(of_arity(inputs)?)?, self.0.output()))
    }

    fn cuda(&self, inputs: Vec<(&CudaStorage, &Layout)>) -> Result<(CudaStorage, Shape)> {
        Ok((self.0.on_cuda(of_arity(inputs)?)?, self.0.output()))
    }

    fn backward<const M: usize>(
        &self,
        inputs: [&Tensor; M],
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<[Option<Tensor>; M]> {
        let gradients = self.0.gradients(of_arity(inputs.into())?, output, &gradient.contiguous()?)?;
        let for_candle = inputs.into_iter().zip(gradients).map(|(x, gradient)| for_candle(x, gradient));
        of_arity(for_candle.collect::<Result<_>>()?)
    }
}

impl<P: Passes<N>, const N: usize> CustomOp1 for Node<P, N> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout) -> Result<(CpuStorage, Shape)> {
        self.cpu(vec![(x, lx)])
    }

    fn cuda_fwd(&self, x: &CudaStorage, lx: &Layout) -> Result<(CudaStorage, Shape)> {
        self.cuda(vec![(x, lx)])
    }

    fn bwd(&self, x: &Tensor, output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let [x] = self.backward([x], output, gradient)?;
        Ok(x)
    }
}

impl<P: Passes<N>, const N: usize> CustomOp2 for Node<P, N> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        y: &CpuStorage,
        ly: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.cpu(vec![(x, lx), (y, ly)])
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        lx: &Layout,
        y: &CudaStorage,
        ly: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.cuda(vec![(x, lx), (y, ly)])
    }

    fn bwd(
        &self,
        x: &Tensor,
        y: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [x, y] = self.backward([x, y], output, gradient)?;
        Ok((x, y))
    }
}

impl<P: Passes<N>, const N: usize> CustomOp3 for Node<P, N> {
    fn name(&self) -> &'static str {
        self.0.name()
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
        self.cpu(vec![(x, lx), (y, ly), (z, lz)])
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        lx: &Layout,
        y: &CudaStorage,
        ly: &Layout,
        z: &CudaStorage,
        lz: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.cuda(vec![(x, lx), (y, ly), (z, lz)])
    }

    fn bwd(
        &self,
        x: &Tensor,
        y: &Tensor,
        z: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [x, y, z] = self.backward([x, y, z], output, gradient)?;
        Ok((x, y, z))
    }
}

/// The items as an array of `N`, which is their number: [`apply`] calls the operation of as many inputs as there are.
fn of_arity<T, const N: usize>(items: Vec<T>) -> Result<[T; N]> {
    let given = items.len();
    match items.try_into() {
        Ok(items) => Ok(items),
        Err(_) => bail!("an operation of {N} inputs was applied to {given}"),
    }
}
