//! The DAMSM's two encoders as one unit: what turns captions and pictures into features everywhere else.
use crate::checkpoint::Checkpoint;
use crate::config::{GivenEncoders, RunConfig};
use crate::error::TrainError;
use crate::run_dir::RunDir;
use crate::state;
use candle_core::{DType, Device, Tensor};
use drgan_data::Dataset;
use drgan_tensor::VarBuilder;
use drgan_tensor::weights::{self, Tensors};
use drgan_tensor::{
    Ctx, FromConfig, ImageEncoder, ImageFeatures, Mode, ParamKind, ParamStore, TextEncoder, TextFeatures,
};
use drgan_text::{
    BackboneFeatures, BackboneKind, BiLstmEncoder, DamsmImageEncoder, TextEncoderConfig, Tokenize, Tokenizer,
    Vocabulary, backbone_weights_from_bytes, load_backbone_weights,
};
use std::path::Path;

/// ImageNet weights of EfficientNet-Lite0 in f16 (Apache-2.0; THIRD-PARTY-NOTICES.md).
const EFFICIENTNET: &[u8] = include_bytes!("../assets/efficientnet_lite0_imagenet_f16.safetensors");

/// Tokenizer, text encoder and image encoder.
pub struct Encoders {
    /// Words to numbers.
    pub tokenizer: Tokenizer,
    /// Captions to words and sentence.
    pub text: BiLstmEncoder,
    /// Pictures to regions and code; the backbone is frozen.
    pub image: DamsmImageEncoder,
    /// Weights of the text encoder.
    pub text_store: ParamStore,
    /// Weights of the image projection.
    pub image_store: ParamStore,
    max_words: usize,
}

impl Encoders {
    /// Fresh encoders for a vocabulary.
    ///
    /// # Errors
    /// Backbone weights missing or of another network.
    pub fn new(cfg: &RunConfig, tokenizer: Tokenizer) -> Result<Self, TrainError> {
        let (text_store, image_store) = (ParamStore::seeded(cfg.seed), ParamStore::seeded(cfg.seed));
        let text_cfg = TextEncoderConfig { vocab_size: tokenizer.vocab_size(), ..cfg.text.clone() };
        let text = BiLstmEncoder::from_config(&text_cfg, text_store.builder(DType::F32, &Device::Cpu))?;
        let vb = image_store.builder(DType::F32, &Device::Cpu);
        let image_cfg = drgan_text::ImageEncoderConfig {
            backbone: cfg.image_encoder.backbone,
            side: cfg.image_encoder.side,
        };
        let image =
            DamsmImageEncoder::from_config(&image_cfg, cfg.text.words_dim, backbone_weights(cfg)?, vb)?;
        Ok(Self { tokenizer, text, image, text_store, image_store, max_words: cfg.damsm.max_words })
    }

    /// The encoders that a run starts with, and whether they are trained: those that the configuration names, or fresh ones
    /// for the data's vocabulary.
    ///
    /// # Errors
    /// Files that cannot be read or do not belong together.
    pub fn starting(cfg: &RunConfig, data: &Dataset) -> Result<(Self, bool), TrainError> {
        let given = &cfg.encoders;
        if given.is_empty() {
            return Ok((Self::new(cfg, Self::tokenizer_of(data)?)?, false));
        }
        if !given.run.is_empty() {
            return Ok((Self::of_run(cfg, Path::new(&given.run))?, true));
        }
        Ok((Self::of_files(cfg)?, true))
    }

    /// Untrained encoders for a run's own vocabulary and backbone: those that its folder keeps, so that the files it was
    /// started with may be gone. Its checkpoint has the trained weights.
    ///
    /// # Errors
    /// The vocabulary or the backbone cannot be read.
    pub fn kept(cfg: &RunConfig, run: &RunDir) -> Result<Self, TrainError> {
        let mut cfg = cfg.clone();
        if run.backbone().is_file() {
            cfg.encoders.image.clear();
            cfg.image_encoder.weights = path_text(&run.backbone())?;
        }
        Self::new(&cfg, Tokenizer::load(run.tokenizer())?)
    }

