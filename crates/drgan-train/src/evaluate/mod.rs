//! What a run measures at its end: a trained model beside its untrained self and real images.
mod extract;
mod suite;

use suite::HELD_OUT;
pub use suite::{Better, METRICS, Metric, Scores};

use crate::config::RunConfig;
use crate::damsm::Encoders;
use crate::error::TrainError;
use crate::gan::{initial_generator, non_finite};
use crate::run::History;
use candle_core::Tensor;
use drgan_data::Dataset;
use drgan_infer::{Model, Sampler};
use drgan_metrics::kid;
use extract::{Extracted, Reality};
use serde::{Deserialize, Serialize};

/// A whole evaluation: what evaluation.json holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Name of the run's preset.
    pub preset: String,
    /// Seed of the run and of the noise.
    pub seed: u64,
    /// Generator steps that the run has done.
    pub step: u64,
    /// Generated images behind KID, pair distance and R-precision, of held-out captions and of training captions each.
    pub samples: usize,
    /// Noise seeds per prompt behind the attribute accuracies.
    pub noise_seeds: usize,
    /// Noise seeds per caption behind the diversity within a caption; evaluations of earlier versions have none.
    #[serde(default)]
    pub repeats: usize,
    /// Held-out images behind the numbers that are named so; evaluations of earlier versions have none.
    #[serde(default)]
    pub held_out: usize,
    /// Scores of the averaged generator.
    pub trained: Scores,
    /// Scores of the same generator before its first step.
    pub untrained: Scores,
    /// Scores of real images in the samples' place: KID of held-out images to training images, R-precision of each part's own images
    /// and captions; for the attribute accuracies, of the 27 real images themselves.
    pub real: Option<Scores>,
    /// KID of the averaged generator at one eighth of the run.
    pub early_kid: Option<f64>,
    /// Why numbers are missing, see [`Evaluation::missing`]; evaluations of earlier versions do not say it.
    #[serde(default)]
    pub not_measured: Vec<String>,
}

impl Evaluation {
    /// All numbers side by side, by name: the trained generator's as they are called, the others' behind `untrained_` and `real_`.
    pub fn scores(&self) -> Vec<(String, f64)> {
        let sources =
            [("", Some(&self.trained)), ("untrained_", Some(&self.untrained)), ("real_", self.real.as_ref())];
        let all =
            METRICS.iter().flat_map(|metric| sources.map(|(prefix, scores)| (prefix, scores, metric.name)));
        let found =
            all.filter_map(|(prefix, scores, name)| Some((format!("{prefix}{name}"), scores?.get(name)?)));
        found.chain(self.early_kid.map(|kid| ("early_kid".to_owned(), kid))).collect()
    }

    /// Why numbers are missing, a line per reason with the metrics' names: `hue, lab: REASON`. Real images have no noise, and so no
    /// `within_caption`: that is no fault of a data set.
    pub fn missing(&self) -> Vec<String> {
        let of_trained = |m: &&Metric| !m.missing.is_empty() && self.trained.get(m.name).is_none();
        let of_real = |m: &&Metric| {
            !m.missing.is_empty()
                && self.trained.get(m.name).is_some()
                && self.real.as_ref().is_some_and(|real| real.get(m.name).is_none())
        };
        let mut found: Vec<(&str, Vec<String>)> = Vec::new();
        let real = METRICS.iter().filter(of_real).map(|m| (m.missing, format!("real_{}", m.name)));
        let trained = METRICS.iter().filter(of_trained).map(|m| (m.missing, m.name.to_owned()));
        let no_real = self.real.is_none().then(|| (HELD_OUT, "real".to_owned()));
        for (why, name) in trained.chain(real).chain(no_real) {
            match found.iter_mut().find(|(known, _)| *known == why) {
                Some((_, names)) => names.push(name),
                None => found.push((why, vec![name])),
            }
        }
        found.into_iter().map(|(why, names)| format!("{}: {why}", names.join(", "))).collect()
    }
}

