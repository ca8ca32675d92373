//! What the metrics read: features of real images, and of the images that a model draws for their captions.
use crate::config::{EvaluateConfig, RunConfig};
use crate::damsm::{Encoders, descriptions, load_images};
use crate::error::TrainError;
use candle_core::Tensor;
use drgan_data::{BatchSpec, Dataset, Record, Split};
use drgan_infer::Sampler;
use drgan_metrics::attributes::{AttributeAccuracy, AttributeScores, Prompt, Reference};
use drgan_metrics::{diversity, diversity_within};
use std::collections::HashMap;

/// Captions behind the diversity within a caption.
const PROBES: usize = 32;
/// Images that are drawn, and that pass the backbone, at once.
const CHUNK: usize = 64;

/// Images for the captions of one part of the data set, as the metrics read them.
#[derive(Debug)]
pub(super) struct Samples {
    /// Pooled backbone features `(N, C)`, which are compared with those of the part's real images. Where real images stand in the
    /// samples' place, those of the other part: images are not compared with themselves.
    pub(super) features: Tensor,
    /// Image codes of the DAMSM, `(M, D)`.
    pub(super) codes: Tensor,
    /// Sentence embeddings of the captions of these codes, `(M, D)`.
    pub(super) sentences: Tensor,
    /// Those captions.
    pub(super) texts: Vec<String>,
}

/// One source of images with captions, as the metrics read it.
#[derive(Debug)]
pub(super) struct Extracted {
    /// For captions that the networks were trained on.
    pub(super) train: Samples,
    /// For captions of held-out images, where two or more are held out.
    pub(super) held_out: Option<Samples>,
    /// How well colors and shapes follow their prompts, where the data set has the 27 real images of the prompts.
    pub(super) attributes: Option<AttributeScores>,
    /// Mean distance between the features of one caption's images under several noise seeds; real images have no noise.
    pub(super) within_caption: Option<f64>,
}

/// The real images of one part of the data set.
#[derive(Debug)]
pub(super) struct Part {
    /// Captions to draw, one sample each; those of small parts more than once, under other noise.
    pub(super) captions: Vec<String>,
    /// Pooled backbone features of its images, `(N, C)`.
    pub(super) features: Tensor,
}

/// Real images, and what is drawn to be compared with them.
#[derive(Debug)]
pub(super) struct Reality {
    pub(super) train: Part,
    pub(super) held_out: Option<Part>,
    /// Mean distance between training images.
    pub(super) pair_distance: f64,
    /// Mean distance between training images of one group: that of their descriptions, else a class; [`Reality::pair_distance`]
    /// where there is neither.
    pub(super) group_distance: f64,
    attributes: Option<AttributeAccuracy>,
}

impl Reality {
    /// Extracts the features of all training images and of at most `evaluate.samples` held-out ones; with them the real images as
    /// a source of their own, if two or more are held out.
    pub(super) fn new(
        cfg: &RunConfig,
        encoders: &Encoders,
        data: &Dataset,
    ) -> Result<(Self, Option<Extracted>), TrainError> {
        let samples = cfg.evaluate.samples;
        if samples < 2 {
            let reason = "evaluate.samples: at least 2 are needed to measure anything";
            return Err(TrainError::Config(reason.to_owned()));
        }
        let loader = cfg.loader();
        let tokenizer = encoders.captions.tokenizer();
        let describe = |r: &usize| descriptions::full(&data.records()[*r], cfg, tokenizer);
        let describe_all = |records: &[usize]| records.iter().map(describe).collect::<Result<Vec<_>, _>>();

        let (train, features) = real_features(encoders, data, &data.split(Split::Train), &loader)?
            .ok_or_else(|| TrainError::Config("evaluate: no training image decodes".to_owned()))?;
        // Spread over the whole set, whose order is by key and so by kind; no more than samples, since pairs grow with their square.
        let chosen = spread(train.len(), samples.min(train.len()));
        let records: Vec<usize> = chosen.iter().map(|i| train[*i]).collect();
        let of_chosen = select(&features, &chosen)?;
        let pair_distance = diversity(&of_chosen, &distinct(records.len()))?;
        let groups = groups(data.records(), &records);
        let group_distance = diversity_within(&of_chosen, &groups)?.unwrap_or(pair_distance);
        let drawn: Vec<usize> = spread(train.len(), samples).into_iter().map(|i| train[i]).collect();
        let part = Part { captions: describe_all(&drawn)?, features };

        let references = references(data, loader.finest(), encoders)?;
        let attributes = references.as_deref().map(AttributeAccuracy::from_references).transpose()?;

        let mut held_out = Vec::new();
        for record in data.split(Split::HeldOut) {
            // One of whose words none was trained on cannot be drawn.
            if !tokenizer.known_words(&describe(&record)?)?.is_empty() {
                held_out.push(record);
            }
        }
        let measured: Vec<usize> =
            spread(held_out.len(), samples.min(held_out.len())).into_iter().map(|i| held_out[i]).collect();
        let held_out =
            real_features(encoders, data, &measured, &loader)?.filter(|(found, _)| found.len() > 1);
        let Some((held_out, held_features)) = held_out else {
            let reality = Self { train: part, held_out: None, pair_distance, group_distance, attributes };
            return Ok((reality, None));
        };
        let texts = describe_all(&held_out)?;
        let captions = spread(texts.len(), samples).into_iter().map(|i| texts[i].clone()).collect();
        let mut real = Extracted {
            train: Samples::of(encoders, held_features.clone(), &of_chosen, describe_all(&records)?)?,
            held_out: Some(Samples::of(encoders, of_chosen, &held_features, texts)?),
            attributes: None,
            within_caption: None,
        };
        if let (Some(attributes), Some(references)) = (&attributes, references) {
            let samples: Vec<_> = references.into_iter().map(|r| (r.prompt, r.image)).collect();
            real.attributes = Some(attributes.score(&samples)?);
        }
        let held_out = Some(Part { captions, features: held_features });
        Ok((Self { train: part, held_out, pair_distance, group_distance, attributes }, Some(real)))
    }

