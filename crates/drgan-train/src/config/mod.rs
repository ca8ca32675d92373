//! Everything that decides a run, as plain data: default <- preset <- file <- single settings.
mod merge;
mod precision;
mod presets;
mod ranges;
mod recipe;
mod sections;
mod seed;
mod validate;

pub use presets::PRESETS;
pub use ranges::{RANGES, Range};
pub use recipe::Recipe;
pub use sections::{
    AugmentConfig, DamsmConfig, DataConfig, EvaluateConfig, GivenEncoders, ImageEncoderSettings, LossConfig,
    RunConfig, SplitRule, StartConfig, TrainConfig,
};

use crate::error::TrainError;
use drgan_tensor::internal::shown;
use std::path::Path;
use toml::{Table, Value};

/// What is laid over a preset.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overrides<'a> {
    /// A TOML file with settings over the preset's.
    pub file: Option<&'a Path>,
    /// Single settings, `a.b=c`, in order; over the file.
    pub set: &'a [String],
}

impl RunConfig {
    /// A preset, then a file, then single settings.
    ///
    /// # Errors
    /// An unknown preset or key (the nearest name is suggested), a value of another type, a value out of range, a size that
    /// contradicts the setting it follows from.
    pub fn resolve(preset: &str, over: &Overrides<'_>) -> Result<Self, TrainError> {
        let (settings, origin) = presets::preset(preset)?;
        let mut all = Self::default().to_table()?;
        merge::merge(&mut all, settings, &origin)?;
        if let Some(path) = over.file {
            let text = merge::read(path)?;
            let origin = shown(path).to_string();
            let mut table = merge::parse(&text, &origin)?;
            // The `config.toml` of a run of this preset serves as a file too.
            if table.get("preset").is_some_and(|named| named.as_str() == Some(preset)) {
                table.remove("preset");
            }
            merge::rename(&mut table, &origin)?;
            let given = merge::take_derived(&mut table);
            merge::merge(&mut all, table, &origin)?;
            ranges::check(&all)?;
            let plain = Self::from_table(all.clone())?;
            let written = Table::try_from(plain).map_err(|e| TrainError::Config(e.to_string()))?;
            merge::check_derived(&given, &all, Some(&written), &origin)?;
        }
        all.insert("preset".into(), Value::String(preset.to_owned()));
        Self::from_table(all)?.with(over.set)
    }

    /// This configuration under further single settings, `a.b=c`.
    ///
    /// # Errors
    /// As [`RunConfig::resolve`].
    pub fn with(&self, settings: &[String]) -> Result<Self, TrainError> {
        let all = self.merged(settings)?;
        ranges::check(&all)?;
        let cfg = Self::from_table(all)?;
        validate::validate(&cfg)?;
        Ok(cfg)
    }

    /// The configuration of a run that has begun, under further single settings: a run continues as it began, and so its own
    /// values are taken where they are out of the ranges of today, unless nothing could be built from them. Each of these is said in
    /// a sentence.
    ///
    /// # Errors
    /// As [`RunConfig::resolve`] for the given settings; a size of the run's own above its range.
    pub fn resumed(&self, settings: &[String]) -> Result<(Self, Vec<String>), TrainError> {
        let all = self.merged(settings)?;
        let kept = ranges::check_resumed(&self.to_table()?, &all)?;
        let cfg = Self::from_table(all)?;
        validate::validate(&cfg)?;
        Ok((cfg, kept))
    }

    /// The settings of this configuration under further ones, unchecked.
    fn merged(&self, settings: &[String]) -> Result<Table, TrainError> {
        let (mut all, mut derived) = (self.to_table()?, Vec::new());
        for setting in settings {
            let origin = format!("setting {setting}");
            let mut table = merge::parse_setting(setting)?;
            merge::rename(&mut table, &origin)?;
            derived.push((merge::take_derived(&mut table), origin.clone()));
            merge::merge(&mut all, table, &origin)?;
        }
        for (given, origin) in &derived {
            merge::check_derived(given, &all, None, origin)?;
        }
        Ok(all)
    }

