//! How batches are made: the settings, what the trainer adds to them, and a machine's share.
use crate::error::DataError;
use crate::record::COLOR_TAG;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The settings of batches. A batch depends on them (not on `workers` and `cache_mib`), on the rest of [`BatchSpec`], the
/// data and the batch's index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoaderConfig {
    /// Images per batch, at least 1 and at most as many as the split has.
    pub batch: usize,
    /// Images are resized to this side first; 0 for the finest. Above the finest: a random crop.
    pub load_side: usize,
    /// Random shift in pixels, each way, the border repeated.
    pub shift: usize,
    /// Flip half of the images, left to right.
    pub flip: bool,
    /// Threads that make batches, at least 1.
    pub workers: usize,
    /// Keep resized images in memory where the whole split fits this many MiB.
    pub cache_mib: usize,
    /// Which records an epoch draws more often than once.
    pub repeat: Repeat,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        Self {
            batch: 16,
            load_side: 0,
            shift: 3,
            flip: true,
            workers: 1,
            cache_mib: 512,
            repeat: Repeat::default(),
        }
    }
}

/// Which records an epoch draws more often than once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Repeat {
    /// The tag of these records, see [`crate::Record::tags`].
    pub tag: String,
    /// How often each record with the tag is drawn per epoch, at least 1.
    pub times: usize,
}

impl Default for Repeat {
    fn default() -> Self {
        Self { tag: COLOR_TAG.to_owned(), times: 3 }
    }
}

/// What decides the batches of a data set: the settings, and what follows from the networks, the run and the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchSpec {
    /// How records are drawn, and how their images are loaded.
    pub config: LoaderConfig,
    /// Side of each stage's images, coarse to fine; each divides the last.
    pub sides: Vec<usize>,
    /// Order, captions, shifts and flips follow from it.
    pub seed: u64,
    /// Which rows of each batch are made.
    pub shard: Shard,
}

impl Default for BatchSpec {
    /// Three stages of 16, 32 and 64 pixels, seed 0, the whole batch.
    fn default() -> Self {
        Self { config: LoaderConfig::default(), sides: vec![16, 32, 64], seed: 0, shard: Shard::default() }
    }
}

impl BatchSpec {
    /// The last stage's side.
    pub fn finest(&self) -> usize {
        self.sides.last().copied().unwrap_or(0)
    }

    /// The side that images are resized to before they are cropped.
    pub fn loaded_side(&self) -> usize {
        if self.config.load_side == 0 { self.finest() } else { self.config.load_side }
    }

    /// Whether images are cropped at random, so that no two epochs see the same pixels.
    pub fn crops_at_random(&self) -> bool {
        self.loaded_side() > self.finest()
    }

    /// Whether every value is in its range.
    pub(super) fn check(&self) -> Result<(), DataError> {
        let bad = |field, reason: String| Err(DataError::Config { field, reason });
        let (finest, config, Shard { rank, of }) = (self.finest(), &self.config, self.shard);
        if finest == 0 || self.sides.iter().any(|s| *s == 0 || !finest.is_multiple_of(*s)) {
            return bad("sides", format!("{:?}: give at least one side, each dividing the last", self.sides));
        }
        if !self.sides.is_sorted() {
            return bad("sides", format!("{:?}: give coarse to fine", self.sides));
        }
        if self.loaded_side() < finest {
            let reason = format!("{} is below the finest side {finest}; give 0 or more", config.load_side);
            return bad("load_side", reason);
        }
        if config.shift >= finest {
            let reason = format!("{} moves images of {finest} out of sight; give less", config.shift);
            return bad("shift", reason);
        }
        for (field, value) in
            [("batch", config.batch), ("workers", config.workers), ("repeat.times", config.repeat.times)]
        {
            if value == 0 {
                return bad(field, "0; give at least 1".to_owned());
            }
        }
        if rank >= of || of > config.batch {
            let reason = format!(
                "rank {rank} of {of} with batches of {}: ranks count from 0, and each needs a row of every batch",
                config.batch
            );
            return bad("shard", reason);
        }
        Ok(())
    }
}

/// A machine's share of every batch: rows `rank * B / of .. (rank + 1) * B / of` of `B`. The shares of all ranks together
/// are the whole batch, bit for bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Number of this machine, from 0.
    pub rank: usize,
    /// Number of machines that share a batch.
    pub of: usize,
}

impl Default for Shard {
    /// The whole batch.
    fn default() -> Self {
        Self { rank: 0, of: 1 }
    }
}

impl Shard {
    /// The rows of a batch of `size` that this share holds.
    pub fn rows(self, size: usize) -> Range<usize> {
        self.rank * size / self.of..(self.rank + 1) * size / self.of
    }
}
