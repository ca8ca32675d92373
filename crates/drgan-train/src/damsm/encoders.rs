//! The DAMSM's two encoders as one unit: what turns captions and images into features everywhere else.
use crate::config::RunConfig;
use crate::error::TrainError;
use crate::gan::refuse_non_finite_tensors;
use crate::run::{Checkpoint, Checkpointed, Fingerprint, RunDir, section};
use crate::start::{start_from, starting_model};
use candle_core::{DType, Device, Tensor};
use drgan_data::Dataset;
use drgan_infer::{CaptionEncoder, Model, pretrained};
use drgan_tensor::ParamStore;
use drgan_tensor::VarBuilder;
use drgan_tensor::device::HOST;
use drgan_tensor::file;
use drgan_tensor::internal::shown;
use drgan_tensor::weights::{self, Tensors};
use drgan_text::{
    BackboneFeatures, BackboneKind, DamsmImageEncoder, Tokenize, Vocabulary, backbone_weights_from_bytes,
    load_backbone_weights,
};
use std::path::Path;

/// ImageNet weights of EfficientNet-Lite0 in f16 (Apache-2.0; THIRD-PARTY-NOTICES.md).
const EFFICIENTNET: &[u8] = include_bytes!("../../assets/efficientnet_lite0_imagenet_f16.safetensors");

/// The two encoders of the DAMSM, for captions and for images.
#[derive(Debug)]
pub struct Encoders {
    /// The text side: captions to features of words and sentences.
    pub captions: CaptionEncoder,
    /// The image side: images to features of regions and a code; the backbone is frozen.
    pub image: DamsmImageEncoder,
    /// Weights of the image projection.
    pub image_store: ParamStore,
    dtype: DType,
}

impl Encoders {
    /// Fresh encoders for a vocabulary.
    ///
    /// # Errors
    /// Backbone weights missing or of another network.
    pub fn new(cfg: &RunConfig, tokenizer: Box<dyn Tokenize>, device: &Device) -> Result<Self, TrainError> {
        let (text_store, image_store) = (ParamStore::seeded(cfg.seed), ParamStore::seeded(cfg.seed));
        let dtype: DType = cfg.dtype.into();
        let words = cfg.damsm.max_words;
        let captions = CaptionEncoder::new(&cfg.text, tokenizer, words, text_store, dtype, device)?;
        let backbone = backbone_weights(cfg, device)?;
        let projection = image_store.builder(dtype, device);
        let network = cfg.image_encoder.network();
        let image = DamsmImageEncoder::from_config(&network, cfg.text.words_dim, backbone, projection)?;
        Ok(Self { captions, image, image_store, dtype })
    }

    /// The encoders that a run starts with, and whether they are trained: those that the configuration names, the text encoder of the
    /// model that the run starts from with what the data's captions add to its vocabulary, or fresh ones for the data's vocabulary.
    ///
    /// # Errors
    /// Files that cannot be read or do not belong together.
    pub fn starting(cfg: &RunConfig, data: &Dataset, device: &Device) -> Result<(Self, bool), TrainError> {
        let given = &cfg.encoders;
        if let Some(model) = starting_model(cfg, device)? {
            let known = model.captions().tokenizer();
            let tokenizer = known.extended(&mut data.vocabulary_captions())?;
            let encoders = Self::new(cfg, reading(tokenizer, data)?, device)?;
            start_from(encoders.captions.weights(), model.captions().weights().views())?;
            encoders.start_projection_from(cfg, &model)?;
            return Ok((encoders, false));
        }
        if given.is_empty() {
            return Ok((Self::new(cfg, Self::tokenizer_of(cfg, data)?, device)?, false));
        }
        if !given.run.is_empty() {
            return Ok((Self::of_run(cfg, Path::new(&given.run), device)?, true));
        }
        Ok((Self::of_files(cfg, device)?, true))
    }

    /// The encoders that a model was trained with, to measure it with.
    ///
    /// # Errors
    /// The model has no projection of an image encoder, or one of another than the settings name; its backbone cannot be read.
    pub fn of_model(cfg: &RunConfig, model: &Model, device: &Device) -> Result<Self, TrainError> {
        let json = model.captions().tokenizer().to_json()?;
        let encoders = Self::new(cfg, cfg.text.tokenizer(json.as_bytes())?, device)?;
        start_from(encoders.captions.weights(), model.captions().weights().views())?;
        if !encoders.start_projection_from(cfg, model)? {
            return Err(TrainError::Config(
                "the model has no projection of an image encoder to measure with: export its run again"
                    .to_owned(),
            ));
        }
        Ok(encoders)
    }