/// Measures models beside the real images of a data set, whose features are extracted once.
#[derive(Debug)]
pub struct Evaluator<'a> {
    cfg: &'a RunConfig,
    encoders: &'a Encoders,
    reality: Reality,
    real: Option<Scores>,
}

impl<'a> Evaluator<'a> {
    /// Extracts and measures the real images.
    ///
    /// # Errors
    /// An image that does not decode, fewer than two records or samples.
    pub fn new(cfg: &'a RunConfig, encoders: &'a Encoders, data: &Dataset) -> Result<Self, TrainError> {
        let (reality, held_out) = Reality::new(cfg, encoders, data)?;
        let real = held_out.map(|images| Scores::measure(cfg, &images, &reality)).transpose()?;
        Ok(Self { cfg, encoders, reality, real })
    }

    /// KID of training captions alone: what is measured at one eighth of a run.
    ///
    /// # Errors
    /// As [`Evaluator::evaluate`].
    pub fn kid(&self, model: &Model) -> Result<f64, TrainError> {
        let sampler = Sampler::new(model, self.cfg.precision)?;
        let features = self.reality.training_features(self.encoders, &sampler, self.cfg.seed)?;
        verify_finite(&[&features])?;
        Ok(kid(&features, &self.reality.train.features)?)
    }

    /// Every metric, of a trained model and of its untrained self.
    ///
    /// # Errors
    /// A caption without a known word; [`TrainError::NonFiniteImages`], from a network that has diverged.
    pub fn evaluate(&self, trained: &Model, step: u64, history: &History) -> Result<Evaluation, TrainError> {
        let (_, start) = initial_generator(self.cfg, trained.device())?;
        let untrained = Model::new(self.cfg.model(), self.encoders.captions.clone(), start);
        let images = self.extract(trained)?;
        verify_finite(&[&images.train.features, &images.train.codes])?;
        let mut evaluation = Evaluation {
            preset: self.cfg.preset.clone(),
            seed: self.cfg.seed,
            step,
            samples: self.reality.train.captions.len(),
            noise_seeds: self.cfg.evaluate.seeds,
            repeats: self.cfg.evaluate.repeats,
            held_out: self.reality.held_out.as_ref().map_or(Ok(0), |part| part.features.dim(0))?,
            trained: self.measure(&images)?,
            untrained: self.measure(&self.extract(&untrained)?)?,
            real: self.real.clone(),
            early_kid: history.get(History::EARLY_KID),
            not_measured: Vec::new(),
        };
        evaluation.not_measured = evaluation.missing();
        Ok(evaluation)
    }

    fn extract(&self, model: &Model) -> Result<Extracted, TrainError> {
        let sampler = Sampler::new(model, self.cfg.precision)?;
        self.reality.extract(self.encoders, &sampler, &self.cfg.evaluate, self.cfg.seed)
    }

    fn measure(&self, images: &Extracted) -> Result<Scores, TrainError> {
        Scores::measure(self.cfg, images, &self.reality)
    }
}

