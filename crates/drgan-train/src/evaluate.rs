//! What the default run prints at its end: how well pictures obey captions, beside the untrained generator's and
//! the real pictures' figures.
use crate::captions;
use crate::config::RunConfig;
use crate::encoders::Encoders;
use crate::error::TrainError;
use crate::networks::OwnedGenerator;
use crate::pretrain::load_images;
use crate::sampler::Sampler;
use crate::train::CANDIDATES;
use candle_core::{Device, Tensor};
use drgan_data::{Dataset, Split};
use drgan_metrics::attributes::{AttributeAccuracy, AttributeScores, Prompt, Reference};
use drgan_metrics::{diversity, kid, r_precision};
use drgan_tensor::ops::Precision;
use serde::{Deserialize, Serialize};

/// The figures of one source of pictures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Share of coloured shapes whose mean hue is within 30 degrees of the real picture's.
    pub hue: Option<f64>,
    /// Share whose foreground is nearest to its own colour's real picture in CIELAB.
    pub lab: Option<f64>,
    /// Share whose silhouette is nearest to its own shape's.
    pub shape: Option<f64>,
    /// Mean feature distance of pictures of different captions, over the real training pictures' own.
    pub pair_distance: f64,
    /// Mean feature distance of one caption's pictures under different noise, over that of different captions'.
    pub noise_diversity: Option<f64>,
    /// Kernel distance of backbone features to the real training pictures'.
    pub kid: f64,
    /// Share of pictures whose own caption is the DAMSM's first choice.
    pub r_precision: f64,
    /// Of this many captions.
    pub candidates: usize,
}

impl Figures {
    fn set_attributes(&mut self, scores: &AttributeScores) {
        (self.hue, self.lab, self.shape) = (Some(scores.hue), Some(scores.lab), Some(scores.shape));
    }
}

/// A whole evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Preset of the run.
    pub preset: String,
    /// Seed of the run and of the noise.
    pub seed: u64,
    /// Generator steps.
    pub step: u64,
    /// Generated pictures behind KID, pair distance and R-precision.
    pub samples: usize,
    /// Noise seeds a caption behind the attribute accuracies.
    pub noise_seeds: usize,
    /// The averaged generator.
    pub trained: Figures,
    /// The same generator before its first step.
    pub untrained: Figures,
    /// Held-out real pictures in the samples' place; in the attribute accuracies, the 27 real pictures themselves.
    pub real: Option<Figures>,
    /// KID of the averaged generator at one eighth of the run.
    pub early_kid: Option<f64>,
}

/// The real pictures' side of the measures, computed once.
pub struct Evaluator<'a> {
    cfg: &'a RunConfig,
    encoders: &'a Encoders,
    /// Captions to draw, one picture each.
    captions: Vec<String>,
    real_features: Tensor,
    /// Mean distance of the real training pictures' features.
    real_pairs: f64,
    attributes: Option<AttributeAccuracy>,
    real: Option<Figures>,
}

/// Captions and noise seeds behind the noise diversity.
const PROBES: (usize, usize) = (32, 4);
/// Pictures seen at once.
const CHUNK: usize = 64;

impl<'a> Evaluator<'a> {
    /// Measures the real pictures.
    ///
    /// # Errors
    /// A picture that does not decode, fewer than two records.
    pub fn new(cfg: &'a RunConfig, encoders: &'a Encoders, data: &Dataset) -> Result<Self, TrainError> {
        let loader = cfg.loader();
        let describe = |r: &usize| captions::full(&data.records()[*r], cfg.damsm.max_words);
        let (mut parts, mut train) = (Vec::new(), Vec::new());
        for chunk in data.split(Split::Train).chunks(CHUNK) {
            if let Some(images) = load_images(data, chunk, &loader, &mut train, &mut Vec::new())? {
                parts.push(encoders.backbone_features(&images)?.pooled);
            }
        }
        if cfg.evaluate.samples < 2 {
            return Err(TrainError::Config(
                "evaluate.samples: at least 2 are needed to measure anything".into(),
            ));
        }
        // Spread over the whole set, whose order is by key and so by kind.
        let spread = |i: usize| &train[i * train.len() / cfg.evaluate.samples];
        let captions = (0..cfg.evaluate.samples).map(|i| describe(spread(i))).collect();
        let real_features = Tensor::cat(&parts, 0)?;
        let real_pairs = diversity(&real_features, &distinct(train.len()))?;
        let references = Prompt::all()
            .map(|prompt| -> Result<_, TrainError> {
                let Some(record) = data.find_caption(&prompt.to_string()) else { return Ok(None) };
                let image = data.load_image(record, loader.finest())?.to_tensor(&Device::Cpu)?;
                Ok(Some(Reference { prompt, image }))
            })
            .collect::<Result<Option<Vec<_>>, _>>()?;
        let attributes = references.as_deref().map(AttributeAccuracy::from_references).transpose()?;
        let mut all = Self { cfg, encoders, captions, real_features, real_pairs, attributes, real: None };
        let mut held_out = Vec::new();
        // No more than samples are drawn, spread alike: all of a large set would not fit into memory.
        let there = data.split(Split::HeldOut);
        let measured: Vec<usize> = match cfg.evaluate.samples {
            n if n < there.len() => (0..n).map(|i| there[i * there.len() / n]).collect(),
            _ => there,
        };
        let images = load_images(data, &measured, &loader, &mut held_out, &mut Vec::new())?;
        if let Some(images) = images.filter(|_| held_out.len() > 1) {
            let texts: Vec<String> = held_out.iter().map(describe).collect();
            let mut real = all.judge(&images, &texts)?;
            if let (Some(attributes), Some(references)) = (&all.attributes, references) {
                let samples: Vec<_> = references.into_iter().map(|r| (r.prompt, r.image)).collect();
                real.set_attributes(&attributes.score(&samples)?);
            }
            all.real = Some(real);
        }
        Ok(all)
    }

