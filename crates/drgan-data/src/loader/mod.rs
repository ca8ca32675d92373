//! Endless batches, made by threads ahead of their use.
mod batch;
mod cache;
mod config;
mod crop;
mod maker;
mod order;

use crate::dataset::Dataset;
use crate::error::DataError;
use crate::record::Split;
pub use batch::Batch;
pub use config::{BatchSpec, LoaderConfig, Repeat, Shard};
pub use crop::Crop;
use maker::Maker;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

/// Batches each worker may be ahead.
const AHEAD: usize = 2;

/// Endless batches, made by threads ahead of their use.
///
/// Batch n is a function of the [`BatchSpec`], the data and n: the number of workers does not matter, and a loader started at
/// n continues another as if it had never stopped. An epoch is a seeded permutation of the split, with repeated records
/// [`Repeat::times`] times; its last partial batch is dropped (another remainder each epoch, as the order differs).
/// In place of an image that does not decode comes the next in the epoch's order; above 1 % of the split is an error.
/// After an error the iterator ends. Dropping the loader ends its threads.
///
/// A [`Shard`] decodes its own rows only, under the random numbers that they have in the whole batch; what it reports as
/// skipped is what it met itself.
#[derive(Debug)]
pub struct Loader {
    maker: Arc<Maker>,
    queues: Vec<Receiver<Result<Batch, DataError>>>,
    threads: Vec<JoinHandle<()>>,
    next: u64,
    start: u64,
    failed: bool,
}

impl Loader {
    /// Checks the settings against the data, as [`Loader::new`] does; the records of the split.
    ///
    /// # Errors
    /// Settings out of range, a split with fewer than two images, a batch larger than the split.
    pub fn check(data: &Dataset, split: Split, spec: &BatchSpec) -> Result<Vec<usize>, DataError> {
        spec.check()?;
        let (indices, batch) = (data.split(split), spec.config.batch);
        let (path, records) = (data.path().to_owned(), indices.len());
        if records < 2 {
            let (part, divides_itself) = (split.name().to_owned(), data.divides_itself());
            return Err(DataError::TooFew { path, part, found: records, divides_itself });
        }
        if batch > records {
            return Err(DataError::BatchTooLarge { path, batch, records });
        }
        Ok(indices)
    }

    /// Starts the workers at batch `start`.
    ///
    /// # Errors
    /// As [`Loader::check`].
    pub fn new(data: Arc<Dataset>, split: Split, spec: BatchSpec, start: u64) -> Result<Self, DataError> {
        let indices = Self::check(&data, split, &spec)?;
        let workers = spec.config.workers as u64;
        let mut loader = Self {
            maker: Arc::new(Maker::new(data, &indices, spec)),
            queues: Vec::new(),
            threads: Vec::new(),
            next: start,
            start,
            failed: false,
        };
        for worker in 0..workers {
            let (sender, receiver) = sync_channel(AHEAD);
            let maker = Arc::clone(&loader.maker);
            let spawned = std::thread::Builder::new()
                .name(format!("loader-{worker}"))
                .spawn(move || maker.work(start + worker, workers, &sender));
            loader.threads.push(spawned.map_err(DataError::io(std::path::Path::new("loader thread")))?);
            loader.queues.push(receiver);
        }
        Ok(loader)
    }

    /// Index of the batch that comes next: what a checkpoint keeps, and `start` of the loader that continues.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Whole batches per epoch.
    pub fn batches_per_epoch(&self) -> u64 {
        self.maker.batches_per_epoch()
    }

    /// Names of images skipped so far because they do not decode, sorted by record.
    pub fn skipped(&self) -> Vec<String> {
        self.maker.skipped()
    }
}

impl Iterator for Loader {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        // Less than the number of workers, which is a usize.
        let worker = usize::try_from((self.next - self.start) % self.queues.len() as u64).unwrap_or(0);
        let batch = self.queues[worker].recv().unwrap_or(Err(DataError::Worker { worker }));
        self.failed = batch.is_err();
        self.next += u64::from(!self.failed);
        Some(batch)
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        // A worker ends when its queue has no receiver.
        self.queues.clear();
        for thread in self.threads.drain(..) {
            // A panic has been reported as DataError::Worker already.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod shard_tests;
#[cfg(test)]
mod tests;
