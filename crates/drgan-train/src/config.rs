//! Everything that decides a run, as plain data: default <- preset <- file <- `--set` <- flags.
use crate::adam::AdamConfig;
use crate::error::TrainError;
use drgan_data::LoaderConfig;
use drgan_dnm::DiscriminatorConfig;
use drgan_losses::damsm::Gammas;
use drgan_sdm::GeneratorConfig;
use drgan_text::{BackboneKind, TextEncoderConfig};
use serde::{Deserialize, Serialize};
use std::path::Path;
use toml::{Table, Value};

/// The presets by name, with their files.
pub const PRESETS: [(&str, &str); 5] = [
    ("emoji-64", include_str!("../presets/emoji-64.toml")),
    ("emoji-256", include_str!("../presets/emoji-256.toml")),
    ("birds", include_str!("../presets/birds.toml")),
    ("coco", include_str!("../presets/coco.toml")),
    ("tiny", include_str!("../presets/tiny.toml")),
];

/// A run, completely.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// Name of the preset it started from.
    pub preset: String,
    /// Seed of every random number.
    pub seed: u64,
    /// Length and rhythm.
    pub train: TrainConfig,
    /// Where pictures and captions come from.
    pub data: DataConfig,
    /// How batches are made of them.
    pub loader: LoaderConfig,
    /// Text encoder.
    pub text: TextEncoderConfig,
    /// Image encoder of the DAMSM and of the measures.
    pub image_encoder: ImageEncoderConfig,
    /// Encoders that were trained elsewhere.
    pub encoders: GivenEncoders,
    /// Pre-training of both encoders.
    pub damsm: DamsmConfig,
    /// Generator.
    pub generator: GeneratorConfig,
    /// Discriminators; their side is set stage by stage.
    pub discriminator: DiscriminatorConfig,
    /// Adam of the generator and the real image path.
    pub generator_opt: AdamConfig,
    /// Adam of the discriminators.
    pub discriminator_opt: AdamConfig,
    /// Weights of the objectives.
    pub loss: LossConfig,
    /// What is measured on the way and at the end.
    pub evaluate: EvaluateConfig,
}

/// Length and rhythm of the GAN phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Generator steps, at least 1.
    pub steps: u64,
    /// Learning rates fall linearly to this fraction over the run, in `(0, 1]`.
    pub final_lr: f64,
    /// Decay of the generator's running average; the first steps use `(1 + step) / (10 + step)` if that is smaller.
    pub average: f64,
    /// Steps between checkpoints; one is always written at the end.
    pub checkpoint_every: u64,
    /// Checkpoints kept.
    pub keep: usize,
    /// Steps between sample grids.
    pub sample_every: u64,
    /// Steps between lines of the log.
    pub log_every: u64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: 2400,
            final_lr: 1.0,
            average: 0.999,
            checkpoint_every: 500,
            keep: 3,
            sample_every: 500,
            log_every: 10,
        }
    }
}

/// Where pictures and captions come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// A WebDataset tar or an image folder; empty for the embedded emoji set.
    pub path: String,
    /// Uses this many records only; 0 for all.
    pub limit: usize,
    /// Who says which pictures are held out.
    pub split: SplitRule,
}

/// Who says which pictures are held out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitRule {
    /// The set itself, where it does (CUB, COCO); else the key.
    #[default]
    Given,
    /// Each record's key, in every set.
    ByKey,
}

/// Encoders that were trained elsewhere: a run of `drgan pretrain`, or AttnGAN's three files. Empty: they are pre-trained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GivenEncoders {
    /// A run folder whose encoders and vocabulary are taken.
    pub run: String,
    /// AttnGAN's text encoder, .pth or .safetensors.
    pub text: String,
    /// AttnGAN's image encoder: Inception-v3 with its projection.
    pub image: String,
    /// The text encoder's vocabulary: AttnGAN's captions.pickle, or a tokenizer.json.
    pub vocabulary: String,
}

impl GivenEncoders {
    /// Whether none is given.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Image encoder of the DAMSM and of the measures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageEncoderConfig {
    /// Backbone, frozen.
    pub backbone: BackboneKind,
    /// Pictures are brought to this side before EfficientNet-Lite0 (Inception always reads 299).
    pub side: usize,
    /// Backbone weights (safetensors or .pth); empty for the embedded EfficientNet-Lite0.
    pub weights: String,
}

impl Default for ImageEncoderConfig {
    fn default() -> Self {
        Self { backbone: BackboneKind::default(), side: 64, weights: String::new() }
    }
}