    /// Features of one image per training caption, each under its own noise.
    pub(super) fn training_features(
        &self,
        encoders: &Encoders,
        sampler: &Sampler,
        seed: u64,
    ) -> Result<Tensor, TrainError> {
        draw(encoders, sampler, &self.train.captions, &distinct(self.train.captions.len()), seed)
    }

    /// Draws and extracts everything that the metrics read of a model.
    pub(super) fn extract(
        &self,
        encoders: &Encoders,
        sampler: &Sampler,
        cfg: &EvaluateConfig,
        seed: u64,
    ) -> Result<Extracted, TrainError> {
        let samples = |part: &Part| {
            let features = draw(encoders, sampler, &part.captions, &distinct(part.captions.len()), seed)?;
            Samples::of(encoders, features.clone(), &features, part.captions.clone())
        };
        let probed = self.held_out.as_ref().unwrap_or(&self.train);
        let probes: Vec<usize> = spread(probed.captions.len(), PROBES.min(probed.captions.len()));
        let texts: Vec<&String> =
            probes.iter().flat_map(|i| vec![&probed.captions[*i]; cfg.repeats]).collect();
        let noise: Vec<usize> = (0..texts.len()).map(|i| i % cfg.repeats).collect();
        let of_caption: Vec<usize> = (0..texts.len()).map(|i| i / cfg.repeats).collect();
        let repeated = draw(encoders, sampler, &texts, &noise, seed)?;
        let attributes = match &self.attributes {
            Some(attributes) => Some(attribute_scores(attributes, sampler, cfg.seeds, seed)?),
            None => None,
        };
        Ok(Extracted {
            train: samples(&self.train)?,
            held_out: self.held_out.as_ref().map(samples).transpose()?,
            attributes,
            within_caption: diversity_within(&repeated, &of_caption)?,
        })
    }
}

impl Samples {
    /// Images of which `features` are compared with real ones, and `coded` with their captions.
    fn of(
        encoders: &Encoders,
        features: Tensor,
        coded: &Tensor,
        texts: Vec<String>,
    ) -> Result<Self, TrainError> {
        let codes = encoders.image.code(coded)?.detach();
        let embed = |texts: &[String]| Ok(encoders.captions.embed(texts)?.sentence);
        let sentences = texts.chunks(CHUNK).map(embed).collect::<Result<Vec<_>, TrainError>>()?;
        Ok(Self { features, codes, sentences: Tensor::cat(&sentences, 0)?, texts })
    }
}

