//! An activation after a scale and a shift per channel, over maps, its gradient, and sums of channels: `cpu::channels` on CUDA
//! devices. See channels.cu and channel_sums.cu.
use super::launch::{Arg, Grid, args};
use super::{Buffer, Queue, View};
use crate::cpu::channels::Channels;
use crate::ops::activation::kind::Activation;
use candle_core::Result;

/// What channels are scaled by before the activation.
#[derive(Clone, Copy)]
pub(crate) struct Scales<'a> {
    /// `(C,)` each.
    pub(crate) scale: Arg<'a>,
    pub(crate) shift: Arg<'a>,
    /// `(3, C)`: mean, variance and 1 / deviation, by which values are normalized first.
    pub(crate) statistics: Arg<'a>,
}

impl<'a> Scales<'a> {
    /// Channels as they are.
    pub(crate) const NONE: Scales<'static> =
        Scales { scale: Arg::NONE, shift: Arg::NONE, statistics: Arg::NONE };

    /// `scale x + shift`.
    pub(crate) fn of(scale: View<'a>, shift: View<'a>) -> Self {
        Self { scale: scale.into(), shift: shift.into(), statistics: Arg::NONE }
    }

    /// `x + shift`.
    pub(crate) fn shift(shift: View<'a>) -> Self {
        Self { shift: shift.into(), ..Self::NONE }
    }

    fn args(self) -> [Arg<'a>; 3] {
        [self.scale, self.shift, self.statistics]
    }
}

/// `act(scales(x)) + residual`: one launch.
pub(crate) fn activate(
    queue: &Queue,
    channels: Channels,
    x: View<'_>,
    act: Activation,
    scales: Scales<'_>,
    residual: Option<View<'_>>,
) -> Result<Buffer> {
    let n = channels.b * act.channels_out(channels.c) * channels.plane;
    let mut y = queue.buffer(n)?;
    let residual = residual.map_or(Arg::NONE, Arg::from);
    let args = [
        args![x],
        scales.args().as_slice(),
        args![residual, &mut y, n, channels.c, channels.plane],
        act.args().as_slice(),
    ]
    .concat();
    queue.launch("channels_activate", Grid::threads(n), &args)?;
    Ok(y)
}

/// `dx` of [`activate`]: one launch. With statistics it takes the gradients of scale and shift, `[d_scale, d_shift]`.
pub(crate) fn gradient(
    queue: &Queue,
    channels: Channels,
    x: View<'_>,
    act: Activation,
    scales: Scales<'_>,
    of_scales: [Arg<'_>; 2],
    dy: View<'_>,
) -> Result<Buffer> {
    let n = channels.b * act.channels_out(channels.c) * channels.plane;
    let mut dx = queue.buffer(channels.b * channels.c * channels.plane)?;
    let share = 1. / (channels.b * channels.plane) as f32;
    let args = [
        args![x],
        scales.args().as_slice(),
        of_scales.as_slice(),
        args![dy, &mut dx, n, channels.c, channels.plane, share],
        act.args().as_slice(),
    ]
    .concat();
    queue.launch("channels_activate_backward", Grid::threads(n), &args)?;
    Ok(dx)
}

/// Writes the gradients of scale and shift of [`activate`] to `[d_scale, d_shift]`, `(C,)` each: one launch, or two where
/// channels are [cut](parts).
pub(crate) fn scales_gradients(
    queue: &Queue,
    channels: Channels,
    x: View<'_>,
    act: Activation,
    scales: Scales<'_>,
    dy: View<'_>,
    [d_scale, d_shift]: [Arg<'_>; 2],
) -> Result<()> {
    let out = act.channels_out(channels.c);
    let parts = Parts::of(queue, channels, 2)?;
    let args = [
        args![x],
        scales.args().as_slice(),
        args![dy, parts.arg(), d_scale, d_shift, channels.b, channels.c, channels.plane],
        act.args().as_slice(),
    ]
    .concat();
    queue.launch("channels_sum_gradients", Grid::blocks(out).times(parts.each), &args)?;
    parts.add(queue, channels.c, d_scale, d_shift)
}

/// Of every channel, the sum over images and pixels: one launch, or two where channels are [cut](parts).
pub(crate) fn sums(queue: &Queue, channels: Channels, x: View<'_>) -> Result<Buffer> {
    let mut sums = queue.buffer(channels.c)?;
    let to = Arg::from(&mut sums);
    let parts = Parts::of(queue, channels, 1)?;
    let args = args![x, parts.arg(), to, channels.b, channels.c, channels.plane];
    queue.launch("channels_sum", Grid::blocks(channels.c).times(parts.each), args)?;
    parts.add(queue, channels.c, to, Arg::NONE)?;
    Ok(sums)
}

/// Into how many parts each channel is cut, a block each: one, unless there are few channels of many values. It follows from
/// the sizes alone, and so does the order of sums.
fn parts(channels: Channels) -> usize {
    /// Blocks that fill a large device.
    const BLOCKS: usize = 1024;
    /// Values that are worth a block.
    const VALUES: usize = 4096;
    let values = channels.b * channels.plane;
    (BLOCKS / channels.c.max(1)).min(values / VALUES).clamp(1, 64)
}

/// Where blocks leave their sums if channels are cut.
pub(crate) struct Parts {
    pub(crate) each: usize,
    sums: Option<Buffer<f64>>,
}

impl Parts {
    /// For some sums per channel.
    pub(crate) fn of(queue: &Queue, channels: Channels, sums: usize) -> Result<Self> {
        let each = parts(channels);
        let buffer = || queue.buffer(sums * channels.c * each);
        Ok(Self { each, sums: (each > 1).then(buffer).transpose()? })
    }

    pub(crate) fn arg(&self) -> Arg<'_> {
        self.sums.as_ref().map_or(Arg::NONE, |sums| sums.view().into())
    }

    /// Adds the parts of one or two sums for each of `n` channels, if there are any.
    fn add(&self, queue: &Queue, n: usize, first: Arg<'_>, second: Arg<'_>) -> Result<()> {
        if self.sums.is_none() {
            return Ok(());
        }
        let sums = if second == Arg::NONE { n } else { 2 * n };
        let args = args![self.arg(), first, second, n, self.each as u32];
        queue.launch("channels_sum_parts", Grid::threads(sums), args)
    }
}