    /// The settings as a table, without keys that follow from others.
    pub(crate) fn to_table(&self) -> Result<Table, TrainError> {
        let mut table = Table::try_from(self).map_err(|e| TrainError::Config(e.to_string()))?;
        merge::take_derived(&mut table);
        Ok(table)
    }

    fn from_table(all: Table) -> Result<Self, TrainError> {
        let read: Result<Self, toml::de::Error> = all.try_into();
        // The key that a value belongs to is a line of its own.
        let mut cfg = read.map_err(|e| TrainError::Config(e.to_string().trim().replace('\n', ", ")))?;
        cfg.derive();
        Ok(cfg)
    }

    /// Reads what [`RunConfig::to_toml`] wrote, in this version or an older one. Sizes that follow from settings are filled
    /// in: `text_dim` of the generator and of the discriminator is `text.words_dim`. A run that names no recipe went by the first.
    ///
    /// # Errors
    /// Not a configuration of this or an older version.
    pub fn from_toml(text: &str) -> Result<Self, TrainError> {
        let mut table = merge::parse(text, "configuration")?;
        merge::rename(&mut table, "configuration")?;
        merge::take_derived(&mut table);
        // What a run of before recipes wrote.
        table.entry("recipe").or_insert_with(|| Value::Integer(u32::from(Recipe::First).into()));
        Self::from_table(table)
    }

    /// The value of a setting, by its key, as TOML has it; `not given` where there is none.
    ///
    /// # Errors
    /// None that a valid configuration could cause.
    pub fn setting(&self, key: &str) -> Result<String, TrainError> {
        let all = Value::Table(self.to_table()?);
        let value = key.split('.').try_fold(&all, |table, part| table.get(part));
        Ok(value.map_or_else(|| "not given".to_owned(), ToString::to_string))
    }

