//! Backbone features of the training images: computed once and kept where they fit into memory and images are not cropped at
//! random, else computed for each batch.
use super::encoders::Encoders;
use super::images::{CHUNK, load_images};
use crate::config::RunConfig;
use crate::error::TrainError;
use crate::gan::non_finite;
use candle_core::Tensor;
use drgan_data::{BatchSpec, Crop, Dataset};
use drgan_text::BackboneFeatures;
use rand::Rng;
use std::collections::BTreeSet;

/// Where a batch's features come from.
pub(super) struct FeatureCache {
    /// Records whose images decode, in the order of the kept rows; all records if nothing is kept.
    pub(super) records: Vec<usize>,
    /// Images that do not decode, by name.
    pub(super) skipped: Vec<String>,
    /// One row per record, then one per flipped record if the loader flips. None: computed for each batch.
    kept: Option<BackboneFeatures>,
    /// How images are resized, cropped and flipped.
    loader: BatchSpec,
}

impl FeatureCache {
    /// Computes the features of `records`, and of the flipped images if the loader flips; nothing if `progress`, told how
    /// many are done, asks to stop.
    ///
    /// # Errors
    /// Too many images that do not decode; a file that cannot be read.
    pub(super) fn new(
        cfg: &RunConfig,
        encoders: &Encoders,
        data: &Dataset,
        records: &[usize],
        mut progress: impl FnMut(usize) -> bool,
    ) -> Result<Option<Self>, TrainError> {
        let loader = cfg.loader();
        let (mut plain, mut flipped) = (Vec::new(), Vec::new());
        let (mut decoded, mut skipped) = (Vec::new(), Vec::new());
        let mut fits = !loader.crops_at_random();
        for chunk in records.chunks(CHUNK) {
            if !fits {
                break;
            }
            let Some(images) = load_images(data, chunk, &loader, &mut decoded, &mut skipped)? else {
                continue;
            };
            plain.push(finite(encoders.backbone_features(&images)?)?);
            fits = joined_mib(&plain[0], records.len(), cfg.loader.flip) <= cfg.damsm.cache_mib;
            if !fits {
                break;
            }
            if cfg.loader.flip {
                flipped.push(finite(encoders.backbone_features(&flip(&images)?)?)?);
            }
            let done = plain.iter().chain(&flipped).map(|f| f.pooled.dims()[0]).sum();
            if !progress(done) {
                return Ok(None);
            }
        }
        if !fits {
            // Images that do not decode will be left out of their batches.
            decoded = records.to_vec();
            (plain, flipped) = (Vec::new(), Vec::new());
        }
        data.tolerate(&skipped, records.len())?;
        plain.extend(flipped);
        let join = |pick: fn(&BackboneFeatures) -> &Tensor| {
            Tensor::cat(&plain.iter().map(pick).collect::<Vec<_>>(), 0)
        };
        let joined = || -> Result<_, TrainError> {
            Ok(BackboneFeatures { map: join(|f| &f.map)?, pooled: join(|f| &f.pooled)? })
        };
        Ok(Some(Self { records: decoded, skipped, kept: fits.then(joined).transpose()?, loader }))
    }

    /// How an image is seen this time: as the GAN's loader would crop it, without its small shifts.
    pub(super) fn draw_crop(&self, rng: &mut impl Rng) -> Crop {
        let l = &self.loader;
        if l.crops_at_random() {
            return Crop::draw(rng, l.loaded_side(), l.finest(), 0, l.config.flip);
        }
        Crop { left: 0, top: 0, flip: l.config.flip && rng.random_bool(0.5) }
    }

    /// Features of rows, each cropped in its way, and the places in `rows` whose images decode, if any does. The names of the
    /// others join [`FeatureCache::skipped`].
    pub(super) fn of_batch(
        &mut self,
        encoders: &Encoders,
        data: &Dataset,
        rows: &[(usize, Crop)],
    ) -> Result<Option<(BackboneFeatures, Vec<usize>)>, TrainError> {
        if let Some(kept) = &self.kept {
            let at =
                |(row, crop): &(usize, Crop)| (row + if crop.flip { self.records.len() } else { 0 }) as u32;
            let index = Tensor::new(rows.iter().map(at).collect::<Vec<_>>(), kept.map.device())?;
            let pick = |t: &Tensor| t.index_select(&index, 0);
            let features = BackboneFeatures { map: pick(&kept.map)?, pooled: pick(&kept.pooled)? };
            return Ok(Some((features, (0..rows.len()).collect())));
        }
        let wanted: Vec<usize> = rows.iter().map(|(row, _)| self.records[*row]).collect();
        let loaded = data.load_part(&wanted, self.loader.loaded_side())?;
        let (mut images, mut there) = (Vec::new(), Vec::new());
        let mut decoded = loaded.indices.iter().zip(&loaded.images).peekable();
        for (place, (record, (_, crop))) in wanted.iter().zip(rows).enumerate() {
            if let Some((_, image)) = decoded.next_if(|(index, _)| *index == record) {
                images.push(crop.tensor(image, self.loader.finest())?);
                there.push(place);
            }
        }
        if !loaded.skipped.is_empty() {
            let names: BTreeSet<String> = self.skipped.drain(..).chain(loaded.skipped).collect();
            self.skipped = names.into_iter().collect();
            data.tolerate(&self.skipped, self.records.len())?;
        }
        if images.is_empty() {
            return Ok(None);
        }
        Ok(Some((encoders.backbone_features(&Tensor::stack(&images, 0)?)?, there)))
    }
}

/// Features as they are, unless one is NaN or infinite: the backbone's weights are broken then.
fn finite(features: BackboneFeatures) -> Result<BackboneFeatures, TrainError> {
    for part in [&features.map, &features.pooled] {
        if let Some(value) = non_finite(part)? {
            let loss = "a feature of the image encoder's backbone (image_encoder.weights)".to_owned();
            return Err(TrainError::NonFinite { loss, value });
        }
    }
    Ok(features)
}

/// Images `(B, 3, H, W)` from right to left.
fn flip(images: &Tensor) -> Result<Tensor, TrainError> {
    let order = Tensor::from_iter((0..images.dim(3)? as u32).rev(), images.device())?;
    Ok(images.index_select(&order, 3)?)
}

/// MiB that all features would take while they are joined, from those of one chunk.
fn joined_mib(chunk: &BackboneFeatures, records: usize, flip: bool) -> usize {
    let rows = chunk.pooled.dims()[0].max(1);
    let bytes = |t: &Tensor| t.elem_count() / rows * t.dtype().size_in_bytes();
    let each = bytes(&chunk.map) + bytes(&chunk.pooled);
    (each * records * if flip { 2 } else { 1 } * 2) >> 20
}
