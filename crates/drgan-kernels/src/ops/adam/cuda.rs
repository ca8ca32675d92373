//! All tensors of a network in one launch each, see adam.cu.
use super::step::{AdamStep, AdamUpdate};
use crate::cuda::launch::{Arg, Grid, args};
use crate::cuda::op::{with_views, with_views_of};
use crate::cuda::{Buffer, Queue};
use crate::dispatch::is_f64;
use candle_core::{Result, Tensor, bail};

/// Values that a block takes (`CHUNK` in adam.cu).
const CHUNK: usize = 4096;

/// A row of addresses per tensor, and how many blocks take them all.
struct Table {
    rows: Vec<u64>,
    tensors: u32,
    blocks: usize,
}

impl Table {
    /// Rows of `K` tensors of one shape each. What a kernel changes through them is changed in the one stream there is, so
    /// that no other work on the tensors is under way.
    fn new<'a, const K: usize>(tensors: impl Iterator<Item = [&'a Tensor; K]>) -> Result<Self> {
        let mut table = Self { rows: Vec::new(), tensors: 0, blocks: 0 };
        for row in tensors.filter(|row| row[0].elem_count() > 0) {
            for tensor in row {
                table.rows.push(address(tensor)?);
            }
            table.rows.extend([row[0].elem_count() as u64, table.blocks as u64]);
            table.blocks += row[0].elem_count().div_ceil(CHUNK);
            table.tensors += 1;
        }
        Ok(table)
    }
}

fn address(x: &Tensor) -> Result<u64> {
    with_views([x], |_, [x]| Ok(x.address()))
}

fn queue_of(x: &Tensor) -> Result<Queue> {
    with_views([x], |queue, _| Ok(queue.clone()))
}

/// Addresses of scalars, f32 or f64, and which of the two each is.
fn scalars(queue: &Queue, scalars: &[&Tensor]) -> Result<Option<Buffer<u64>>> {
    let mut rows = Vec::with_capacity(2 * scalars.len());
    for scalar in scalars {
        let row = if is_f64(scalar)? {
            [with_views_of::<f64, 1, _>([scalar], |_, [x]| Ok(x.address()))?, 1]
        } else {
            [address(scalar)?, 0]
        };
        rows.extend(row);
    }
    if rows.is_empty() { Ok(None) } else { queue.upload(&rows).map(Some) }
}

/// The argument of a buffer that may not be there.
fn or_none<'a>(buffer: Option<&'a mut Buffer<u64>>) -> Arg<'a> {
    buffer.map_or(Arg::NONE, Arg::from)
}

pub(super) fn adam(updates: &[AdamUpdate<'_>], step: AdamStep, guard: Option<&Tensor>) -> Result<()> {
    let Some(first) = updates.first() else { return Ok(()) };
    let gradients = updates.iter().map(|u| u.gradient.contiguous()).collect::<Result<Vec<_>>>()?;
    let rows = updates
        .iter()
        .zip(&gradients)
        .map(|(u, gradient)| [u.parameter.as_tensor(), gradient, u.m.as_tensor(), u.v.as_tensor()]);
    let (queue, table) = (queue_of(first.parameter)?, Table::new(rows)?);
    let mut on_device = queue.upload(&table.rows)?;
    // Complements in f64 first, as on the CPU.
    let AdamStep { betas: (b1, b2), rate, root, eps, scale } = step;
    let [b1, take_m, b2, take_v, rate, root, eps, scale] =
        [b1, 1. - b1, b2, 1. - b2, rate, root, eps, scale].map(|x| x as f32);
    let mut launch = |guard: Arg<'_>| {
        let args =
            args![&mut on_device, table.tensors, guard, b1, take_m, b2, take_v, rate, root, eps, scale];
        queue.launch("adam_update", Grid::blocks(table.blocks), args)
    };
    match guard {
        Some(guard) => with_views_of::<f64, 1, _>([guard], |_, [guard]| launch(guard.into())),
        None => launch(Arg::NONE),
    }
}

pub(super) fn ema(pairs: &[(&Tensor, &Tensor)], decay: f64) -> Result<()> {
    let Some((first, _)) = pairs.first() else { return Ok(()) };
    let values = pairs.iter().map(|(_, value)| value.contiguous()).collect::<Result<Vec<_>>>()?;
    let rows = pairs.iter().zip(&values).map(|((average, _), value)| [*average, value]);
    let (queue, table) = (queue_of(first)?, Table::new(rows)?);
    let mut on_device = queue.upload(&table.rows)?;
    let args = args![&mut on_device, table.tensors, decay as f32, (1. - decay) as f32];
    queue.launch("adam_average", Grid::blocks(table.blocks), args)
}

pub(super) fn norm(tensors: &[&Tensor], also: &[&Tensor]) -> Result<Tensor> {
    let Some(first) = tensors.first() else { bail!("global_norm: no tensors") };
    let tensors = tensors.iter().map(|x| x.contiguous()).collect::<Result<Vec<_>>>()?;
    let (queue, table) = (queue_of(first)?, Table::new(tensors.iter().map(|x| [x]))?);
    let mut on_device = queue.upload(&table.rows)?;
    let mut sums = queue.buffer::<f64>(table.blocks)?;
    let grid = Grid::blocks(table.blocks);
    queue.launch("adam_sum_of_squares", grid, args![&mut on_device, table.tensors, &mut sums])?;
    let mut norm = queue.buffer::<f64>(1)?;
    let mut rows = scalars(&queue, also)?;
    let args = args![&mut sums, table.blocks, or_none(rows.as_mut()), also.len() as u32, &mut norm];
    queue.launch("adam_norm", Grid::blocks(1), args)?;
    Ok(queue.tensor(norm, ()))
}

pub(super) fn read(all: &[&Tensor]) -> Result<Vec<f64>> {
    let Some(first) = all.first() else { return Ok(Vec::new()) };
    let queue = if is_f64(first)? {
        with_views_of::<f64, 1, _>([first], |queue, _| Ok(queue.clone()))?
    } else {
        queue_of(first)?
    };
    let mut values = queue.buffer::<f64>(all.len())?;
    let mut rows = scalars(&queue, all)?;
    let args = args![or_none(rows.as_mut()), all.len() as u32, &mut values];
    queue.launch("adam_gather", Grid::threads(all.len()), args)?;
    queue.download(&values)
}
