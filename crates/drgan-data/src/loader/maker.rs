//! One batch from its index: which records, which captions, which crops.
use super::batch::Batch;
use super::cache::Cache;
use super::config::BatchSpec;
use super::crop::{Crop, area_mean};
use super::order::Order;
use crate::dataset::Dataset;
use crate::error::DataError;
use crate::image::Image;
use crate::record::Record;
use candle_core::Tensor;
use drgan_tensor::device::HOST;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

/// What the workers of a loader share.
#[derive(Debug)]
pub(super) struct Maker {
    data: Arc<Dataset>,
    spec: BatchSpec,
    order: Order,
    /// Records of the split.
    records: usize,
    /// How many captions a record of the split may have.
    caption_counts: BTreeSet<usize>,
    cache: Cache,
    skipped: Mutex<BTreeSet<usize>>,
}

impl Maker {
    /// Batches of the records `indices`.
    pub(super) fn new(data: Arc<Dataset>, indices: &[usize], spec: BatchSpec) -> Self {
        let config = &spec.config;
        let records = data.records();
        let times = |r: &Record| if r.has_tag(&config.repeat.tag) { config.repeat.times } else { 1 };
        let draws = indices.iter().flat_map(|i| std::iter::repeat_n(*i, times(&records[*i]))).collect();
        Self {
            order: Order { draws, batch: config.batch, seed: spec.seed },
            records: indices.len(),
            caption_counts: indices.iter().map(|i| records[*i].captions.len()).collect(),
            cache: Cache::new(records.len(), indices.len(), spec.loaded_side(), config.cache_mib),
            skipped: Mutex::new(BTreeSet::new()),
            spec,
            data,
        }
    }

    pub(super) fn batches_per_epoch(&self) -> u64 {
        self.order.batches_per_epoch()
    }

    pub(super) fn skipped(&self) -> Vec<String> {
        self.names(&self.skipped.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn names(&self, indices: &BTreeSet<usize>) -> Vec<String> {
        indices.iter().map(|i| self.data.name(*i).to_owned()).collect()
    }

    /// Makes every `step`th batch from `first` on, until nobody receives them or one fails.
    pub(super) fn work(&self, first: u64, step: u64, queue: &SyncSender<Result<Batch, DataError>>) {
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

    /// Batch `n`, the rows of this shard, from the epoch's `permutation` of draws.
    fn batch(&self, n: u64, permutation: &[usize]) -> Result<Batch, DataError> {
        let (finest, loaded) = (self.spec.finest(), self.spec.loaded_side());
        let rows = self.spec.shard.rows(self.spec.config.batch);
        let start = self.order.start(n);
        let mut rng = self.order.rng(n);
        for row in 0..rows.start {
            self.pass_over(&mut rng, permutation, start + row)?;
        }
        let mut planes = vec![0.; rows.len() * 3 * finest * finest];
        let mut records = Vec::with_capacity(rows.len());
        let mut captions = Vec::with_capacity(rows.len());
        for (row, out) in rows.clone().zip(planes.chunks_exact_mut(3 * finest * finest)) {
            let (index, image) = self.image(permutation, start + row, loaded)?;
            let record = &self.data.records()[index];
            captions.push(record.captions[rng.random_range(0..record.captions.len())].clone());
            self.crop(&mut rng).apply(&image, finest, out);
            records.push(record);
        }
        let image = |side: &usize| {
            let shape = (rows.len(), 3, *side, *side);
            match finest / side {
                1 => Tensor::from_slice(&planes, shape, &HOST),
                factor => Tensor::from_vec(area_mean(&planes, finest, factor), shape, &HOST),
            }
        };
        Ok(Batch {
            images: self.spec.sides.iter().map(image).collect::<Result<_, _>>()?,
            captions,
            keys: records.iter().map(|r| r.key.clone()).collect(),
            class_ids: records.iter().map(|r| r.class_id).collect(),
            index: n,
            epoch: self.order.epoch(n),
            rows,
        })
    }

    fn crop(&self, rng: &mut impl Rng) -> Crop {
        let config = &self.spec.config;
        Crop::draw(rng, self.spec.loaded_side(), self.spec.finest(), config.shift, config.flip)
    }

    /// Draws what another shard's row draws. Which record that is depends on which images decode; how many random numbers
    /// it takes hardly ever does, so the image is loaded only where the counts of captions there are would differ in that.
    fn pass_over(
        &self,
        rng: &mut ChaCha8Rng,
        permutation: &[usize],
        position: usize,
    ) -> Result<(), DataError> {
        let after = |count: usize| {
            let mut ahead = rng.clone();
            let _ = ahead.random_range(0..count);
            ahead
        };
        let mut ends = self.caption_counts.iter().map(|count| after(*count));
        let first = ends.next();
        let same = ends.all(|end| first.as_ref().is_some_and(|f| f.get_word_pos() == end.get_word_pos()));
        *rng = match first {
            Some(end) if same => end,
            _ => {
                let (index, _) = self.image(permutation, position, self.spec.loaded_side())?;
                after(self.data.records()[index].captions.len())
            }
        };
        self.crop(rng);
        Ok(())
    }

    /// The record and image at `position` of the epoch's order, or the next that decodes.
    fn image(
        &self,
        order: &[usize],
        position: usize,
        side: usize,
    ) -> Result<(usize, Cow<'_, Image>), DataError> {
        for index in order.iter().cycle().skip(position).take(order.len()).copied() {
            if let Some(image) = self.cache.get(index) {
                return Ok((index, Cow::Borrowed(image)));
            }
            match self.data.load_image(index, side) {
                Ok(image) => {
                    let kept = self.cache.keep(index, image);
                    return Ok((index, kept.map_or_else(Cow::Owned, Cow::Borrowed)));
                }
                Err(DataError::Image { .. }) => {
                    let mut skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
                    skipped.insert(index);
                    self.data.tolerate(&self.names(&skipped), self.records)?;
                }
                Err(e) => return Err(e),
            }
        }
        // Unreachable while the tolerance is below 100 %: every image failed and the bound did not.
        let path = self.data.path().to_owned();
        Err(DataError::TooFew { path, part: "what decodes".to_owned(), found: 0, divides_itself: false })
    }
}
