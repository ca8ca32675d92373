//! Sums over all values of some tensors: see sums.cuh and sums.cu.
use super::launch::{Arg, Grid, args};
use super::{Buffer, Queue};
use candle_core::Result;

/// Blocks that the values are shared between, at most: enough for every GPU, and one block adds their sums.
const BLOCKS: usize = 256;
/// Values that a block takes, at least.
const VALUES: usize = 16_384;

/// `factor` times a sum over `n` values: one launch of a kernel of arguments `(INPUTS, parts, result, n, factor)`, or two
/// where the values are shared between blocks. How many blocks there are follows from `n` alone.
pub(crate) fn sum(
    queue: &Queue,
    kernel: &'static str,
    inputs: &[Arg<'_>],
    n: usize,
    factor: f64,
) -> Result<Buffer> {
    let blocks = (n / VALUES).clamp(1, BLOCKS);
    let (mut result, mut parts) = (queue.buffer(1)?, queue.buffer::<f64>(blocks)?);
    let args = [inputs, args![&mut parts, &mut result, n, factor].as_slice()].concat();
    queue.launch(kernel, Grid::blocks(blocks), &args)?;
    if blocks > 1 {
        queue.launch("sums_finish", Grid::blocks(1), args![parts.view(), &mut result, blocks, factor])?;
    }
    Ok(result)
}