    /// Takes the model's projection, if it has one for the backbone of the settings.
    fn start_projection_from(&self, cfg: &RunConfig, model: &Model) -> Result<bool, TrainError> {
        match (model.projection(), &model.config().image_encoder) {
            (Some(weights), Some(encoder)) if *encoder == cfg.image_encoder.network() => {
                start_from(&self.image_store, weights.clone())?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Untrained encoders for a run's own vocabulary and backbone: those that its folder keeps, so that the files it was
    /// started with may be gone. Its checkpoint has the trained weights.
    ///
    /// # Errors
    /// The vocabulary or the backbone cannot be read.
    pub fn kept(cfg: &RunConfig, run: &RunDir, device: &Device) -> Result<Self, TrainError> {
        let mut cfg = cfg.clone();
        if run.backbone().is_file() {
            cfg.encoders.image.clear();
            cfg.image_encoder.weights = path_text(&run.backbone())?;
        }
        Self::new(&cfg, Self::kept_tokenizer(&cfg, run)?, device)
    }

    /// The tokenizer that a run's folder keeps.
    pub(crate) fn kept_tokenizer(cfg: &RunConfig, run: &RunDir) -> Result<Box<dyn Tokenize>, TrainError> {
        let path = run.tokenizer();
        let json = file::read(&path)?;
        Fingerprint::check_vocabulary(run, &json)?;
        let tokenizer = cfg.text.tokenizer(&json);
        tokenizer.map_err(|e| TrainError::Run(format!("{}: {e}", shown(&path))))
    }

    /// Keeps vocabulary and backbone in the run's folder, for [`Encoders::kept`].
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn keep(&self, cfg: &RunConfig, run: &RunDir) -> Result<(), TrainError> {
        file::write_atomic(&run.tokenizer(), self.captions.tokenizer().to_json()?.as_bytes())?;
        let source = match Path::new(&cfg.encoders.run).join("backbone.safetensors") {
            kept if !cfg.encoders.run.is_empty() && kept.is_file() => kept,
            _ => Path::new(backbone_file(cfg)).to_owned(),
        };
        if source.as_os_str().is_empty() {
            return Ok(()); // the embedded one
        }
        let tensors = weights::open(&source, &HOST)?.tensors;
        // The projection is the checkpoint's; torchvision's classifiers are no part of the backbone.
        let in_backbone =
            |name: &str| !["emb_", "AuxLogits.", "fc."].iter().any(|other| name.starts_with(other));
        let tensors: weights::Tensors = tensors
            .into_iter()
            .filter(|(name, _)| in_backbone(name))
            .map(|(name, t)| Ok((name, t.contiguous()?)))
            .collect::<candle_core::Result<_>>()?;
        Ok(weights::safetensors::save(&run.backbone(), &tensors, &weights::Metadata::new())?)
    }

    /// Writes both encoders under AttnGAN's names into one file of the run's folder, the backbone with them where the
    /// folder keeps one: it serves as [`GivenEncoders::text`](crate::config::GivenEncoders::text) and as
    /// [`GivenEncoders::image`](crate::config::GivenEncoders::image).
    ///
    /// # Errors
    /// A weight is NaN or infinite; a file cannot be read or written.
    pub fn export(&self, run: &RunDir) -> Result<(), TrainError> {
        let mut tensors = self.captions.weights().views();
        tensors.extend(self.image_store.views());
        refuse_non_finite_tensors(&tensors)?;
        if run.backbone().is_file() {
            tensors.extend(weights::open(&run.backbone(), &HOST)?.tensors);
        }
        Ok(weights::safetensors::save(&run.encoders(), &tensors, &weights::Metadata::new())?)
    }

    fn of_run(cfg: &RunConfig, run: &Path, device: &Device) -> Result<Self, TrainError> {
        let run = RunDir::open(run)?;
        let (checkpoint, _) = Checkpoint::load_latest_part(&run.checkpoints(), &section::SAMPLED)?;
        let mut encoders = Self::kept(cfg, &run, device)?;
        for part in [section::TEXT, section::IMAGE] {
            refuse_broken(&checkpoint.section(part), "run", &shown(run.path()).to_string())?;
        }
        encoders.restore(&checkpoint).map_err(|e| {
            TrainError::Config(format!(
                "encoders.run: {}: its encoders do not fit this run's settings (text, image_encoder): {e}",
                shown(run.path())
            ))
        })?;
        Ok(encoders)
    }

    /// AttnGAN's text encoder, image encoder and vocabulary.
    fn of_files(cfg: &RunConfig, device: &Device) -> Result<Self, TrainError> {
        let given = &cfg.encoders;
        let files = [("text", &given.text), ("image", &given.image), ("vocabulary", &given.vocabulary)];
        if let Some((absent, _)) = files.iter().find(|(_, file)| file.is_empty()) {
            return Err(TrainError::Config(format!(
                "encoders.{absent}: not given; a text encoder, its image encoder and its vocabulary belong together"
            )));
        }
        let (text, image) = (Path::new(&given.text), Path::new(&given.image));
        let weights = weights::open(text, device)?;
        let tokenizer = pretrained::tokenizer_of(&cfg.text, &weights, text, Path::new(&given.vocabulary))?;
        let encoders = Self::new(cfg, tokenizer, device)?;
        assign(encoders.captions.weights(), weights.tensors, "text", &given.text)?;
        assign(&encoders.image_store, weights::open(image, device)?.tensors, "image", &given.image)?;
        Ok(encoders)
    }

    /// The words that the set brings with it, or all that its captions hold by the rule of the recipe.
    ///
    /// # Errors
    /// The set's file of words cannot be read; no caption holds a word.
    pub fn vocabulary_of(cfg: &RunConfig, data: &Dataset) -> Result<Vocabulary, TrainError> {
        Ok(match data.vocabulary_file() {
            Some(file) => Vocabulary::from_captions_pickle(file)?,
            None => Vocabulary::from_captions(data.vocabulary_captions(), cfg.recipe.words())?,
        })
    }

    /// A tokenizer of [`Encoders::vocabulary_of`].
    ///
    /// # Errors
    /// Those of [`Encoders::vocabulary_of`]; a caption without a known word, by its image.
    pub fn tokenizer_of(cfg: &RunConfig, data: &Dataset) -> Result<Box<dyn Tokenize>, TrainError> {
        reading(cfg.text.new_tokenizer(&Self::vocabulary_of(cfg, data)?)?, data)
    }

    /// Backbone features of images `(B, 3, H, W)`, as constants.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub fn backbone_features(&self, images: &Tensor) -> Result<BackboneFeatures, TrainError> {
        let f = self.image.backbone().features(&self.placed(images)?)?;
        Ok(BackboneFeatures { map: f.map.detach(), pooled: f.pooled.detach() })
    }

    /// Images as constants, where the encoders are and of their type.
    fn placed(&self, images: &Tensor) -> Result<Tensor, TrainError> {
        Ok(images.detach().to_device(self.captions.device())?.to_dtype(self.dtype)?)
    }

    /// The first `n` words of the vocabulary as a caption.
    pub fn words_of(&self, n: usize) -> String {
        let words: Vec<String> = (1..=n as u32).filter_map(|id| self.captions.tokenizer().word(id)).collect();
        words.join(" ")
    }

    /// Learnable scalars of the text encoder and of the image projection.
    pub fn sizes(&self) -> [(&'static str, usize); 2] {
        [
            ("text encoder", self.captions.weights().num_params()),
            ("image projection", self.image_store.num_params()),
        ]
    }
}

impl Checkpointed for Encoders {
    fn save(&self, to: &mut Checkpoint) -> Result<(), TrainError> {
        to.insert_all(section::TEXT, self.captions.weights().views());
        to.insert_all(section::IMAGE, self.image_store.views());
        Ok(())
    }

    fn restore(&mut self, from: &Checkpoint) -> Result<(), TrainError> {
        self.captions.weights().assign(&from.section(section::TEXT))?;
        Ok(self.image_store.assign(&from.section(section::IMAGE))?)
    }
}

/// The tokenizer, if it knows a word of every caption.
fn reading(tokenizer: Box<dyn Tokenize>, data: &Dataset) -> Result<Box<dyn Tokenize>, TrainError> {
    for record in data.records() {
        for caption in &record.captions {
            let known = tokenizer.encode(caption, 1);
            known.map_err(|e| TrainError::Config(format!("image `{}`: {e}", record.key)))?;
        }
    }
    Ok(tokenizer)
}

/// Gives `store` its tensors from a file that may hold more.
fn assign(store: &ParamStore, tensors: Tensors, key: &str, file: &str) -> Result<(), TrainError> {
    let tensors = store.select(tensors);
    refuse_broken(&tensors, key, file)?;
    let fitted = store.assign(&tensors);
    fitted.map_err(|e| TrainError::Config(format!("encoders.{key}: {file}: {e}")))
}

/// Refuses weights of a file that was given under `encoders.KEY` where one is NaN or infinite.
fn refuse_broken(tensors: &Tensors, key: &str, file: &str) -> Result<(), TrainError> {
    let found = refuse_non_finite_tensors(tensors);
    found.map_err(|e| {
        TrainError::Config(format!("encoders.{key}: {file}: {e}: the encoders diverged; give others"))
    })
}

/// Where the backbone's weights come from; empty for the embedded ones.
fn backbone_file(cfg: &RunConfig) -> &str {
    match cfg.image_encoder.backbone {
        // AttnGAN's file holds the backbone too.
        BackboneKind::InceptionV3 if !cfg.encoders.image.is_empty() => &cfg.encoders.image,
        _ => &cfg.image_encoder.weights,
    }
}

fn path_text(path: &Path) -> Result<String, TrainError> {
    let text =
        path.to_str().ok_or_else(|| TrainError::Run(format!("{}: the path is not UTF-8", shown(path))))?;
    Ok(text.to_owned())
}

fn backbone_weights(cfg: &RunConfig, device: &Device) -> Result<VarBuilder<'static>, TrainError> {
    let (file, dtype) = (backbone_file(cfg), cfg.dtype.into());
    match cfg.image_encoder.backbone {
        _ if !file.is_empty() => Ok(load_backbone_weights(file, dtype, device)?),
        BackboneKind::EfficientNetLite0 => Ok(backbone_weights_from_bytes(EFFICIENTNET, dtype, device)?),
        _ => Err(TrainError::NoBackbone { preset: cfg.preset.clone() }),
    }
}
