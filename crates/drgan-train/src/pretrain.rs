//! DAMSM: the text encoder and the image projection learn to tell which caption belongs to which picture.
//!
//! The backbone is frozen, so each picture's backbone features are computed once and kept, where they fit into memory and
//! pictures are not cut at random; else they are computed for each batch.
use crate::adam::Adam;
use crate::captions;
use crate::config::RunConfig;
use crate::encoders::Encoders;
use crate::error::TrainError;
use crate::step::{refuse_non_finite, scalar};
use candle_core::{Device, Tensor};
use drgan_data::{Crop, Dataset, LoaderConfig, Split};
use drgan_losses::damsm;
use drgan_metrics::RPrecision;
use drgan_tensor::internal::fnv1a;
use drgan_tensor::{Ctx, Mode};
use drgan_text::BackboneFeatures;
use rand::Rng;
use rand::seq::SliceRandom;
use std::collections::BTreeSet;

/// Pictures whose backbone features are computed at once.
const CHUNK: usize = 64;
/// The learning rate falls to this fraction of its start, as AttnGAN's.
const LOWEST_LR: f64 = 0.1;

/// The training phase of the encoders; one epoch a call, so that the caller can stop and save between them.
pub struct Pretrainer {
    /// Records whose pictures decode, in the order of the feature rows.
    records: Vec<usize>,
    /// Pictures that do not decode, by name.
    pub skipped: Vec<String>,
    /// None: computed for each batch.
    features: Option<BackboneFeatures>,
    /// How pictures are resized, cut and mirrored.
    loader: LoaderConfig,
    pub(crate) text_opt: Adam,
    pub(crate) image_opt: Adam,
    /// Epochs done.
    pub epoch: usize,
}

