//! Batches of images and captions, made by threads ahead of their use.
mod crop;
mod order;

use crate::{DataError, Dataset, Image, Split};
use candle_core::{Device, Tensor};
pub use crop::Crop;
use crop::area_mean;
use order::Order;
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

/// Batches each worker may be ahead.
const AHEAD: usize = 2;

/// How batches are made. A batch depends on these settings (not on `workers` and `cache_mib`), the data and its index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoaderConfig {
    /// Images a batch, at least 1 and at most as many as the split has.
    pub batch: usize,
    /// Side of each stage's picture, coarse to fine; each divides the last. Not a setting: the generator has it.
    #[serde(skip)]
    pub sides: Vec<usize>,
    /// Images are resized to this side first; 0 for the finest. Above the finest: a random crop.
    pub load_side: usize,
    /// Random shift in pixels, each way, the border repeated.
    pub shift: usize,
    /// Mirror half of the pictures.
    pub flip: bool,
    /// Order, captions, shifts and flips follow from it. Not a setting: the run has it.
    #[serde(skip)]
    pub seed: u64,
    /// Threads that make batches, at least 1.
    pub workers: usize,
    /// How often an epoch draws a record whose label names a colour, at least 1.
    pub colour_repeat: usize,
    /// Keep resized pictures in memory where the whole split fits this many MiB.
    pub cache_mib: usize,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        Self {
            batch: 16,
            sides: vec![16, 32, 64],
            load_side: 0,
            shift: 3,
            flip: true,
            seed: 0,
            workers: 1,
            colour_repeat: 3,
            cache_mib: 512,
        }
    }
}

impl LoaderConfig {
    /// The side pictures are resized to.
    pub fn loaded_side(&self) -> usize {
        if self.load_side == 0 { self.finest() } else { self.load_side }
    }

    /// The last stage's side.
    pub fn finest(&self) -> usize {
        self.sides.last().copied().unwrap_or(0)
    }

    fn check(&self) -> Result<(), DataError> {
        let bad = |field, reason: String| Err(DataError::Config { field, reason });
        let finest = self.finest();
        if finest == 0 || self.sides.iter().any(|s| *s == 0 || !finest.is_multiple_of(*s)) {
            return bad("sides", format!("{:?}: give at least one side, each dividing the last", self.sides));
        }
        if !self.sides.is_sorted() {
            return bad("sides", format!("{:?}: give coarse to fine", self.sides));
        }
        if self.loaded_side() < finest {
            return bad(
                "load_side",
                format!("{} is below the finest side {finest}; give 0 or more", self.load_side),
            );
        }
        if self.shift >= finest {
            return bad(
                "shift",
                format!("{} moves pictures of {finest} out of sight; give less", self.shift),
            );
        }
        for (field, value) in
            [("batch", self.batch), ("workers", self.workers), ("colour_repeat", self.colour_repeat)]
        {
            if value == 0 {
                return bad(field, "0; give at least 1".to_owned());
            }
        }
        Ok(())
    }
}

/// Images with captions, ready for a step.
#[derive(Clone, Debug)]
pub struct Batch {
    /// A stage each, coarse to fine: `(B, 3, side, side)` f32 in `[-1, 1]` on the host. The coarser are area means of
    /// the finest.
    pub images: Vec<Tensor>,
    /// One a picture, drawn among its captions.
    pub captions: Vec<String>,
    /// Keys of the records. A key may occur twice where `colour_repeat` is above 1.
    pub keys: Vec<String>,
    /// Classes, where every record of the batch has one.
    pub class_ids: Option<Vec<u32>>,
    /// Which batch, from 0 at the start of training.
    pub index: u64,
    /// Which pass over the data, from 0.
    pub epoch: u64,
}

/// What the workers share.
struct Shared {
    data: Arc<Dataset>,
    config: LoaderConfig,
    order: Order,
    records: usize,
    /// A record of the data set each; empty where the split does not fit the budget.
    cache: Vec<OnceLock<Image>>,
    skipped: Mutex<BTreeSet<usize>>,
}

/// Endless batches, made by threads ahead of their use.
///
/// Batch n is a function of the settings, the data and n: the number of workers does not matter, and a loader started at
/// n continues another as if it had never stopped. An epoch is a seeded permutation of the split, with records that name
/// a colour `colour_repeat` times; its last partial batch is dropped (another remainder each epoch, as the order differs).
/// In place of a picture that does not decode comes the next in the epoch's order; above 1 % of the split is an error.
/// After an error the iterator ends. Dropping the loader ends its threads.
pub struct Loader {
    shared: Arc<Shared>,
    queues: Vec<Receiver<Result<Batch, DataError>>>,
    threads: Vec<JoinHandle<()>>,
    next: u64,
    start: u64,
    failed: bool,
}

impl Loader {
    /// Holds the settings against the data, as [`Loader::new`] does; the records of the split.
    ///
    /// # Errors
    /// As [`Loader::new`].
    pub fn check(data: &Dataset, split: Split, config: &LoaderConfig) -> Result<Vec<usize>, DataError> {
        config.check()?;
        let indices = data.split(split);
        let path = data.path().to_owned();
        if indices.len() < 2 {
            return Err(DataError::TooFew { path, part: split.name().to_owned(), found: indices.len() });
        }
        if config.batch > indices.len() {
            return Err(DataError::BatchTooLarge { path, batch: config.batch, records: indices.len() });
        }
        Ok(indices)
    }

