//! Batch normalization on CUDA devices: see batch_norm.cu, and channels.cu for what follows the statistics.
use crate::cpu::channels::Channels;
use crate::cuda::channels::{self, Parts, Scales};
use crate::cuda::launch::{Arg, Grid, args};
use crate::cuda::op::{Gradient, Op, Pass, with_views};
use crate::cuda::{Buffer, Queue, View};
use crate::node::{self, Passes};
use crate::ops::activation::kind::Activation;
use crate::ops::batch_norm::normalized::Normalized;
use candle_core::{CudaStorage, Layout, Result, Shape, Tensor, Var, bail};

/// Mean, population variance and 1 / deviation of each channel, `(3, C)`.
pub(crate) struct Statistics(Tensor);

/// A result with the statistics that its forward pass has left.
pub(crate) fn normalized(y: Tensor, statistics: Option<&Statistics>) -> Result<Normalized> {
    match statistics {
        Some(Statistics(all)) => Ok(Normalized { y, mean: all.get(0)?, var: all.get(1)? }),
        None => bail!("batch_norm: the forward pass has left no statistics"),
    }
}

/// Normalization of a map of `dims` by its own statistics.
pub(crate) struct BatchNorm {
    pub(crate) eps: f64,
    pub(crate) act: Activation,
    pub(crate) dims: Vec<usize>,
}

/// Where the gradients of weight and bias are in `[d_weight, d_bias]`.
fn halves(both: Arg<'_>, channels: usize) -> [Arg<'_>; 2] {
    [both, both.after(channels)]
}