/// Pre-training of the text encoder and the image projection on cached backbone features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DamsmConfig {
    /// Passes over the training pictures.
    pub epochs: usize,
    /// Pairs a step.
    pub batch: usize,
    /// Captions longer than this are cut.
    pub max_words: usize,
    /// Share of pairs whose caption is the record's full description (label, tags and all), in `[0, 1]`.
    pub full_rate: f64,
    /// Adam.
    pub opt: AdamConfig,
    /// Learning rate's factor an epoch.
    pub decay: f64,
    /// Largest global norm of a gradient.
    pub clip: f64,
    /// Backbone features are kept where they fit into this many MiB, and else computed for each batch.
    pub cache_mib: usize,
    /// Sharpness of attention and matching.
    pub gammas: Gammas,
}

impl Default for DamsmConfig {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch: 48,
            max_words: 12,
            full_rate: 0.5,
            opt: AdamConfig { lr: 2e-3, ..AdamConfig::default() },
            decay: 0.98,
            clip: 0.25,
            cache_mib: 6144,
            gammas: Gammas::default(),
        }
    }
}

/// Weights of the objectives (SPEC: L_D and L_G).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossConfig {
    /// DAMSM on the finest picture.
    pub lambda: f64,
    /// l1: SDL of the image features.
    pub sdl_image: f64,
    /// l2: SDL of the context features.
    pub sdl_context: f64,
    /// l3: reconstruction by the real image path.
    pub rirm: f64,
    /// l4: DNM, the discriminators' variational autoencoders.
    pub dnm: f64,
    /// l5: DAL.
    pub dal: f64,
    /// KL of the conditioning augmentation.
    pub condition_kl: f64,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self { lambda: 5., sdl_image: 0.1, sdl_context: 0.1, rirm: 1., dnm: 1., dal: 1., condition_kl: 1. }
    }
}

/// What is measured on the way and at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluateConfig {
    /// Samples for KID and pair distance; 0 measures nothing.
    pub samples: usize,
    /// Noise seeds a caption in the obedience measures.
    pub seeds: usize,
}

impl Default for EvaluateConfig {
    fn default() -> Self {
        Self { samples: 1000, seeds: 4 }
    }
}

/// What the command line adds to a preset.
#[derive(Clone, Debug, Default)]
pub struct Overrides<'a> {
    /// A TOML file over the preset.
    pub file: Option<&'a Path>,
    /// `a.b=c`, in order.
    pub set: &'a [String],
}

impl RunConfig {
    /// A preset, then a file, then `--set`s.
    ///
    /// # Errors
    /// An unknown preset or key (the nearest name is suggested), a value of another type, a value out of range.
    pub fn resolve(preset: &str, over: &Overrides<'_>) -> Result<Self, TrainError> {
        let names: Vec<&str> = PRESETS.iter().map(|(n, _)| *n).collect();
        let Some((name, text)) = PRESETS.iter().find(|(n, _)| *n == preset) else {
            return Err(TrainError::Config(format!("unknown preset `{preset}`{}", suggest(preset, &names))));
        };
        let mut all = Table::try_from(Self::default()).map_err(|e| TrainError::Config(e.to_string()))?;
        merge(&mut all, parse(text, &format!("preset {name}"))?, "", &format!("preset {name}"))?;
        if let Some(path) = over.file {
            let text = std::fs::read_to_string(path).map_err(|e| TrainError::io(path, e))?;
            let origin = path.display().to_string();
            merge(&mut all, parse(&text, &origin)?, "", &origin)?;
        }
        all.insert("preset".into(), Value::String((*name).to_owned()));
        Self::from_table(all)?.with(over.set)
    }

    /// This configuration under further `--set`s.
    ///
    /// # Errors
    /// As [`RunConfig::resolve`].
    pub fn with(&self, set: &[String]) -> Result<Self, TrainError> {
        let mut all = Table::try_from(self).map_err(|e| TrainError::Config(e.to_string()))?;
        for set in set {
            merge(&mut all, parse_set(set)?, "", &format!("--set {set}"))?;
        }
        let cfg = Self::from_table(all)?;
        cfg.validate()?;
        Ok(cfg)
    }

    fn from_table(all: Table) -> Result<Self, TrainError> {
        all.try_into().map_err(|e: toml::de::Error| TrainError::Config(e.to_string().trim().to_owned()))
    }

    /// Reads what [`RunConfig::to_toml`] wrote.
    ///
    /// # Errors
    /// Not a configuration of this version.
    pub fn from_toml(text: &str) -> Result<Self, TrainError> {
        Self::from_table(parse(text, "configuration")?)
    }

