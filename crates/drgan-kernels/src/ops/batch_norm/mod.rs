use crate::cpu::channels::Channels;
use crate::cpu::rows::{self, Affine};
use crate::cpu::{is_fast, slice, with_values};
use crate::ops::activation::{self, Activation, shape_out};
use crate::ops::moments;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Tensor, bail};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What [`batch_norm`] gives.
#[derive(Clone, Debug)]
pub struct Normalized {
    /// The activated output.
    pub y: Tensor,
    /// Mean of each channel over the batch, `(C,)`, without gradient.
    pub mean: Tensor,
    /// Population variance of each channel over the batch, `(C,)`, without gradient.
    pub var: Tensor,
}

/// Batch normalisation with the batch's own statistics, then an activation, then perhaps another map:
/// `act(weight (x - mean) / sqrt(var + eps) + bias) + residual`, statistics over every axis but 1. Gradients flow through the
/// statistics.
///
/// # Shapes
/// `x`: `(B, C)` or `(B, C, H, W)`; `weight`, `bias`: `(C,)`; result: see [`Activation`]; `residual` as the result.
///
/// # Errors
/// A channel with fewer than two values (its variance says nothing), or shapes that do not fit.
pub fn batch_norm(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    eps: f64,
    act: Activation,
    residual: Option<&Tensor>,
) -> Result<Normalized> {
    let fast =
        is_fast(x) && is_fast(weight) && is_fast(bias) && residual.is_none_or(is_fast) && x.rank() >= 2;
    if !fast || x.elem_count() < 2 * x.dim(1)? {
        return reference_batch_norm(x, weight, bias, eps, act, residual);
    }
    check(x, weight, bias, act, residual)?;
    let op = BatchNormAct::new(eps, act);
    let statistics = op.statistics.clone();
    let (x, line) = (x.contiguous()?, Tensor::stack(&[weight, bias], 0)?);
    let y = match residual {
        Some(residual) => x.apply_op3(&line, &residual.contiguous()?, op)?,
        None => x.apply_op2(&line, op)?,
    };
    normalized(y, &statistics)
}

/// A result with the statistics that its forward pass has left.
pub(crate) fn normalized(y: Tensor, statistics: &OnceLock<Statistics>) -> Result<Normalized> {
    let of_channels = |v: &Vec<f32>| Tensor::from_slice(v, v.len(), &Device::Cpu);
    match statistics.get() {
        Some(Statistics { mean, var }) => {
            Ok(Normalized { y, mean: of_channels(mean)?, var: of_channels(var)? })
        }
        None => bail!("batch_norm: the forward pass has left no statistics"),
    }
}

fn check(
    x: &Tensor,
    scale: &Tensor,
    shift: &Tensor,
    act: Activation,
    residual: Option<&Tensor>,
) -> Result<()> {
    let c = x.dim(1)?;
    if scale.dims() != [c] || shift.dims() != [c] {
        bail!(
            "normalisation: expected ({c},) for {c} channels, got {:?} and {:?}",
            scale.dims(),
            shift.dims()
        )
    }
    if act == Activation::Glu && c % 2 != 0 {
        bail!("normalisation: x: a gated linear unit needs an even number of channels, got {c}")
    }
    let out = shape_out(x.dims(), act);
    match residual {
        Some(residual) if residual.shape() != &out => {
            bail!(
                "normalisation: residual: expected {:?} as the result, got {:?}",
                out.dims(),
                residual.dims()
            )
        }
        _ => Ok(()),
    }
}

/// Of each channel, population variance.
#[derive(Debug)]
pub(crate) struct Statistics {
    mean: Vec<f32>,
    var: Vec<f32>,
}

/// Normalisation by the batch's statistics, which the forward pass leaves behind. Its second argument is weights and
/// biases, `(2, C)`.
pub(crate) struct BatchNormAct {
    eps: f64,
    pub(crate) act: Activation,
    pub(crate) statistics: Arc<OnceLock<Statistics>>,
}

/// What one channel is normalised by.
#[derive(Clone, Copy, Default)]
struct Channel {
    mean: f32,
    inverse: f32,
}

impl Channel {
    fn affine(self, weight: f32, bias: f32) -> Affine {
        let scale = weight * self.inverse;
        Affine { scale, shift: bias - self.mean * scale }
    }
}

impl BatchNormAct {
    fn channel(&self, mean: f32, var: f32) -> Channel {
        Channel { mean, inverse: (1. / (f64::from(var) + self.eps).sqrt()) as f32 }
    }

    pub(crate) fn new(eps: f64, act: Activation) -> Self {
        Self { eps, act, statistics: Arc::default() }
    }