    /// [`RunConfig::from_toml`] of a file, a run's `config.toml`.
    ///
    /// # Errors
    /// No regular file of at most 1 MiB; not a configuration of this or an older version.
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        Self::from_toml(&merge::read(path)?)
    }

    /// The resolved configuration as TOML: settings only, nothing that follows from others.
    ///
    /// # Errors
    /// None that a valid configuration could cause.
    pub fn to_toml(&self) -> Result<String, TrainError> {
        toml::to_string(&self.to_table()?).map_err(|e| TrainError::Config(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drgan_tensor::device::{DeviceRequest, FloatType};
    use drgan_tensor::ops::Precision;

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
            "unknown preset `emoji64`; did you mean `emoji-64`? There are: emoji-64, emoji-256, birds, coco, tiny"
        );
        let e = resolve("tiny", &["loss.lamda=2"]).unwrap_err();
        assert_eq!(e, "setting loss.lamda=2: unknown key `loss.lamda`; did you mean `lambda`?");
        let e = resolve("tiny", &["loader.color_repeat=2"]).unwrap_err();
        assert!(e.ends_with("unknown key `loader.color_repeat`; did you mean `repeat.times`?"), "{e}");
        let e = resolve("tiny", &["loss.lambda=much"]).unwrap_err();
        assert_eq!(e, "setting loss.lambda=much: `loss.lambda` takes a float, got the string \"much\"");
        assert!(resolve("tiny", &["loss.lambda"]).unwrap_err().contains("KEY=VALUE"));
        assert!(resolve("tiny", &["loader.batch=1"]).unwrap_err().contains("at least 2"));
        assert!(resolve("tiny", &["train=3"]).unwrap_err().contains("is a section"));
    }

    #[test]
    fn seeds_go_up_to_the_largest_whole_number_and_survive_a_round_trip() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.toml");
        for seed in [0, 1 << 53, i64::MAX as u64, 1 << 63, u64::MAX] {
            let cfg = resolve("tiny", &[&format!("seed={seed}")]).unwrap();
            assert_eq!(cfg.seed, seed);
            let written = cfg.to_toml().unwrap();
            assert_eq!(RunConfig::from_toml(&written).unwrap(), cfg);
            std::fs::write(&path, &written).unwrap();
            let over = |set| RunConfig::resolve("tiny", &Overrides { file: Some(&path), set }).unwrap().seed;
            assert_eq!((over(&[]), over(&["seed=3".to_owned()])), (seed, 3));
        }
        for bad in ["-1", "1.5", "18446744073709551616", "one", "true"] {
            for before in ["seed=18446744073709551615", "seed=1"] {
                let e = resolve("tiny", &[before, &format!("seed={bad}")]).unwrap_err();
                assert!(e.contains("at least 0 and at most 18446744073709551615"), "{e}");
            }
        }
    }

    #[test]
    fn a_file_of_settings_is_a_regular_file_of_some_size() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |path: &Path, why: &str| {
            let over = Overrides { file: Some(path), set: &[] };
            let e = RunConfig::resolve("tiny", &over).unwrap_err().to_string();
            assert!(e.contains(&path.display().to_string()) && e.contains(why), "{e}");
        };
        refused(dir.path(), "is a folder");
        refused(&dir.path().join("none.toml"), "No such file");
        let large = dir.path().join("large.toml");
        std::fs::File::create(&large).unwrap().set_len((1 << 20) + 1).unwrap();
        refused(&large, "at most 1 MiB");
        let bytes = dir.path().join("bytes.toml");
        std::fs::write(&bytes, b"seed = \"\xff\"").unwrap();
        refused(&bytes, "not UTF-8");
        #[cfg(unix)]
        {
            refused(Path::new("/dev/zero"), "pipe or device");
            let pipe = dir.path().join("pipe");
            let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
            assert!(made.success());
            refused(&pipe, "pipe or device");
        }
    }

    #[test]
    fn sizes_that_follow_from_others_are_no_settings() {
        let cfg = resolve("tiny", &["text.words_dim=128"]).unwrap();
        let widths = (cfg.text.words_dim, cfg.generator.text_dim, cfg.discriminator_at(32).text_dim);
        assert_eq!(widths, (128, 128, 128));
        assert_eq!(cfg.discriminator_at(32).base, cfg.generator.base);
        let written = cfg.to_toml().unwrap();
        for key in ["text_dim", "vocab_size", "[discriminator]\nside", "[discriminator]\nbase"] {
            assert!(!written.contains(key), "{key} in\n{written}");
        }
        for (key, why) in [
            ("generator.text_dim=128", "it is text.words_dim, here 256, not 128"),
            ("discriminator.text_dim=128", "it is text.words_dim"),
            ("discriminator.side=64", "each stage"),
            ("discriminator.base=32", "it is generator.base, here 16, not 32"),
            ("text.vocab_size=7", "captions"),
            ("preset=\"tiny\"", "by its name"),
        ] {
            let e = resolve("tiny", &[key]).unwrap_err();
            assert!(e.contains("is not a setting") && e.contains(why), "{key}: {e}");
        }
    }

    #[test]
    fn sizes_that_agree_with_what_they_follow_from_are_passed_over() {
        assert_eq!(resolve("tiny", &["generator.text_dim=256"]).unwrap(), resolve("tiny", &[]).unwrap());
        let wide = ["generator.text_dim=128", "discriminator.text_dim=128", "text.words_dim=128"];
        assert_eq!(resolve("tiny", &wide).unwrap(), resolve("tiny", &wide[2..]).unwrap());

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.toml");
        let with_file = |text: &str| {
            std::fs::write(&path, text).unwrap();
            RunConfig::resolve("tiny", &Overrides { file: Some(&path), set: &[] }).map_err(|e| e.to_string())
        };
        assert_eq!(with_file("[generator]\ntext_dim = 256").unwrap(), resolve("tiny", &[]).unwrap());
        for (text, key) in [
            ("[generator]\ntext_dim = 128", "generator.text_dim"),
            ("[generator]\ntext_dim = 256\n[text]\nwords_dim = 128", "generator.text_dim"),
            ("[text]\nvocab_size = 128", "text.vocab_size"),
            ("[discriminator]\nside = 32", "discriminator.side"),
        ] {
            let e = with_file(text).unwrap_err();
            assert!(e.contains("f.toml") && e.contains(&format!("`{key}` is not a setting")), "{e}");
        }
        assert!(with_file("preset = \"birds\"").unwrap_err().contains("by its name"));
        let e = with_file("[train]\naverage = 0.5\nema = 0.6").unwrap_err();
        assert!(e.contains("`train.average`") && e.contains("keep `train.ema`"), "{e}");
        let e = with_file("[loader]\ncolour_repeat = 2\nrepeat = { times = 3 }").unwrap_err();
        assert!(e.contains("`loader.colour_repeat`") && e.contains("keep `loader.repeat.times`"), "{e}");
    }

    #[test]
    fn sizes_that_the_networks_refuse_are_refused() {
        for set in ["text.words_dim=127", "generator.ngf=7", "generator.stages=100", "discriminator.latent=0"]
        {
            let e = resolve("tiny", &[set]).unwrap_err();
            assert!(set.starts_with(e.split('`').nth(1).unwrap()), "{set}: {e}");
        }
    }

    /// Written by revision f1e38d0, for a run of `tiny` with a seed and a decay of its own.
    const OLD: &str = include_str!("../../tests/fixtures/config-f1e38d0.toml");

    #[test]
    fn a_configuration_of_the_first_version_is_read_and_serves_as_a_file() {
        let old = RunConfig::from_toml(OLD).unwrap();
        // What the version did not have is as a new run without a preset has it.
        let new = resolve("tiny", &["seed=3", "train.steps=2", "train.ema=0.75"]).unwrap();
        let repeats = new.with(&["evaluate.repeats=16".to_owned()]).unwrap();
        assert_eq!(old, RunConfig { recipe: Recipe::First, ..repeats });
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("old.toml");
        std::fs::write(&path, OLD).unwrap();
        let read = RunConfig::resolve("tiny", &Overrides { file: Some(&path), set: &[] }).unwrap();
        assert_eq!(read, new);
        let e = resolve("tiny", &["train.average=0.5"]).unwrap();
        assert_eq!(e.train.ema, 0.5, "the old key of a single setting");
        let repeated = OLD.replace("colour_repeat = 3", "colour_repeat = 7");
        let repeat = RunConfig::from_toml(&repeated).unwrap().loader.repeat;
        assert_eq!((repeat.tag.as_str(), repeat.times), ("color", 7));
        assert_eq!(resolve("tiny", &["loader.colour_repeat=7"]).unwrap().loader.repeat, repeat);
        assert_eq!(resolve("tiny", &["loader.repeat.times=7"]).unwrap().loader.repeat, repeat);
    }

    #[test]
    fn device_and_type_are_settings() {
        let cfg = resolve("tiny", &["device=cuda:1", "dtype=f64"]).unwrap();
        assert_eq!((cfg.device, cfg.dtype), (DeviceRequest::Cuda(1), FloatType::F64));
        assert_eq!(resolve("tiny", &[]).unwrap().device, DeviceRequest::Auto);
        assert!(resolve("tiny", &["dtype=f16"]).unwrap_err().contains("f16"));
        assert!(resolve("tiny", &["device=abacus"]).unwrap_err().contains("abacus"));
    }

    #[test]
    fn precision_is_a_setting_that_older_runs_lack() {
        for (name, precision) in Precision::ALL.into_iter().map(|p| (p.to_string(), p)) {
            let cfg = resolve("tiny", &[&format!("precision={name}")]).unwrap();
            assert_eq!(cfg.precision, precision);
            assert_eq!(RunConfig::from_toml(&cfg.to_toml().unwrap()).unwrap(), cfg);
        }
        assert_eq!(RunConfig::from_toml(OLD).unwrap().precision, Precision::F32);
        assert!(resolve("tiny", &["precision=f16"]).unwrap_err().contains("f32 or tf32 or bf16"));
        let e = resolve("tiny", &["precision=bf16", "dtype=f64"]).unwrap_err();
        assert!(e.contains("`precision`") && e.contains("`dtype`"), "{e}");
    }
}