    /// The resolved configuration as TOML.
    ///
    /// # Errors
    /// None that a valid configuration could cause.
    pub fn to_toml(&self) -> Result<String, TrainError> {
        toml::to_string(self).map_err(|e| TrainError::Config(e.to_string()))
    }

    /// Sides of the pictures, coarse to fine.
    pub fn sides(&self) -> Vec<usize> {
        (0..self.generator.stages).map(|i| self.generator.base << i).collect()
    }

    /// The loader of this run: its pictures are the generator's.
    pub fn loader(&self) -> LoaderConfig {
        LoaderConfig { sides: self.sides(), seed: self.seed, ..self.loader.clone() }
    }

    /// The discriminator of one stage.
    pub fn discriminator_at(&self, side: usize) -> DiscriminatorConfig {
        DiscriminatorConfig { side, base: self.generator.base, ..self.discriminator.clone() }
    }

    fn validate(&self) -> Result<(), TrainError> {
        let refuse = |field: &str, why: &str| Err(TrainError::Config(format!("`{field}`: {why}")));
        let t = &self.train;
        if t.steps == 0 || t.checkpoint_every == 0 || t.sample_every == 0 || t.log_every == 0 || t.keep == 0 {
            return refuse(
                "train",
                "steps, checkpoint_every, sample_every, log_every and keep must be at least 1",
            );
        }
        if !(t.final_lr > 0. && t.final_lr <= 1.) {
            return refuse("train.final_lr", "must lie in (0, 1]");
        }
        if !(0. ..1.).contains(&t.average) {
            return refuse("train.average", "must lie in [0, 1)");
        }
        if self.loader.batch < 2 || self.damsm.batch < 2 {
            return refuse(
                "loader.batch, damsm.batch",
                "must be at least 2: batch statistics need two pictures",
            );
        }
        if !(0. ..=1.).contains(&self.damsm.full_rate) {
            return refuse("damsm.full_rate", "must lie in [0, 1]");
        }
        if self.damsm.max_words == 0 {
            return refuse("damsm.max_words", "must be at least 1");
        }
        let l = &self.loss;
        for (field, weight) in [
            ("loss.lambda", l.lambda),
            ("loss.sdl_image", l.sdl_image),
            ("loss.sdl_context", l.sdl_context),
            ("loss.rirm", l.rirm),
            ("loss.dnm", l.dnm),
            ("loss.dal", l.dal),
            ("loss.condition_kl", l.condition_kl),
        ] {
            if !(weight.is_finite() && weight >= 0.) {
                return refuse(field, "must be a finite number, 0 or more");
            }
        }
        for (field, opt) in [
            ("generator_opt.lr", &self.generator_opt),
            ("discriminator_opt.lr", &self.discriminator_opt),
            ("damsm.opt.lr", &self.damsm.opt),
        ] {
            if !(opt.lr.is_finite() && opt.lr > 0.) {
                return refuse(field, "must be a finite number above 0");
            }
        }
        if !(self.damsm.decay > 0. && self.damsm.decay <= 1.) {
            return refuse("damsm.decay", "must lie in (0, 1]");
        }
        if !(self.damsm.clip.is_finite() && self.damsm.clip > 0.) {
            return refuse("damsm.clip", "must be a finite number above 0");
        }
        if self.image_encoder.side < 32 {
            return refuse("image_encoder.side", "must be at least 32: the backbone halves it five times");
        }
        if self.evaluate.seeds == 0 {
            return refuse("evaluate.seeds", "must be at least 1");
        }
        if self.text.words_dim != self.generator.text_dim
            || self.text.words_dim != self.discriminator.text_dim
        {
            return refuse("text.words_dim", "must equal generator.text_dim and discriminator.text_dim");
        }
        Ok(())
    }
}

fn parse(text: &str, origin: &str) -> Result<Table, TrainError> {
    text.parse().map_err(|e: toml::de::Error| TrainError::Config(format!("{origin}: {e}").trim().to_owned()))
}

/// `a.b=c`; a value that is not TOML is taken as a string.
fn parse_set(set: &str) -> Result<Table, TrainError> {
    let Some((key, value)) = set.split_once('=') else {
        return Err(TrainError::Config(format!("--set {set}: expected KEY=VALUE, e.g. --set loss.lambda=2")));
    };
    let (key, value) = (key.trim(), value.trim());
    let literal = format!("v = {value}").parse::<Table>().ok().and_then(|mut t| t.remove("v"));
    let mut value = literal.unwrap_or_else(|| Value::String(value.to_owned()));
    for part in key.rsplit('.') {
        value = Value::Table(Table::from_iter([(part.to_owned(), value)]));
    }
    match value {
        Value::Table(t) => Ok(t),
        _ => Err(TrainError::Config(format!("--set {set}: empty key"))),
    }
}