    /// Starts the workers at batch `start`.
    ///
    /// # Errors
    /// Settings out of range, a split with fewer than two pictures, a batch larger than the split.
    pub fn new(
        data: Arc<Dataset>,
        split: Split,
        config: LoaderConfig,
        start: u64,
    ) -> Result<Self, DataError> {
        let indices = Self::check(&data, split, &config)?;
        let repeat = |i: &usize| if data.records()[*i].names_colour { config.colour_repeat } else { 1 };
        let draws = indices.iter().flat_map(|i| std::iter::repeat_n(*i, repeat(i))).collect();
        let order = Order { draws, batch: config.batch, seed: config.seed };
        let bytes = config.loaded_side().pow(2) * 3 * indices.len();
        let cached = bytes <= config.cache_mib << 20;
        let cache = (0..if cached { data.records().len() } else { 0 }).map(|_| OnceLock::new()).collect();
        let workers = config.workers;
        let shared = Shared {
            data,
            config,
            order,
            records: indices.len(),
            cache,
            skipped: Mutex::new(BTreeSet::new()),
        };
        let mut loader = Self {
            shared: Arc::new(shared),
            queues: Vec::new(),
            threads: Vec::new(),
            next: start,
            start,
            failed: false,
        };
        for worker in 0..workers as u64 {
            let (sender, receiver) = sync_channel(AHEAD);
            let shared = Arc::clone(&loader.shared);
            let spawned = std::thread::Builder::new()
                .name(format!("loader-{worker}"))
                .spawn(move || shared.work(start + worker, workers as u64, &sender));
            loader.threads.push(spawned.map_err(DataError::io(std::path::Path::new("loader thread")))?);
            loader.queues.push(receiver);
        }
        Ok(loader)
    }

    /// Index of the batch that comes next: what a checkpoint keeps, and `start` of the loader that continues.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Whole batches an epoch.
    pub fn batches_per_epoch(&self) -> u64 {
        self.shared.order.batches_per_epoch()
    }

    /// Names of pictures skipped so far because they do not decode, sorted by record.
    pub fn skipped(&self) -> Vec<String> {
        let skipped = self.shared.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        skipped.iter().map(|i| self.shared.data.name(*i).to_owned()).collect()
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

impl Shared {
    fn work(&self, first: u64, step: u64, queue: &SyncSender<Result<Batch, DataError>>) {
        let mut epoch = (u64::MAX, Vec::new());
        let mut n = first;
        loop {
            let wanted = self.order.epoch(n);
            if epoch.0 != wanted {
                epoch = (wanted, self.order.permutation(wanted));
            }
            let batch = self.batch(n, &epoch.1);
            let failed = batch.is_err();
            if queue.send(batch).is_err() || failed {
                return;
            }
            n += step;
        }
    }

    fn batch(&self, n: u64, permutation: &[usize]) -> Result<Batch, DataError> {
        let LoaderConfig { batch: size, sides, shift, flip, .. } = &self.config;
        let (finest, loaded) = (self.config.finest(), self.config.loaded_side());
        let start = self.order.start(n);
        let mut rng = self.order.rng(n);
        let mut planes = vec![0.; size * 3 * finest * finest];
        let mut records = Vec::with_capacity(*size);
        let mut captions = Vec::with_capacity(*size);
        for (i, out) in planes.chunks_exact_mut(3 * finest * finest).enumerate() {
            let (index, picture) = self.picture(permutation, start + i, loaded)?;
            let record = &self.data.records()[index];
            captions.push(record.captions[rng.random_range(0..record.captions.len())].clone());
            Crop::draw(&mut rng, loaded, finest, *shift, *flip).apply(&picture, finest, out);
            records.push(record);
        }
        let image = |side: &usize| match finest / side {
            1 => Tensor::from_slice(&planes, (*size, 3, finest, finest), &Device::Cpu),
            factor => {
                Tensor::from_vec(area_mean(&planes, finest, factor), (*size, 3, *side, *side), &Device::Cpu)
            }
        };
        Ok(Batch {
            images: sides.iter().map(image).collect::<Result<_, _>>()?,
            captions,
            keys: records.iter().map(|r| r.key.clone()).collect(),
            class_ids: records.iter().map(|r| r.class_id).collect(),
            index: n,
            epoch: self.order.epoch(n),
        })
    }

    /// The picture at `position` of the epoch's order, or the next that decodes.
    fn picture(
        &self,
        order: &[usize],
        position: usize,
        side: usize,
    ) -> Result<(usize, std::borrow::Cow<'_, Image>), DataError> {
        use std::borrow::Cow::{Borrowed, Owned};
        for index in order.iter().cycle().skip(position).take(order.len()).copied() {
            if let Some(picture) = self.cache.get(index).and_then(OnceLock::get) {
                return Ok((index, Borrowed(picture)));
            }
            match self.data.load_image(index, side) {
                Ok(picture) => {
                    return Ok((
                        index,
                        match self.cache.get(index) {
                            Some(cell) => Borrowed(cell.get_or_init(|| picture)),
                            None => Owned(picture),
                        },
                    ));
                }
                Err(DataError::Image { .. }) => {
                    let mut skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
                    skipped.insert(index);
                    let names: Vec<String> = skipped.iter().map(|i| self.data.name(*i).to_owned()).collect();
                    self.data.tolerate(&names, self.records)?;
                }
                Err(e) => return Err(e),
            }
        }
        // Unreachable while the tolerance is below 100 %: every picture failed and the bound did not.
        Err(DataError::TooFew {
            path: self.data.path().to_owned(),
            part: "what decodes".to_owned(),
            found: 0,
        })
    }
}