impl Pretrainer {
    /// Computes the features of `records`, and of their mirror images if the loader flips; nothing if `progress`, told how
    /// many are done, asks to stop.
    ///
    /// # Errors
    /// A picture that does not decode.
    pub fn new(
        cfg: &RunConfig,
        encoders: &Encoders,
        data: &Dataset,
        records: &[usize],
        mut progress: impl FnMut(usize) -> bool,
    ) -> Result<Option<Self>, TrainError> {
        let loader = cfg.loader();
        let (mut plain, mut flipped) = (Vec::new(), Vec::new());
        let (mut kept, mut skipped) = (Vec::new(), Vec::new());
        let mut fits = !cuts(&loader);
        for chunk in records.chunks(CHUNK) {
            if !fits {
                break;
            }
            let Some(images) = load_images(data, chunk, &loader, &mut kept, &mut skipped)? else { continue };
            plain.push(encoders.backbone_features(&images)?);
            fits = kept_mib(&plain[0], records.len(), cfg.loader.flip) <= cfg.damsm.cache_mib;
            if !fits {
                break;
            }
            if cfg.loader.flip {
                flipped.push(encoders.backbone_features(&mirror(&images)?)?);
            }
            let done = plain.iter().chain(&flipped).map(|f| f.pooled.dims()[0]).sum();
            if !progress(done) {
                return Ok(None);
            }
        }
        if !fits {
            // Pictures that do not decode will be left out of their batches.
            kept = records.to_vec();
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
        Ok(Some(Self {
            records: kept,
            skipped,
            features: fits.then(joined).transpose()?,
            loader,
            text_opt: Adam::new(encoders.captions.weights(), cfg.damsm.opt)?,
            image_opt: Adam::new(&encoders.image_store, cfg.damsm.opt)?,
            epoch: 0,
        }))
    }

    /// One pass over the records; the mean loss, or nothing if `progress` asked to stop.
    ///
    /// # Errors
    /// A loss that is not a number; whatever the encoders report.
    pub fn run_epoch(
        &mut self,
        cfg: &RunConfig,
        encoders: &Encoders,
        data: &Dataset,
        mut progress: impl FnMut(usize, f32) -> bool,
    ) -> Result<Option<f32>, TrainError> {
        let (d, records) = (&cfg.damsm, &self.records);
        let mut ctx = Ctx::with_stream(Mode::Train, cfg.seed, 0xDA_0000 + self.epoch as u64);
        let mut order: Vec<usize> = (0..records.len()).collect();
        order.shuffle(ctx.rng());
        let lr = d.decay.powi(self.epoch as i32).max(LOWEST_LR);
        let mut skipped: BTreeSet<String> = self.skipped.iter().cloned().collect();
        let (mut sum, mut batches) = (0., 0);
        for rows in order.chunks(d.batch).filter(|rows| rows.len() > 1) {
            let mut texts = Vec::with_capacity(rows.len());
            let mut groups = Vec::with_capacity(rows.len());
            let mut index = Vec::with_capacity(rows.len());
            for &row in rows {
                let record = &data.records()[records[row]];
                texts.push(captions::draw(record, d.max_words, d.full_rate, ctx.rng()));
                groups.push(record.class_id.map_or_else(|| fnv1a(record.key.as_bytes()) as i64, i64::from));
                index.push((row, self.cut(ctx.rng())));
            }
            let (features, there) = match self.features_of(encoders, data, &index, &mut skipped)? {
                Some(found) if found.1.len() > 1 => found,
                _ => continue, // too few of the batch decode to tell captions apart
            };
            let texts: Vec<String> = there.iter().map(|i| std::mem::take(&mut texts[*i])).collect();
            let groups: Vec<i64> = there.iter().map(|i| groups[*i]).collect();
            let words: Vec<&str> = texts.iter().map(String::as_str).collect();
            let (tokens, _) = encoders.captions.tokenizer().batch(&words, d.max_words, &Device::Cpu)?;
            let text = encoders.captions.encoder().encode_text(&tokens, &mut ctx)?;
            let image = encoders.image.project(&features)?;
            let loss = damsm::damsm(&image, &text, Some(&groups), d.gammas)?;
            let value = scalar(&loss)?;
            refuse_non_finite(&[("damsm".into(), value)])?;
            let grads = loss.backward()?;
            self.text_opt.step_clipped(&grads, d.clip, lr)?;
            self.image_opt.step_clipped(&grads, d.clip, lr)?;
            sum += value;
            batches += 1;
            if !progress(rows.len(), value) {
                return Ok(None);
            }
        }
        self.skipped = skipped.into_iter().collect();
        self.epoch += 1;
        Ok(Some(sum / batches.max(1) as f32))
    }
}

/// Whether pictures are cut at random, which leaves nothing to be kept.
pub(crate) fn cuts(loader: &LoaderConfig) -> bool {
    loader.loaded_side() > loader.finest()
}

impl Pretrainer {
    /// How a picture is seen this time: as the GAN's loader would cut it, without its small shifts.
    fn cut(&self, rng: &mut impl Rng) -> Crop {
        let l = &self.loader;
        if cuts(l) {
            return Crop::draw(rng, l.loaded_side(), l.finest(), 0, l.flip);
        }
        Crop { left: 0, top: 0, flip: l.flip && rng.random_bool(0.5) }
    }