    /// KID alone: what is measured at one eighth of a run.
    ///
    /// # Errors
    /// As [`Evaluator::new`].
    pub fn kid(&self, generator: &OwnedGenerator) -> Result<f64, TrainError> {
        Ok(kid(&self.features(&self.samples(generator)?)?, &self.real_features)?)
    }

    /// Everything, of the trained generator and of its untrained self.
    ///
    /// # Errors
    /// As [`Evaluator::new`].
    pub fn evaluate(
        &self,
        trained: &OwnedGenerator,
        step: u64,
        early_kid: Option<f64>,
    ) -> Result<Evaluation, TrainError> {
        Ok(Evaluation {
            preset: self.cfg.preset.clone(),
            seed: self.cfg.seed,
            step,
            samples: self.captions.len(),
            noise_seeds: self.cfg.evaluate.seeds,
            trained: self.measure(trained)?,
            untrained: self.measure(&OwnedGenerator::untrained(self.cfg)?)?,
            real: self.real.clone(),
            early_kid,
        })
    }

    fn measure(&self, generator: &OwnedGenerator) -> Result<Figures, TrainError> {
        let mut figures = self.judge(&self.samples(generator)?, &self.captions)?;
        figures.noise_diversity = Some(self.noise_diversity(generator)?);
        if let Some(attributes) = &self.attributes {
            let asked: Vec<Prompt> = Prompt::all().collect();
            let seeds = self.cfg.evaluate.seeds;
            let texts: Vec<String> = asked.iter().flat_map(|p| vec![p.to_string(); seeds]).collect();
            let noise: Vec<u64> = (0..texts.len()).map(|i| (i % seeds) as u64).collect();
            let pictures = self.sampler(generator)?.pictures(&texts, &noise, self.cfg.seed)?;
            let samples = (0..texts.len())
                .map(|i| Ok((asked[i / seeds], pictures.get(i)?)))
                .collect::<Result<Vec<_>, TrainError>>()?;
            figures.set_attributes(&attributes.score(&samples)?);
        }
        Ok(figures)
    }

    /// The figures that any pictures with captions have.
    fn judge(&self, pictures: &Tensor, texts: &[String]) -> Result<Figures, TrainError> {
        let features = self.features(pictures)?;
        let mut codes = Vec::new();
        for start in (0..texts.len()).step_by(CHUNK) {
            let chunk = pictures.narrow(0, start, CHUNK.min(texts.len() - start))?;
            codes.push(self.encoders.see(&chunk)?.code.detach());
        }
        let sentences = self.encoders.embed(texts)?.sentence;
        let r = r_precision(&Tensor::cat(&codes, 0)?, &sentences, texts, CANDIDATES, self.cfg.seed)?;
        Ok(Figures {
            pair_distance: diversity(&features, &distinct(texts.len()))? / self.real_pairs,
            kid: kid(&features, &self.real_features)?,
            r_precision: r.image_to_text,
            candidates: r.candidates,
            ..Figures::default()
        })
    }