/// Refuses what the averaged generator's images became if a value is not finite: figures of it would mean nothing.
fn verify_finite(values: &[&Tensor]) -> Result<(), TrainError> {
    for t in values {
        if non_finite(t)?.is_some() {
            return Err(TrainError::NonFiniteImages { network: "the trained generator (g_avg)" });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;
    use candle_core::Device;
    use drgan_metrics::attributes::Prompt;
    use std::path::Path;

    /// The 27 real images of the attribute scores and every fortieth other one of the embedded set, as a folder.
    fn small_set(folder: &Path) -> Result<Dataset, TrainError> {
        let all = Dataset::embedded()?;
        let mut chosen: Vec<usize> =
            Prompt::all().filter_map(|prompt| all.find_caption(&prompt.to_string())).collect();
        assert_eq!(chosen.len(), 27);
        chosen.extend((0..all.records().len()).step_by(40));
        for index in chosen {
            let (record, image) = (&all.records()[index], all.load_image(index, 64)?);
            let image = image::RgbImage::from_raw(64, 64, image.rgb).expect("64 by 64 pixels");
            let file = folder.join(&record.key);
            image.save(file.with_extension("png")).expect("an image can be written");
            std::fs::write(file.with_extension("txt"), record.captions.join("\n")).expect("captions too");
        }
        Ok(Dataset::open(folder)?)
    }

    #[test]
    fn an_evaluation_is_finite_repeatable_and_right_about_real_images() -> Result<(), TrainError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = small_set(folder.path())?;
        let set = ["evaluate.samples=12", "evaluate.seeds=1", "evaluate.repeats=2"].map(str::to_owned);
        let cfg = RunConfig::resolve("tiny", &Overrides { file: None, set: &set })?;
        let device = Device::Cpu;
        let encoders = Encoders::new(&cfg, Encoders::tokenizer_of(&cfg, &data)?, &device)?;
        let (_, generator) = initial_generator(&RunConfig { seed: 1, ..cfg.clone() }, &Device::Cpu)?;
        // Fresh weights are small, and images of them so gray that the backbone cannot tell them apart.
        let larger = generator.views().into_iter().map(|(name, t)| Ok((name, (t * 4.)?)));
        generator.assign(&larger.collect::<Result<_, TrainError>>()?)?;
        let model = Model::new(cfg.model(), encoders.captions.clone(), generator);
        let mut history = History::default();
        history.record(History::EARLY_KID, 2.5);
        let measure = || Evaluator::new(&cfg, &encoders, &data)?.evaluate(&model, 7, &history);
        let first = measure()?;
        let real = first.real.as_ref().expect("images are held out");
        for name in ["hue", "lab", "shape"] {
            assert_eq!(real.get(name), Some(1.), "{name}");
        }
        for (source, scores) in [("trained", &first.trained), ("untrained", &first.untrained), ("real", real)]
        {
            for Metric { name, .. } in METRICS {
                let finite = scores.get(name).is_some_and(f64::is_finite);
                let there = source != "real" || name != "within_caption";
                assert_eq!(finite, there, "{source} {name}: {scores:?}");
            }
        }
        assert!(first.trained.get("pair_distance") > Some(0.), "{:?}", first.trained);
        assert_ne!(first.trained, first.untrained);
        let written = serde_json::to_string(&first).expect("JSON");
        assert!(written.contains(r#""candidates":12,"#), "{written}");
        let read: Evaluation = serde_json::from_str(&written).expect("JSON");
        for Metric { name, .. } in METRICS {
            let (wrote, read) = (first.trained.get(name), read.trained.get(name));
            // Reading a number's digits may miss its last bit.
            let same = wrote.zip(read).is_some_and(|(w, r)| (w - r).abs() <= 1e-12 * w.abs());
            assert!(same, "{name}: wrote {wrote:?}, read {read:?}");
        }
        assert_eq!((read.step, read.early_kid), (7, Some(2.5)));
        assert_eq!(measure()?, first, "the second evaluation gave other scores");

        let broken = model.generator().views().into_iter().map(|(name, t)| Ok((name, (t * f64::NAN)?)));
        model.generator().assign(&broken.collect::<Result<_, TrainError>>()?)?;
        let e = measure().expect_err("a diverged network has no scores").to_string();
        assert!(e.contains("trained generator") && e.contains("the run has diverged"), "{e}");
        let e = Evaluator::new(&cfg, &encoders, &data)?.kid(&model).expect_err("nor a KID").to_string();
        assert!(e.contains("not finite"), "{e}");
        Ok(())
    }

    #[test]
    fn an_evaluation_of_the_first_version_is_read() {
        let text = include_str!("../../tests/fixtures/evaluation-f1e38d0.json");
        let old: Evaluation = serde_json::from_str(text).unwrap();
        assert_eq!((old.preset.as_str(), old.seed, old.step, old.noise_seeds), ("tiny", 3, 2, 1));
        let real = old.real.unwrap();
        assert_eq!((real.get("candidates"), real.get("noise_diversity")), (Some(4.), None));
        assert_eq!(old.trained.get("kid"), Some(0.054_685_750_301_328_27));
        assert_eq!(old.early_kid, old.trained.get("kid"));
    }
}
