//! A run that was trained, read from its folder.
use super::resume::Phase;
use crate::config::RunConfig;
use crate::damsm::Encoders;
use crate::error::TrainError;
use crate::run::{Checkpoint, Checkpointed, Fingerprint, History, RunDir, section};
use candle_core::Device;
use drgan_data::Dataset;
use drgan_infer::{CaptionEncoder, Model, ModelConfig};
use drgan_tensor::ParamStore;
use std::path::Path;

/// The last good checkpoint of a run, as far as drawing and measuring need it.
#[derive(Debug)]
pub struct TrainedRun {
    /// The settings that the run was trained with.
    pub cfg: RunConfig,
    /// The averaged generator with the text encoder and the projection of the image encoder.
    pub model: Model,
    /// Number of generator steps that the run has done.
    pub step: u64,
    /// KID at one eighth of the run, if it was measured.
    pub history: History,
    /// What was wrong with newer checkpoints, if any.
    pub warning: Option<String>,
    run: RunDir,
    checkpoint: Checkpoint,
}

/// The newest run that can be drawn with.
#[derive(Debug)]
pub struct Newest {
    /// The run.
    pub trained: TrainedRun,
    /// Why newer ones were passed over, a line each.
    pub passed_over: Vec<String>,
}

impl TrainedRun {
    /// Reads the last good checkpoint of a run.
    ///
    /// # Errors
    /// No run, no checkpoint, one of another version, or one from before the generator's first step.
    pub fn open(run: &RunDir, device: &Device) -> Result<Self, TrainError> {
        let (checkpoint, warning) = Checkpoint::load_latest_part(&run.checkpoints(), &section::SAMPLED)?;
        let cfg = RunConfig::from_toml(&checkpoint.get::<String>("config")?)?;
        if Phase::of(&checkpoint)? == Phase::Damsm {
            return Err(TrainError::NotTrained { path: run.path().to_owned() });
        }
        let tokenizer = Encoders::kept_tokenizer(&cfg, run)?;
        let (words, dtype) = (cfg.damsm.max_words, cfg.dtype.into());
        let captions = CaptionEncoder::new(&cfg.text, tokenizer, words, ParamStore::zeroed(), dtype, device)?;
        captions.weights().assign(&checkpoint.section(section::TEXT))?;
        let generator = Model::generator_weights(&cfg.generator, dtype, device)?;
        generator.assign(&checkpoint.section(section::AVERAGE))?;
        let step = checkpoint.get("step")?;
        let model = Model::new(ModelConfig { step, ..cfg.model() }, captions, generator);
        Ok(Self {
            model: model.with_projection(cfg.image_encoder.network(), checkpoint.section(section::IMAGE))?,
            step,
            history: History::of(&checkpoint),
            warning: warning.map(|w| w.to_string()),
            run: run.clone(),
            cfg,
            checkpoint,
        })
    }

    /// Reads the newest run under `root` that can be drawn with; newer ones without a usable checkpoint of their generator are
    /// passed over.
    ///
    /// # Errors
    /// [`TrainError::NoRuns`].
    pub fn newest(root: &Path, device: &Device) -> Result<Newest, TrainError> {
        let mut passed_over = Vec::new();
        for run in RunDir::newest_first(root) {
            match Self::open(&run, device) {
                Ok(trained) => return Ok(Newest { trained, passed_over }),
                Err(e) => passed_over.push(e.to_string()),
            }
        }
        Err(TrainError::NoRuns { root: root.to_owned(), passed_over })
    }

    /// The run's folder.
    pub fn run(&self) -> &RunDir {
        &self.run
    }

    /// The checkpoint that was read.
    pub fn checkpoint(&self) -> &Path {
        self.checkpoint.origin()
    }

    /// Takes the run's data from another path, where they were moved to.
    ///
    /// # Errors
    /// [`TrainError::Changed`]: the run is of before there were fingerprints, and knows its data by their path alone.
    pub fn move_data(&mut self, path: &str) -> Result<(), TrainError> {
        if path != self.cfg.data.path && !self.run.fingerprint().is_file() {
            let what = "the path (the run knows its data by nothing else)".to_owned();
            return Err(TrainError::Changed { path: path.into(), what, run: self.run.path().to_owned() });
        }
        path.clone_into(&mut self.cfg.data.path);
        Ok(())
    }

    /// Checks that data are those that the run was begun with: what it is measured beside must be what it has never seen.
    ///
    /// # Errors
    /// [`TrainError::Changed`] with what differs first.
    pub fn check_data(&self, data: &Dataset) -> Result<(), TrainError> {
        Fingerprint::check_data(&self.run, data)
    }

    /// Both encoders of the DAMSM with their trained weights, to measure with.
    ///
    /// # Errors
    /// The image backbone cannot be read.
    pub fn encoders(&self) -> Result<Encoders, TrainError> {
        let mut encoders = Encoders::kept(&self.cfg, &self.run, self.model.device())?;
        encoders.restore(&self.checkpoint)?;
        Ok(encoders)
    }
}