    fn noise_diversity(&self, generator: &OwnedGenerator) -> Result<f64, TrainError> {
        let (captions, seeds) = (PROBES.0.min(self.captions.len()), PROBES.1);
        let texts: Vec<&String> = self.captions[..captions].iter().flat_map(|c| vec![c; seeds]).collect();
        let noise: Vec<u64> = (0..texts.len()).map(|i| (i % seeds) as u64).collect();
        let pictures = self.sampler(generator)?.pictures(&texts, &noise, self.cfg.seed)?;
        let features = self.features(&pictures)?;
        let of_caption: Vec<usize> = (0..texts.len()).map(|i| i / seeds).collect();
        let between = diversity(&features, &of_caption)?;
        let mut within = 0.;
        for c in 0..captions {
            within += diversity(&features.narrow(0, c * seeds, seeds)?, &distinct(seeds))?;
        }
        Ok(within / captions as f64 / between.max(f64::MIN_POSITIVE))
    }

    fn sampler(&self, generator: &OwnedGenerator) -> Result<Sampler<'_>, TrainError> {
        Sampler::new(self.cfg, self.encoders, generator, Precision::F32)
    }

    /// One picture a caption, each under its own noise.
    fn samples(&self, generator: &OwnedGenerator) -> Result<Tensor, TrainError> {
        let noise: Vec<u64> = (0..self.captions.len() as u64).collect();
        self.sampler(generator)?.pictures(&self.captions, &noise, self.cfg.seed)
    }

    fn features(&self, pictures: &Tensor) -> Result<Tensor, TrainError> {
        let n = pictures.dim(0)?;
        let mut parts = Vec::new();
        for start in (0..n).step_by(CHUNK) {
            let chunk = pictures.narrow(0, start, CHUNK.min(n - start))?;
            parts.push(self.encoders.backbone_features(&chunk)?.pooled);
        }
        Ok(Tensor::cat(&parts, 0)?)
    }
}

/// Every row its own group.
fn distinct(n: usize) -> Vec<usize> {
    (0..n).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;
    use std::path::Path;

    /// The 27 real pictures of the attribute scores and every fortieth other one of the embedded set, as a folder.
    fn small_set(folder: &Path) -> Result<Dataset, TrainError> {
        let all = Dataset::embedded()?;
        let mut chosen: Vec<usize> = Prompt::all().filter_map(|p| all.find_caption(&p.to_string())).collect();
        assert_eq!(chosen.len(), 27);
        chosen.extend((0..all.records().len()).step_by(40));
        for index in chosen {
            let (record, picture) = (&all.records()[index], all.load_image(index, 64)?);
            let image = image::RgbImage::from_raw(64, 64, picture.rgb).expect("64 by 64 pixels");
            let file = folder.join(&record.key);
            image.save(file.with_extension("png")).expect("a picture can be written");
            std::fs::write(file.with_extension("txt"), record.captions.join("\n")).expect("captions too");
        }
        Ok(Dataset::open(folder)?)
    }

    fn numbers(f: &Figures) -> Vec<f64> {
        let shares = [f.hue, f.lab, f.shape, f.noise_diversity].into_iter().flatten();
        shares.chain([f.pair_distance, f.kid, f.r_precision]).collect()
    }

    #[test]
    fn an_evaluation_is_finite_repeatable_and_right_about_real_pictures() -> Result<(), TrainError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = small_set(folder.path())?;
        let set = ["evaluate.samples=12", "evaluate.seeds=1"].map(str::to_owned);
        let cfg = RunConfig::resolve("tiny", &Overrides { file: None, set: &set })?;
        let encoders = Encoders::new(&cfg, Encoders::tokenizer_of(&data)?)?;
        let generator = OwnedGenerator::untrained(&RunConfig { seed: 1, ..cfg.clone() })?;
        let measure = || Evaluator::new(&cfg, &encoders, &data)?.evaluate(&generator, 7, Some(2.5));
        let first = measure()?;
        let real = first.real.as_ref().expect("pictures are held out");
        assert_eq!((real.hue, real.lab, real.shape), (Some(1.), Some(1.), Some(1.)));
        for (source, figures, measures) in
            [("trained", &first.trained, 7), ("untrained", &first.untrained, 7), ("real", real, 6)]
        {
            let numbers = numbers(figures);
            assert_eq!(numbers.len(), measures, "{source}: {figures:?}");
            assert!(numbers.iter().all(|v| v.is_finite()), "{source}: {figures:?}");
        }
        assert_ne!(first.trained, first.untrained, "generators of two seeds");
        let written = serde_json::to_string(&first).expect("JSON");
        assert_eq!(serde_json::from_str::<Evaluation>(&written).expect("JSON"), first);
        assert_eq!(measure()?, first, "the second evaluation gave other figures");
        Ok(())
    }
}