/// Keys that something else decides.
const DERIVED: [(&str, &str); 4] = [
    ("preset", "use --preset"),
    ("text.vocab_size", "the captions decide it"),
    ("discriminator.side", "each stage has its own"),
    ("discriminator.base", "it is generator.base"),
];

/// Lays `over` over `base`, whose keys are all there are.
fn merge(base: &mut Table, over: Table, prefix: &str, origin: &str) -> Result<(), TrainError> {
    for (key, value) in over {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        if let Some((_, why)) = DERIVED.iter().find(|(name, _)| *name == path) {
            return Err(TrainError::Config(format!("{origin}: `{path}` is not a setting: {why}")));
        }
        let known: Vec<String> = base.keys().cloned().collect();
        match (base.get_mut(&key), value) {
            (None, _) => {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                let hint = suggest(&key, &known);
                return Err(TrainError::Config(format!("{origin}: unknown key `{path}`{hint}")));
            }
            (Some(Value::Table(inner)), Value::Table(value)) => merge(inner, value, &path, origin)?,
            (Some(Value::Table(_)), value) => {
                return Err(TrainError::Config(format!(
                    "{origin}: `{path}` is a section, not a value ({value})"
                )));
            }
            // `1` is a fine way to write `1.0`.
            (Some(slot @ Value::Float(_)), Value::Integer(i)) => *slot = Value::Float(i as f64),
            (Some(slot), value) if slot.same_type(&value) => *slot = value,
            (Some(slot), value) => {
                let (want, got) = (slot.type_str(), value.type_str());
                let article = if want.starts_with(['a', 'i']) { "an" } else { "a" };
                return Err(TrainError::Config(format!(
                    "{origin}: `{path}` takes {article} {want}, got the {got} {value}"
                )));
            }
        }
    }
    Ok(())
}

/// ` (did you mean ...?)` or a list of what there is.
pub(crate) fn suggest(word: &str, known: &[&str]) -> String {
    let best = known.iter().map(|k| (strsim::damerau_levenshtein(word, k), k)).min();
    match best {
        Some((distance, name)) if distance <= 1 + word.len() / 3 => format!("; did you mean `{name}`?"),
        _ => format!("; there are: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(preset: &str, set: &[&str]) -> Result<RunConfig, String> {
        let set: Vec<String> = set.iter().map(|s| (*s).to_owned()).collect();
        RunConfig::resolve(preset, &Overrides { file: None, set: &set }).map_err(|e| e.to_string())
    }

    #[test]
    fn every_preset_resolves_and_survives_a_round_trip() {
        for (name, _) in PRESETS {
            let cfg = resolve(name, &[]).unwrap();
            assert_eq!(RunConfig::from_toml(&cfg.to_toml().unwrap()).unwrap(), cfg);
            assert_eq!(cfg.preset, name);
        }
        assert_eq!(resolve("emoji-64", &[]).unwrap().sides(), [16, 32, 64]);
        assert_eq!(resolve("birds", &[]).unwrap().sides(), [64, 128, 256]);
    }

    #[test]
    fn settings_lie_over_presets() {
        let cfg = resolve("tiny", &["loss.lambda=2", "train.steps = 9", "data.path=my/folder"]).unwrap();
        assert_eq!((cfg.loss.lambda, cfg.train.steps, cfg.data.path.as_str()), (2.0, 9, "my/folder"));
    }

    #[test]
    fn mistakes_are_named_with_the_nearest_name() {
        assert_eq!(
            resolve("emoji64", &[]).unwrap_err(),
            "unknown preset `emoji64`; did you mean `emoji-64`?"
        );
        let e = resolve("tiny", &["loss.lamda=2"]).unwrap_err();
        assert_eq!(e, "--set loss.lamda=2: unknown key `loss.lamda`; did you mean `lambda`?");
        let e = resolve("tiny", &["loss.lambda=much"]).unwrap_err();
        assert_eq!(e, "--set loss.lambda=much: `loss.lambda` takes a float, got the string \"much\"");
        assert!(resolve("tiny", &["loss.lambda"]).unwrap_err().contains("KEY=VALUE"));
        assert!(resolve("tiny", &["loader.batch=1"]).unwrap_err().contains("at least 2"));
        assert!(resolve("tiny", &["train=3"]).unwrap_err().contains("is a section"));
    }
}