    /// The result for `x` that lies as `lying`; `line` is weights and biases. Leaves the statistics behind.
    pub(crate) fn forward(
        &self,
        lying: Channels,
        x: &[f32],
        line: &[f32],
        residual: Option<&[f32]>,
    ) -> Vec<f32> {
        let (planes, x) = lying.to_channel_major(x);
        let (weight, bias) = line.split_at(planes.c);
        let channels = self.act.channels_out(planes.c);
        let residual =
            residual.map(|residual| Channels { c: channels, ..lying }.to_channel_major(residual).1);
        let found: Vec<OnceLock<(f32, f32)>> = (0..planes.c).map(|_| OnceLock::new()).collect();
        let by = |c: usize| {
            let (mean, var) = *found[c].get_or_init(|| moments::of_channel(&planes, &x, c));
            self.channel(mean, var).affine(weight[c], bias[c])
        };
        let y = lying.from_channel_major(planes.activate(&x, self.act, &by, residual.as_deref()), channels);
        let (mean, var) = found.into_iter().map(|f| f.into_inner().unwrap_or_default()).unzip();
        // A second pass over the same node would find the same.
        let _ = self.statistics.set(Statistics { mean, var });
        y
    }

    /// Gradients of `x` and of the line.
    pub(crate) fn gradients(
        &self,
        lying: Channels,
        x: &[f32],
        line: &[f32],
        dy: &[f32],
    ) -> Result<(Vec<f32>, Vec<f32>)> {
        let Some(Statistics { mean, var }) = self.statistics.get() else {
            bail!("batch_norm: a backward pass without a forward pass")
        };
        let n = (lying.b * lying.plane) as f64;
        let (planes, x) = lying.to_channel_major(x);
        let (_, dy) = Channels { c: self.act.channels_out(lying.c), ..lying }.to_channel_major(dy);
        let (weight, bias) = line.split_at(planes.c);
        let channel = |c: usize| self.channel(mean[c], var[c]);
        let sums = ChannelSums::new(planes.c);
        let finish = |c: usize, dz: &mut [&mut [f32]]| {
            let Channel { mean, inverse } = channel(c);
            let row = |b: usize| planes.row(&x, b, c);
            let (mut d_bias, mut d_centred) = (0., 0.);
            for (b, dz) in dz.iter().enumerate() {
                d_bias += rows::sum_row(dz, 0.);
                d_centred += rows::product_row(row(b), mean, dz, 0.);
            }
            let slope = d_centred / n * f64::from(inverse) * f64::from(inverse);
            for (b, dz) in dz.iter_mut().enumerate() {
                let scale = weight[c] * inverse;
                rows::normalize_gradient_row(dz, row(b), scale, (d_bias / n) as f32, mean, slope as f32);
            }
            sums.set(c, (d_centred * f64::from(inverse)) as f32, d_bias as f32);
        };
        let by = |c: usize| channel(c).affine(weight[c], bias[c]);
        let dx = lying.from_channel_major(planes.gradient(&x, self.act, &by, &dy, &finish), planes.c);
        let (dw, db) = sums.into_vectors();
        Ok((dx, [dw, db].concat()))
    }

    fn run(
        &self,
        (x, lx): (&CpuStorage, &Layout),
        (line, ll): (&CpuStorage, &Layout),
        residual: Option<(&CpuStorage, &Layout)>,
    ) -> Result<(CpuStorage, Shape)> {
        let residual = residual.map(|(storage, layout)| slice(storage, layout)).transpose()?;
        let y = self.forward(Channels::of(lx.dims()), slice(x, lx)?, slice(line, ll)?, residual);
        Ok((CpuStorage::F32(y), shape_out(lx.dims(), self.act)))
    }

    fn back(&self, x: &Tensor, line: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        with_values([x, line, &dy.contiguous()?], |[x_values, line_values, dy]| {
            let (dx, dl) = self.gradients(Channels::of(x.dims()), x_values, line_values, dy)?;
            Ok((tracked(x, dx)?, tracked(line, dl)?))
        })
    }
}

impl CustomOp2 for BatchNormAct {
    fn name(&self) -> &'static str {
        "batch normalisation and activation"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        line: &CpuStorage,
        ll: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.run((x, lx), (line, ll), None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        line: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.back(x, line, dy)
    }
}