    /// Keeps vocabulary and backbone in the run's folder, for [`Encoders::kept`].
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn keep(&self, cfg: &RunConfig, run: &RunDir) -> Result<(), TrainError> {
        self.tokenizer.save(run.tokenizer())?;
        let source = match Path::new(&cfg.encoders.run).join("backbone.safetensors") {
            theirs if !cfg.encoders.run.is_empty() && theirs.is_file() => theirs,
            _ => Path::new(backbone_file(cfg)).to_owned(),
        };
        if source.as_os_str().is_empty() {
            return Ok(()); // the embedded one
        }
        let tensors = weights::open(&source, &Device::Cpu)?.tensors;
        // The projection is the checkpoint's; torchvision's classifiers are no part of the backbone.
        let ours = |name: &str| !["emb_", "AuxLogits.", "fc."].iter().any(|other| name.starts_with(other));
        let tensors: weights::Tensors = tensors
            .into_iter()
            .filter(|(name, _)| ours(name))
            .map(|(name, t)| Ok((name, t.contiguous()?)))
            .collect::<candle_core::Result<_>>()?;
        Ok(weights::safetensors::save(&run.backbone(), &tensors, &weights::Metadata::new())?)
    }

    /// Writes both encoders under AttnGAN's names into one file of the run's folder, the backbone with them where the
    /// folder keeps one: `train --text-encoder` and `--image-encoder` both take it.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn export(&self, run: &RunDir) -> Result<(), TrainError> {
        let mut tensors = self.text_store.views();
        tensors.extend(self.image_store.views());
        if run.backbone().is_file() {
            tensors.extend(weights::open(&run.backbone(), &Device::Cpu)?.tensors);
        }
        Ok(weights::safetensors::save(&run.encoders(), &tensors, &weights::Metadata::new())?)
    }

    fn of_run(cfg: &RunConfig, run: &Path) -> Result<Self, TrainError> {
        let run = RunDir::open(run)?;
        let (checkpoint, _) = Checkpoint::load_latest_part(&run.checkpoints(), &state::SAMPLED)?;
        let encoders = Self::kept(cfg, &run)?;
        state::restore_encoders(&checkpoint, &encoders).map_err(|e| {
            TrainError::Config(format!(
                "encoders.run: {}: its encoders do not fit this run's settings (text, image_encoder): {e}",
                run.path().display()
            ))
        })?;
        Ok(encoders)
    }

    /// AttnGAN's text encoder, image encoder and vocabulary.
    fn of_files(cfg: &RunConfig) -> Result<Self, TrainError> {
        let given = &cfg.encoders;
        let files = [("text", &given.text), ("image", &given.image), ("vocabulary", &given.vocabulary)];
        if let Some((absent, _)) = files.iter().find(|(_, file)| file.is_empty()) {
            return Err(TrainError::Config(format!(
                "encoders.{absent}: not given; a text encoder, its image encoder and its vocabulary belong together"
            )));
        }
        let text = weights::open(Path::new(&given.text), &Device::Cpu)?.tensors;
        let encoders = Self::of_text(cfg, given, text)?;
        let image = weights::open(Path::new(&given.image), &Device::Cpu)?.tensors;
        assign(&encoders.image_store, image, "image", &given.image)?;
        Ok(encoders)
    }

    /// The text encoder of `tensors` with its vocabulary, beside a fresh image projection.
    pub(crate) fn of_text(
        cfg: &RunConfig,
        given: &GivenEncoders,
        tensors: Tensors,
    ) -> Result<Self, TrainError> {
        let tokenizer = match Path::new(&given.vocabulary) {
            path if path.extension().is_some_and(|e| e == "json") => Tokenizer::load(path)?,
            path => Tokenizer::new(&Vocabulary::from_captions_pickle(path)?)?,
        };
        let rows = tensors.get("encoder.weight").map_or(0, |t| t.dims()[0]);
        if rows != tokenizer.vocab_size() {
            return Err(TrainError::Config(format!(
                "text encoder {} embeds {rows} words, vocabulary {} has {}; give the vocabulary it was trained with",
                given.text,
                given.vocabulary,
                tokenizer.vocab_size()
            )));
        }
        let encoders = Self::new(cfg, tokenizer)?;
        assign(&encoders.text_store, tensors, "text", &given.text)?;
        Ok(encoders)
    }

    /// A tokenizer of the words that the set brings with it, or of all that its records are described with.
    ///
    /// # Errors
    /// A caption without a known word, by its picture.
    pub fn tokenizer_of(data: &Dataset) -> Result<Tokenizer, TrainError> {
        let captions = data.records().iter().flat_map(|r| r.captions.iter().map(String::as_str));
        let tokenizer = match data.vocabulary() {
            Some(vocabulary) => Tokenizer::new(vocabulary)?,
            None => Tokenizer::new(&Vocabulary::from_captions(captions)?)?,
        };
        for record in data.records() {
            for caption in &record.captions {
                let known = tokenizer.encode(caption, 1);
                known.map_err(|e| TrainError::Config(format!("picture `{}`: {e}", record.key)))?;
            }
        }
        Ok(tokenizer)
    }

    /// Captions as constant features, in evaluation mode. A caption's features do not depend on its neighbours.
    ///
    /// # Errors
    /// A caption without a known word.
    pub fn embed(&self, captions: &[impl AsRef<str>]) -> Result<TextFeatures, TrainError> {
        let mut ctx = Ctx::new(Mode::Eval, 0);
        let captions: Vec<&str> = captions.iter().map(AsRef::as_ref).collect();
        let (tokens, _) = self.tokenizer.batch(&captions, self.max_words, &Device::Cpu)?;
        Ok(self.text.encode_text(&tokens, &mut ctx)?.detach())
    }

    /// Backbone features of pictures `(B, 3, H, W)`, as constants.
    ///
    /// # Errors
    /// Another shape.
    pub fn backbone_features(&self, images: &Tensor) -> Result<BackboneFeatures, TrainError> {
        let f = self.image.backbone().features(&images.detach())?;
        Ok(BackboneFeatures { map: f.map.detach(), pooled: f.pooled.detach() })
    }

    /// Regions and code of pictures.
    ///
    /// # Errors
    /// Another shape.
    pub fn see(&self, images: &Tensor) -> Result<ImageFeatures, TrainError> {
        Ok(self.image.encode_image(images)?)
    }

    /// The known words of a caption, as they are counted in attention maps.
    ///
    /// # Errors
    /// A caption without a known word.
    pub fn words(&self, caption: &str) -> Result<Vec<String>, TrainError> {
        let ids = self.tokenizer.encode(caption, self.max_words)?.ids;
        Ok(ids.into_iter().map(|id| self.tokenizer.word(id).unwrap_or_default()).collect())
    }

    /// The first `n` words of the vocabulary as a caption.
    pub fn words_of(&self, n: usize) -> String {
        let words: Vec<String> = (1..=n as u32).filter_map(|id| self.tokenizer.word(id)).collect();
        words.join(" ")
    }

    /// Learnable scalars of the text encoder and of the image projection.
    pub fn sizes(&self) -> [(&'static str, usize); 2] {
        let count = |s: &ParamStore| s.vars(ParamKind::Param).iter().map(|(_, v)| v.elem_count()).sum();
        [("text encoder", count(&self.text_store)), ("image projection", count(&self.image_store))]
    }
}