impl BatchNorm {
    /// The result for `x` with `[weight, bias]`, and the statistics: two launches, or three where channels are cut.
    fn normalize(
        &self,
        queue: &Queue,
        x: View<'_>,
        [scale, shift]: [Arg<'_>; 2],
        residual: Option<View<'_>>,
    ) -> Result<(Buffer, Statistics)> {
        let maps = Channels::of(&self.dims);
        let mut found: Buffer = queue.buffer(3 * maps.c)?;
        let statistics = Arg::from(&mut found);
        let parts = Parts::of(queue, maps, 2)?;
        let sizes = args![self.eps, maps.b, maps.c, maps.plane];
        let args = [args![x, parts.arg(), statistics], sizes.as_slice()].concat();
        queue.launch("batch_norm_statistics", Grid::blocks(maps.c).times(parts.each), &args)?;
        if parts.each > 1 {
            let args = [args.as_slice(), args![parts.each as u32]].concat();
            queue.launch("batch_norm_statistics_of_parts", Grid::threads(maps.c), &args)?;
        }
        let y = channels::activate(queue, maps, x, self.act, Scales { scale, shift, statistics }, residual)?;
        Ok((y, Statistics(queue.tensor(found, (3, maps.c)))))
    }

    /// [`Self::normalize`] by [`ScaleBias`].
    pub(crate) fn normalize_by(
        &self,
        x: View<'_>,
        scales: &ScaleBias,
        residual: Option<View<'_>>,
    ) -> Result<(Buffer, Statistics)> {
        with_views([&scales.weight, &scales.bias], |queue, [weight, bias]: [View<'_>; 2]| {
            self.normalize(queue, x, [weight.into(), bias.into()], residual)
        })
    }

    /// Writes the gradients of weight and bias to `[d_weight, d_bias]`, and gives that of `x` if it is `wanted`: two launches,
    /// or three where channels are cut.
    fn gradients(
        &self,
        x: View<'_>,
        [scale, shift]: [Arg<'_>; 2],
        statistics: &Statistics,
        dy: View<'_>,
        of_scales: [Arg<'_>; 2],
        wanted: bool,
    ) -> Result<Option<Buffer>> {
        let maps = Channels::of(&self.dims);
        with_views([&statistics.0], |queue, [found]: [View<'_>; 1]| {
            let scales = Scales { scale, shift, statistics: found.into() };
            channels::scales_gradients(queue, maps, x, self.act, scales, dy, of_scales)?;
            let dx = || channels::gradient(queue, maps, x, self.act, scales, of_scales, dy);
            wanted.then(dx).transpose()
        })
    }

    /// Gradients of `x`, if it is `wanted`, and of [`ScaleBias::node`].
    pub(crate) fn gradients_by(
        &self,
        x: View<'_>,
        scales: &ScaleBias,
        statistics: &Statistics,
        dy: View<'_>,
        wanted: bool,
    ) -> Result<(Option<Buffer>, Buffer)> {
        with_views([&scales.weight, &scales.bias], |queue, [weight, bias]: [View<'_>; 2]| {
            let c = self.dims[1];
            let mut of_both = queue.buffer(2 * c)?;
            let of_scales = halves(Arg::from(&mut of_both), c);
            let dx = self.gradients(x, [weight.into(), bias.into()], statistics, dy, of_scales, wanted)?;
            Ok((dx, of_both))
        })
    }
}

impl Op<3> for BatchNorm {
    const NAME: &'static str = "batch normalization and activation";
    type Saved = Statistics;

    fn output(&self) -> Shape {
        self.act.shape_out(&self.dims)
    }

    fn forward(&self, queue: &Queue, [x, weight, bias]: [View<'_>; 3]) -> Result<(Buffer, Statistics)> {
        self.normalize(queue, x, [weight.into(), bias.into()], None)
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 3, Statistics>) -> Result<[Gradient; 3]> {
        let ([x, weight, bias], c) = (pass.inputs, self.dims[1]);
        let (mut d_weight, mut d_bias) = (queue.buffer(c)?, queue.buffer(c)?);
        let of_scales = [Arg::from(&mut d_weight), Arg::from(&mut d_bias)];
        let scales = [weight.into(), bias.into()];
        let dx = self.gradients(x, scales, pass.saved, pass.gradient, of_scales, pass.wanted[0])?;
        Ok([dx.into(), Gradient::Values(d_weight), Gradient::Values(d_bias)])
    }
}

/// The same and then a residual. The inputs are `x`, the [node](ScaleBias::node) of weights and biases, and the residual:
/// candle's nodes have three inputs at most.
pub(super) struct WithResidual(pub(super) BatchNorm, pub(super) ScaleBias);

impl Op<3> for WithResidual {
    const NAME: &'static str = "batch normalization, activation and residual";
    type Saved = Statistics;

    fn output(&self) -> Shape {
        self.0.output()
    }

    fn forward(&self, _: &Queue, [x, _, residual]: [View<'_>; 3]) -> Result<(Buffer, Statistics)> {
        self.0.normalize_by(x, &self.1, Some(residual))
    }

    fn backward(&self, _: &Queue, pass: Pass<'_, 3, Statistics>) -> Result<[Gradient; 3]> {
        let ([x, ..], [of_x, of_both, _]) = (pass.inputs, pass.wanted);
        if !of_x && !of_both {
            return Ok([Gradient::None, Gradient::None, Gradient::OfOutput]);
        }
        let (dx, d_scale_bias) = self.0.gradients_by(x, &self.1, pass.saved, pass.gradient, of_x)?;
        Ok([dx.into(), Gradient::Values(d_scale_bias), Gradient::OfOutput])
    }
}

/// Weights and biases, `(C,)` both, as a node of the graph and as values.
pub(crate) struct ScaleBias {
    weight: Tensor,
    bias: Tensor,
}

impl ScaleBias {
    /// One tensor in the graph for both, of shape `(2, C)`: nothing is launched for it and its values are not set, for an
    /// operation reads those of the second result. Backward each vector's gradient is its row.
    pub(crate) fn node(weight: &Tensor, bias: &Tensor) -> Result<(Tensor, Self)> {
        let node = node::apply(Both(weight.elem_count()), [weight, bias])?;
        Ok((node, Self { weight: weight.contiguous()?.detach(), bias: bias.contiguous()?.detach() }))
    }
}

/// The number of values of each vector.
struct Both(usize);

impl Passes<2> for Both {
    fn name(&self) -> &'static str {
        "weights and biases"
    }

    fn output(&self) -> Shape {
        (2, self.0).into()
    }

    fn on_cuda(&self, [first, _]: [(&CudaStorage, &Layout); 2]) -> Result<CudaStorage> {
        let queue = Queue::of(first.0)?;
        Ok(queue.storage(queue.buffer::<f32>(2 * self.0)?))
    }

    fn gradients(&self, inputs: [&Tensor; 2], _: &Tensor, gradient: &Tensor) -> Result<[Option<Tensor>; 2]> {
        let row = |i: usize| inputs[i].track_op().then(|| gradient.get(i)).transpose();
        Ok([row(0)?, row(1)?])
    }
}

/// [`update_running_statistics`](super::update_running_statistics), of contiguous variables: one launch.
pub(super) fn update_running(running: (&Var, &Var), batch: &Normalized, momentum: f64) -> Result<()> {
    let (keep, take, unbiased) = ((1. - momentum) as f32, momentum as f32, batch.unbiased() as f32);
    let n = running.0.elem_count();
    let (mean, var) = (batch.mean.contiguous()?, batch.var.contiguous()?);
    // The kernel writes the running statistics, as candle's in-place operations do: work that was enqueued before has read
    // them when it starts.
    with_views([&mean, &var, running.0, running.1], |queue, [mean, var, of_mean, of_var]: [View<'_>; 4]| {
        let args = args![mean, var, of_mean, of_var, keep, take, unbiased, n];
        queue.launch("batch_norm_running", Grid::threads(n), args)
    })
}

/// `act(scale x + shift)` of a map of `dims`, a scale and a shift per channel.
pub(super) struct ScaleShift {
    pub(super) act: Activation,
    pub(super) dims: Vec<usize>,
}

impl Op<3> for ScaleShift {
    const NAME: &'static str = "scale, shift and activation";
    type Saved = ();

    fn output(&self) -> Shape {
        self.act.shape_out(&self.dims)
    }

    fn forward(&self, queue: &Queue, [x, scale, shift]: [View<'_>; 3]) -> Result<(Buffer, ())> {
        let maps = Channels::of(&self.dims);
        Ok((channels::activate(queue, maps, x, self.act, Scales::of(scale, shift), None)?, ()))
    }

    fn backward(&self, queue: &Queue, pass: Pass<'_, 3, ()>) -> Result<[Gradient; 3]> {
        let ([x, scale, shift], maps) = (pass.inputs, Channels::of(&self.dims));
        let (scales, dy) = (Scales::of(scale, shift), pass.gradient);
        let dx = Gradient::when(pass.wanted[0], || {
            channels::gradient(queue, maps, x, self.act, scales, [Arg::NONE; 2], dy)
        })?;
        if !pass.wanted[1] && !pass.wanted[2] {
            return Ok([dx, Gradient::None, Gradient::None]);
        }
        let (mut d_scale, mut d_shift) = (queue.buffer(maps.c)?, queue.buffer(maps.c)?);
        let of_scales = [Arg::from(&mut d_scale), Arg::from(&mut d_shift)];
        channels::scales_gradients(queue, maps, x, self.act, scales, dy, of_scales)?;
        Ok([dx, Gradient::Values(d_scale), Gradient::Values(d_shift)])
    }
}
