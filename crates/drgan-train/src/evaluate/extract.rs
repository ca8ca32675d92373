//! What the metrics read: features of real images, and of the images that a model draws for their captions.
use crate::config::{EvaluateConfig, RunConfig};
use crate::damsm::{Encoders, descriptions, load_images};
use crate::error::TrainError;
use candle_core::Tensor;
use drgan_data::{Dataset, Split};
use drgan_infer::Sampler;
use drgan_metrics::attributes::{AttributeAccuracy, AttributeScores, Prompt, Reference};
use drgan_metrics::diversity;

/// Captions and noise seeds behind the noise diversity.
const PROBES: (usize, usize) = (32, 4);
/// Images that pass the backbone at once.
const CHUNK: usize = 64;

/// One source of images with captions, as the metrics read it.
#[derive(Debug)]
pub(super) struct Extracted {
    /// Pooled backbone features, `(N, C)`.
    pub(super) features: Tensor,
    /// Image codes of the DAMSM, `(N, D)`.
    pub(super) codes: Tensor,
    /// Sentence embeddings of the captions, `(N, D)`.
    pub(super) sentences: Tensor,
    /// The caption of each of the N images.
    pub(super) texts: Vec<String>,
    /// How well colors and shapes follow their prompts, where the data set has the 27 real images of the prompts.
    pub(super) attributes: Option<AttributeScores>,
    /// Features of the same captions under several noise seeds; real images have none.
    pub(super) repeated: Option<Repeated>,
}

/// Features of `captions` captions, `seeds` images each, side by side: `(captions * seeds, C)`.
#[derive(Debug)]
pub(super) struct Repeated {
    pub(super) features: Tensor,
    pub(super) captions: usize,
    pub(super) seeds: usize,
}

/// The real training images, and what is drawn to be compared with them.
#[derive(Debug)]
pub(super) struct Reality {
    /// Captions to draw, one image each.
    pub(super) captions: Vec<String>,
    /// Pooled backbone features of the real training images, `(N, C)`.
    pub(super) features: Tensor,
    /// Mean distance between them.
    pub(super) pair_distance: f64,
    attributes: Option<AttributeAccuracy>,
}

impl Reality {
    /// Extracts the features of the training images; with them the held-out images as a source of their own, if two or more
    /// are held out.
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
        let (mut parts, mut train) = (Vec::new(), Vec::new());
        for chunk in data.split(Split::Train).chunks(CHUNK) {
            if let Some(images) = load_images(data, chunk, &loader, &mut train, &mut Vec::new())? {
                parts.push(encoders.backbone_features(&images)?.pooled);
            }
        }
        // Spread over the whole set, whose order is by key and so by kind.
        let captions =
            (0..samples).map(|i| describe(&train[i * train.len() / samples])).collect::<Result<_, _>>()?;
        let features = Tensor::cat(&parts, 0)?;
        let pair_distance = diversity(&features, &distinct(train.len()))?;
        let references = references(data, loader.finest(), encoders)?;
        let attributes = references.as_deref().map(AttributeAccuracy::from_references).transpose()?;
        let reality = Self { captions, features, pair_distance, attributes };

        // No more than samples are drawn, spread alike: all of a large set would not fit into memory.
        let all = data.split(Split::HeldOut);
        let measured: Vec<usize> = match samples {
            n if n < all.len() => (0..n).map(|i| all[i * all.len() / n]).collect(),
            _ => all,
        };
        let mut held_out = Vec::new();
        let images = load_images(data, &measured, &loader, &mut held_out, &mut Vec::new())?;
        let Some(images) = images.filter(|_| held_out.len() > 1) else { return Ok((reality, None)) };
        let mut extracted =
            encode(encoders, &images, held_out.iter().map(describe).collect::<Result<_, _>>()?)?;
        if let (Some(attributes), Some(references)) = (&reality.attributes, references) {
            let samples: Vec<_> = references.into_iter().map(|r| (r.prompt, r.image)).collect();
            extracted.attributes = Some(attributes.score(&samples)?);
        }
        Ok((reality, Some(extracted)))
    }

    /// Features of one image per caption, each under its own noise.
    pub(super) fn samples(&self, sampler: &Sampler, seed: u64) -> Result<Tensor, TrainError> {
        let noise: Vec<u64> = (0..self.captions.len() as u64).collect();
        Ok(sampler.images(&self.captions, &noise, seed)?)
    }

    /// Draws and extracts everything that the metrics read of a model.
    pub(super) fn extract(
        &self,
        encoders: &Encoders,
        sampler: &Sampler,
        cfg: &EvaluateConfig,
        seed: u64,
    ) -> Result<Extracted, TrainError> {
        let mut all = encode(encoders, &self.samples(sampler, seed)?, self.captions.clone())?;
        let (captions, seeds) = (PROBES.0.min(self.captions.len()), PROBES.1);
        let images = repeat(sampler, &self.captions[..captions], seeds, seed)?;
        all.repeated = Some(Repeated { features: pooled(encoders, &images)?, captions, seeds });
        if let Some(attributes) = &self.attributes {
            let prompts: Vec<Prompt> = Prompt::all().collect();
            let texts: Vec<String> = prompts.iter().map(Prompt::to_string).collect();
            let images = repeat(sampler, &texts, cfg.seeds, seed)?;
            let samples = (0..prompts.len() * cfg.seeds)
                .map(|i| Ok((prompts[i / cfg.seeds], images.get(i)?)))
                .collect::<Result<Vec<_>, TrainError>>()?;
            all.attributes = Some(attributes.score(&samples)?);
        }
        Ok(all)
    }
}

/// Pooled backbone features of images, in chunks.
pub(super) fn pooled(encoders: &Encoders, images: &Tensor) -> Result<Tensor, TrainError> {
    Ok(Tensor::cat(&pooled_chunks(encoders, images)?, 0)?)
}

fn pooled_chunks(encoders: &Encoders, images: &Tensor) -> Result<Vec<Tensor>, TrainError> {
    let n = images.dim(0)?;
    let chunks = (0..n).step_by(CHUNK).map(|start| images.narrow(0, start, CHUNK.min(n - start)));
    chunks.map(|chunk| Ok(encoders.backbone_features(&chunk?)?.pooled)).collect()
}

fn encode(encoders: &Encoders, images: &Tensor, texts: Vec<String>) -> Result<Extracted, TrainError> {
    let chunks = pooled_chunks(encoders, images)?;
    let codes: Vec<Tensor> =
        chunks.iter().map(|c| Ok(encoders.image.code(c)?.detach())).collect::<Result<_, TrainError>>()?;
    Ok(Extracted {
        features: Tensor::cat(&chunks, 0)?,
        codes: Tensor::cat(&codes, 0)?,
        sentences: encoders.captions.embed(&texts)?.sentence,
        texts,
        attributes: None,
        repeated: None,
    })
}

/// Every text under the noise numbers `0..seeds`, its images side by side.
fn repeat(sampler: &Sampler, texts: &[String], seeds: usize, seed: u64) -> Result<Tensor, TrainError> {
    let all: Vec<&String> = texts.iter().flat_map(|text| vec![text; seeds]).collect();
    let noise: Vec<u64> = (0..all.len()).map(|i| (i % seeds) as u64).collect();
    Ok(sampler.images(&all, &noise, seed)?)
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