/// What a store holds, from a file that may hold more.
fn assign(store: &ParamStore, tensors: Tensors, key: &str, file: &str) -> Result<(), TrainError> {
    let fitted = store.assign(&store.select(tensors));
    fitted.map_err(|e| TrainError::Config(format!("encoders.{key}: {file}: {e}")))
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
        path.to_str().ok_or_else(|| TrainError::Run(format!("{}: the path is not UTF-8", path.display())))?;
    Ok(text.to_owned())
}

fn backbone_weights(cfg: &RunConfig) -> Result<VarBuilder<'static>, TrainError> {
    let file = backbone_file(cfg);
    match cfg.image_encoder.backbone {
        _ if !file.is_empty() => Ok(load_backbone_weights(file, DType::F32, &Device::Cpu)?),
        BackboneKind::EfficientNetLite0 => {
            Ok(backbone_weights_from_bytes(EFFICIENTNET, DType::F32, &Device::Cpu)?)
        }
        _ => Err(TrainError::Config(format!(
            "preset {}: image_encoder.weights: Inception-v3 needs its weights; give torchvision's inception_v3 (.pth or \
             .safetensors) with --set image_encoder.weights=FILE, or take the embedded network with --set \
             image_encoder.backbone=efficientnet-lite0 --set image_encoder.side=128",
            cfg.preset
        ))),
    }
}