    /// Features of rows, each cut in its way, and the places in `rows` whose pictures decode, if any does; adds the names of
    /// the others to `skipped`.
    fn features_of(
        &self,
        encoders: &Encoders,
        data: &Dataset,
        rows: &[(usize, Crop)],
        skipped: &mut BTreeSet<String>,
    ) -> Result<Option<(BackboneFeatures, Vec<usize>)>, TrainError> {
        if let Some(kept) = &self.features {
            let at =
                |(row, cut): &(usize, Crop)| (row + if cut.flip { self.records.len() } else { 0 }) as u32;
            let index = Tensor::new(rows.iter().map(at).collect::<Vec<_>>(), &Device::Cpu)?;
            let pick = |t: &Tensor| t.index_select(&index, 0);
            let features = BackboneFeatures { map: pick(&kept.map)?, pooled: pick(&kept.pooled)? };
            return Ok(Some((features, (0..rows.len()).collect())));
        }
        let wanted: Vec<usize> = rows.iter().map(|(row, _)| self.records[*row]).collect();
        let loaded = data.load_part(&wanted, self.loader.loaded_side())?;
        let (mut pictures, mut there) = (Vec::new(), Vec::new());
        let mut decoded = loaded.indices.iter().zip(&loaded.images).peekable();
        for (place, (record, (_, cut))) in wanted.iter().zip(rows).enumerate() {
            if let Some((_, picture)) = decoded.next_if(|(index, _)| *index == record) {
                pictures.push(cut.tensor(picture, self.loader.finest())?);
                there.push(place);
            }
        }
        if !loaded.skipped.is_empty() {
            skipped.extend(loaded.skipped);
            data.tolerate(&skipped.iter().cloned().collect::<Vec<_>>(), self.records.len())?;
        }
        if pictures.is_empty() {
            return Ok(None);
        }
        Ok(Some((encoders.backbone_features(&Tensor::stack(&pictures, 0)?)?, there)))
    }
}

/// Pictures `(B, 3, H, W)` from right to left.
fn mirror(images: &Tensor) -> Result<Tensor, TrainError> {
    let order = Tensor::from_iter((0..images.dim(3)? as u32).rev(), &Device::Cpu)?;
    Ok(images.index_select(&order, 3)?)
}

/// What all features would take while they are joined, in MiB, from those of one chunk.
fn kept_mib(chunk: &BackboneFeatures, records: usize, flip: bool) -> usize {
    let rows = chunk.pooled.dims()[0].max(1);
    let each = (chunk.map.elem_count() + chunk.pooled.elem_count()) / rows * size_of::<f32>();
    (each * records * if flip { 2 } else { 1 } * 2) >> 20
}

/// The held-out pictures as the frozen backbone sees them, for a measure after each epoch.
pub struct HeldOut {
    /// `(N, Cp)`: ranking needs no regions, so this is small whatever the backbone.
    pooled: Tensor,
    /// Each picture's full description.
    texts: Vec<String>,
}

impl HeldOut {
    /// Computes the features once; nothing if fewer than two pictures are held out and decode.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn new(cfg: &RunConfig, encoders: &Encoders, data: &Dataset) -> Result<Option<Self>, TrainError> {
        let loader = cfg.loader();
        let (mut parts, mut kept) = (Vec::new(), Vec::new());
        for chunk in data.split(Split::HeldOut).chunks(CHUNK) {
            if let Some(images) = load_images(data, chunk, &loader, &mut kept, &mut Vec::new())? {
                parts.push(encoders.backbone_features(&images)?.pooled);
            }
        }
        if kept.len() < 2 {
            return Ok(None);
        }
        let describe = |&r: &usize| captions::full(&data.records()[r], cfg.damsm.max_words);
        let texts = kept.iter().map(describe).collect();
        Ok(Some(Self { pooled: Tensor::cat(&parts, 0)?, texts }))
    }

    /// R-precision over `candidates` captions, in both directions.
    ///
    /// # Errors
    /// All descriptions are the same.
    pub fn r_precision(
        &self,
        cfg: &RunConfig,
        encoders: &Encoders,
        candidates: usize,
    ) -> Result<RPrecision, TrainError> {
        let codes = encoders.image.code(&self.pooled)?.detach();
        let sentences = encoders.captions.embed(&self.texts)?.sentence;
        Ok(drgan_metrics::r_precision(&codes, &sentences, &self.texts, candidates, cfg.seed)?)
    }
}

/// Pictures of `records` without augmentation, the middle of what the loader would cut at random, `(N, 3, side, side)`, if
/// any decodes; appends which those are to `kept`, and the names of the others to `skipped`.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn load_images(
    data: &Dataset,
    records: &[usize],
    loader: &LoaderConfig,
    kept: &mut Vec<usize>,
    skipped: &mut Vec<String>,
) -> Result<Option<Tensor>, TrainError> {
    let loaded = data.load_part(records, loader.loaded_side())?;
    kept.extend(&loaded.indices);
    skipped.extend_from_slice(&loaded.skipped);
    if loaded.images.is_empty() {
        return Ok(None);
    }
    let cut = Crop::central(loader.loaded_side(), loader.finest());
    let pictures: Vec<_> =
        loaded.images.iter().map(|p| cut.tensor(p, loader.finest())).collect::<candle_core::Result<_>>()?;
    Ok(Some(Tensor::stack(&pictures, 0)?))
}