impl CustomOp3 for BatchNormAct {
    fn name(&self) -> &'static str {
        "batch normalisation, activation and sum"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        line: &CpuStorage,
        ll: &Layout,
        residual: &CpuStorage,
        lp: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.run((x, lx), (line, ll), Some((residual, lp)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        line: &Tensor,
        residual: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (dx, dl) = self.back(x, line, dy)?;
        Ok((dx, dl, residual.track_op().then(|| dy.clone())))
    }
}

/// `act(scale x + shift)`, a scale and a shift a channel: batch normalisation with remembered statistics.
///
/// # Shapes
/// `x`: `(B, C, ...)`; `scale`, `shift`: `(C,)`; result: see [`Activation`].
///
/// # Errors
/// Shapes that do not fit.
pub fn scale_shift(x: &Tensor, scale: &Tensor, shift: &Tensor, act: Activation) -> Result<Tensor> {
    if !(is_fast(x) && is_fast(scale) && is_fast(shift) && x.rank() >= 2) {
        return reference_scale_shift(x, scale, shift, act);
    }
    check(x, scale, shift, act, None)?;
    x.contiguous()?.apply_op3(&scale.contiguous()?, &shift.contiguous()?, ScaleShiftAct(act))
}

/// Normalisation by constants.
struct ScaleShiftAct(Activation);

impl CustomOp3 for ScaleShiftAct {
    fn name(&self) -> &'static str {
        "scale, shift and activation"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        scale: &CpuStorage,
        ls: &Layout,
        shift: &CpuStorage,
        lh: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (scale, shift) = (slice(scale, ls)?, slice(shift, lh)?);
        let by = |c: usize| Affine { scale: scale[c], shift: shift[c] };
        let y = Channels::of(lx.dims()).activate(slice(x, lx)?, self.0, &by, None);
        Ok((CpuStorage::F32(y), shape_out(lx.dims(), self.0)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        scale: &Tensor,
        shift: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        let planes = Channels::of(x.dims());
        let learns = scale.track_op() || shift.track_op();
        with_values([x, scale, shift, &dy], |[x_values, scales, shifts, dy]| {
            let by = |c: usize| Affine { scale: scales[c], shift: shifts[c] };
            let sums = ChannelSums::new(planes.c);
            let finish = |c: usize, dz: &mut [&mut [f32]]| {
                if learns {
                    let rows = || dz.iter().enumerate();
                    let by_x =
                        rows().map(|(b, dz)| rows::product_row(planes.row(x_values, b, c), 0., dz, 0.));
                    sums.set(
                        c,
                        by_x.sum::<f64>() as f32,
                        rows().map(|(_, dz)| rows::sum_row(dz, 0.)).sum::<f64>() as f32,
                    );
                }
                dz.iter_mut().for_each(|dz| rows::scale_row(dz, scales[c]));
            };
            let dx = planes.gradient(x_values, self.0, &by, dy, &finish);
            let (d_scale, d_shift) = sums.into_vectors();
            Ok((tracked(x, dx)?, tracked(scale, d_scale)?, tracked(shift, d_shift)?))
        })
    }
}

/// The gradients of each channel's scale and shift, written by the task that owns the channel.
struct ChannelSums(Vec<Mutex<(f32, f32)>>);

impl ChannelSums {
    fn new(channels: usize) -> Self {
        Self((0..channels).map(|_| Mutex::default()).collect())
    }

    fn set(&self, channel: usize, scale: f32, shift: f32) {
        *self.0[channel].lock().unwrap_or_else(PoisonError::into_inner) = (scale, shift);
    }

    fn into_vectors(self) -> (Vec<f32>, Vec<f32>) {
        self.0.into_iter().map(|s| s.into_inner().unwrap_or_else(PoisonError::into_inner)).unzip()
    }
}

/// `values` as the gradient of `of`, if it needs one.
pub(crate) fn tracked(of: &Tensor, values: Vec<f32>) -> Result<Option<Tensor>> {
    of.track_op().then(|| Tensor::from_vec(values, of.shape(), &Device::Cpu)).transpose()
}

/// Plain-tensor form of [`batch_norm`].
pub fn reference_batch_norm(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    eps: f64,
    act: Activation,
    residual: Option<&Tensor>,
) -> Result<Normalized> {
    let flat = channel_rows(x)?; // (C, B H W)
    let n = flat.dim(1)?;
    if n < 2 {
        bail!("batch_norm: x: {:?} gives a channel {n} value(s); training needs at least two", x.dims())
    }
    let mean = flat.mean_keepdim(1)?;
    let centred = flat.broadcast_sub(&mean)?;
    let var = centred.sqr()?.mean_keepdim(1)?;
    let scale = (weight.unsqueeze(1)? / (&var + eps)?.sqrt()?)?; // (C, 1)
    let shift = (bias.unsqueeze(1)? - (&mean * &scale)?)?;
    let y = reference_scale_shift(x, &scale.squeeze(1)?, &shift.squeeze(1)?, act)?;
    let y = match residual {
        Some(residual) => (y + residual)?,
        None => y,
    };
    Ok(Normalized { y, mean: mean.squeeze(1)?.detach(), var: var.squeeze(1)?.detach() })
}

/// Plain-tensor form of [`scale_shift`].
pub fn reference_scale_shift(x: &Tensor, scale: &Tensor, shift: &Tensor, act: Activation) -> Result<Tensor> {
    let mut shape = vec![1; x.rank()];
    shape[1] = x.dim(1)?;
    let y = x.broadcast_mul(&scale.reshape(shape.as_slice())?)?.broadcast_add(&shift.reshape(shape)?)?;
    activation::reference(&y, act)
}

/// `(B, C, ...)` to `(C, B * ...)`.
fn channel_rows(x: &Tensor) -> Result<Tensor> {
    if x.rank() < 2 {
        bail!("batch_norm: x: expected (B, C, ...), got {:?}", x.dims())
    }
    x.transpose(0, 1)?.flatten_from(1)?.contiguous()
}