/// Pooled backbone features of what `texts` show under the noise numbers `noise`, drawn in chunks.
fn draw(
    encoders: &Encoders,
    sampler: &Sampler,
    texts: &[impl AsRef<str>],
    noise: &[usize],
    seed: u64,
) -> Result<Tensor, TrainError> {
    let mut parts = Vec::new();
    for (texts, noise) in texts.chunks(CHUNK).zip(noise.chunks(CHUNK)) {
        let noise: Vec<u64> = noise.iter().map(|n| *n as u64).collect();
        parts.push(encoders.backbone_features(&sampler.images(texts, &noise, seed)?)?.pooled);
    }
    Ok(Tensor::cat(&parts, 0)?)
}

/// Attributes of every prompt under the noise numbers `0..seeds`.
fn attribute_scores(
    attributes: &AttributeAccuracy,
    sampler: &Sampler,
    seeds: usize,
    seed: u64,
) -> Result<AttributeScores, TrainError> {
    let all: Vec<(Prompt, u64)> =
        Prompt::all().flat_map(|prompt| (0..seeds as u64).map(move |noise| (prompt, noise))).collect();
    let mut found = Vec::new();
    for chunk in all.chunks(CHUNK) {
        let (texts, noise): (Vec<String>, Vec<u64>) =
            chunk.iter().map(|(prompt, noise)| (prompt.to_string(), *noise)).unzip();
        let images = sampler.images(&texts, &noise, seed)?;
        let samples = chunk.iter().enumerate().map(|(i, (prompt, _))| Ok((*prompt, images.get(i)?)));
        found.extend(attributes.score(&samples.collect::<Result<Vec<_>, TrainError>>()?)?.samples);
    }
    Ok(found.into_iter().collect())
}

/// Pooled backbone features of the images of `records`, and which of those decode; none where none does.
fn real_features(
    encoders: &Encoders,
    data: &Dataset,
    records: &[usize],
    loader: &BatchSpec,
) -> Result<Option<(Vec<usize>, Tensor)>, TrainError> {
    let (mut parts, mut found) = (Vec::new(), Vec::new());
    for chunk in records.chunks(CHUNK) {
        if let Some(images) = load_images(data, chunk, loader, &mut found, &mut Vec::new())? {
            parts.push(encoders.backbone_features(&images)?.pooled);
        }
    }
    if parts.is_empty() { Ok(None) } else { Ok(Some((found, Tensor::cat(&parts, 0)?))) }
}

/// `n` of `0..of`, evenly spread and in order; each several times where `n` is larger.
fn spread(of: usize, n: usize) -> Vec<usize> {
    (0..n).map(|i| i * of / n).collect()
}

/// The rows of `x` with these numbers.
fn select(x: &Tensor, rows: &[usize]) -> Result<Tensor, TrainError> {
    let rows = Tensor::from_iter(rows.iter().map(|r| *r as u32), x.device())?;
    Ok(x.index_select(&rows, 0)?)
}

/// A number for the group of each record, its own where it has none.
fn groups(all: &[Record], records: &[usize]) -> Vec<usize> {
    let mut known = HashMap::new();
    let mut group = |(i, record): (usize, &Record)| {
        let name = record.group.clone().or_else(|| record.class_id.map(|class| class.to_string()));
        name.map_or(i, |name| *known.entry(name).or_insert(i))
    };
    records.iter().map(|r| &all[*r]).enumerate().map(&mut group).collect()
}

/// The real images of all prompts, or nothing if the set lacks one.
fn references(
    data: &Dataset,
    side: usize,
    encoders: &Encoders,
) -> Result<Option<Vec<Reference>>, TrainError> {
    let found = Prompt::all().map(|prompt| -> Result<_, TrainError> {
        let caption = prompt.to_string();
        let record = data.find_caption(&caption).or_else(|| with_words(data, &caption, encoders));
        let Some(record) = record else { return Ok(None) };
        let image = data.load_image(record, side)?.to_tensor(encoders.captions.device())?;
        Ok(Some(Reference { prompt, image }))
    });
    found.collect()
}

/// The first record with a caption of these words, however it puts them: `A red heart!`.
fn with_words(data: &Dataset, caption: &str, encoders: &Encoders) -> Option<usize> {
    let read = |caption: &str| encoders.captions.tokenizer().encode(caption, usize::MAX).ok();
    let wanted = read(caption).filter(|found| found.unknown.is_empty())?;
    data.records()
        .iter()
        .position(|r| r.captions.iter().any(|c| read(c).is_some_and(|found| found == wanted)))
}

/// Groups of `n` rows, each of its own.
pub(super) fn distinct(n: usize) -> Vec<usize> {
    (0..n).collect()
}
