//! What a loader makes.
use candle_core::Tensor;
use std::ops::Range;

/// Images with captions, ready for a step: a whole batch, or a shard's rows of it.
#[derive(Clone, Debug)]
pub struct Batch {
    /// One per stage, coarse to fine: `(rows, 3, side, side)` f32 in `[-1, 1]` on the host. The coarser are area means of
    /// the finest.
    pub images: Vec<Tensor>,
    /// One caption per row, drawn among its record's.
    pub captions: Vec<String>,
    /// Keys of the records. A key may occur twice where records are repeated.
    pub keys: Vec<String>,
    /// Classes of the records, where they have one.
    pub class_ids: Vec<Option<u32>>,
    /// Which rows of the whole batch these are.
    pub rows: Range<usize>,
    /// Which batch, from 0 at the start of training.
    pub index: u64,
    /// Which pass over the data, from 0.
    pub epoch: u64,
}

impl Batch {
    /// The classes, where every row has one.
    pub fn classes(&self) -> Option<Vec<u32>> {
        self.class_ids.iter().copied().collect()
    }
}
