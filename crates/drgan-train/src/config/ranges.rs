//! What every setting may be: one table. Values are checked against it before anything is built, and docs/settings.md is
//! made from it.
use super::recipe::Recipe;
use super::seed;
use crate::error::TrainError;
use std::fmt;
use toml::{Table, Value};

/// The values that a setting takes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Range {
    /// A whole number from the first to the second, both included.
    Whole(u64, u64),
    /// A number above the first, up to and including the second.
    Above(f64, f64),
    /// A number from the first to the second, both included.
    Between(f64, f64),
    /// Two numbers, each from the first to the second, both included.
    Pair(f64, f64),
    /// `true` or `false`.
    Flag,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A text.
    Text,
}

use Range::{Above, Between, Flag, OneOf, Pair, Text, Whole};

/// Learning rates. From 1 on, discriminators of `tiny` are not finite after their first step.
const LR: Range = Above(1e-12, 0.5);
/// Decays of Adam's moments: nearer to 1 they would be 1 in single precision.
const BETAS: Range = Pair(0., 0.999_999);
/// Adam's eps: at 0 a weight without a gradient would become 0 / 0.
const EPS: Range = Between(1e-16, 1.);
/// Weights of the objective's terms.
const WEIGHT: Range = Between(0., 1e6);
/// Widths of layers.
const WIDTH: Range = Whole(1, 65_536);
/// Numbers of steps.
const STEPS: Range = Whole(1, 1_000_000_000);
/// MiB of a cache.
const MIB: Range = Whole(0, 1 << 20);
/// Sides of images in pixels.
pub(super) const LARGEST_SIDE: usize = 4096;

/// Every setting with its range, by key, in the order of the sections. What must hold of several settings together is
/// checked beside it.
pub const RANGES: [(&str, Range); 88] = [
    ("preset", Text),
    ("seed", Whole(0, u64::MAX)),
    ("recipe", Whole(1, Recipe::ALL.len() as u64)),
    ("device", Text),
    ("dtype", OneOf(&["f32", "f64"])),
    ("precision", OneOf(&["f32", "tf32", "bf16"])),
    ("train.steps", STEPS),
    ("train.final_lr", Above(0., 1.)),
    ("train.ema", Between(0., 0.999_999_9)),
    ("train.checkpoint_every", STEPS),
    ("train.keep", STEPS),
    ("train.sample_every", STEPS),
    ("train.log_every", STEPS),
    ("data.path", Text),
    ("data.limit", Whole(0, 1_000_000_000)),
    ("data.split", OneOf(&["given", "by-key"])),
    ("loader.batch", Whole(2, 65_536)),
    ("loader.load_side", Whole(0, 4 * LARGEST_SIDE as u64)),
    ("loader.shift", Whole(0, LARGEST_SIDE as u64)),
    ("loader.flip", Flag),
    ("loader.workers", Whole(1, 256)),
    ("loader.cache_mib", MIB),
    ("loader.repeat.tag", Text),
    ("loader.repeat.times", Whole(1, 1000)),
    ("text.encoder", OneOf(&["bi-lstm"])),
    ("text.embedding", WIDTH),
    ("text.words_dim", Whole(2, 65_536)),
    ("text.dropout", Between(0., 0.999)),
    ("image_encoder.backbone", OneOf(&["efficientnet-lite0", "inception-v3"])),
    ("image_encoder.side", Whole(32, LARGEST_SIDE as u64)),
    ("image_encoder.weights", Text),
    ("start.model", Text),
    ("encoders.run", Text),
    ("encoders.text", Text),
    ("encoders.image", Text),
    ("encoders.vocabulary", Text),
    ("damsm.epochs", Whole(0, 1_000_000)),
    ("damsm.batch", Whole(2, 65_536)),
    ("damsm.max_words", Whole(1, 1024)),
    ("damsm.full_rate", Between(0., 1.)),
    ("damsm.opt.kind", OneOf(&["adam"])),
    ("damsm.opt.lr", LR),
    ("damsm.opt.betas", BETAS),
    ("damsm.opt.eps", EPS),
    ("damsm.decay", Above(0., 1.)),
    ("damsm.clip", Above(0., 1e6)),
    ("damsm.cache_mib", MIB),
    ("damsm.gammas.attention", Above(0., 1000.)),
    ("damsm.gammas.words", Above(0., 50.)),
    ("damsm.gammas.batch", Above(0., 1000.)),
    ("generator.base", Whole(16, 1024)),
    ("generator.stages", Whole(1, 8)),
    ("generator.ngf", Whole(2, 4096)),
    ("generator.nz", WIDTH),
    ("generator.nc", WIDTH),
    ("generator.residual_blocks", Whole(1, 64)),
    ("generator.form", OneOf(&["paper", "released"])),
    ("generator.mask_logit_scale", Above(0., 1000.)),
    ("generator.condition_init.weight_scale", Above(0., 100.)),
    ("generator.condition_init.logvar_bias", Between(-20., 20.)),
    ("discriminator.ndf", Whole(1, 4096)),
    ("discriminator.latent", WIDTH),
    ("discriminator.form", OneOf(&["paper", "released"])),
    ("generator_opt.kind", OneOf(&["adam"])),
    ("generator_opt.lr", LR),
    ("generator_opt.betas", BETAS),
    ("generator_opt.eps", EPS),
    ("discriminator_opt.kind", OneOf(&["adam"])),
    ("discriminator_opt.lr", LR),
    ("discriminator_opt.betas", BETAS),
    ("discriminator_opt.eps", EPS),
    ("augment.probability", Between(0., 1.)),
    ("augment.target", Between(0., 0.99)),
    ("augment.adapt_images", Whole(1, 1_000_000_000_000)),
    ("augment.color", Between(0., 1.)),
    ("augment.translation", Between(0., 1.)),
    ("augment.cutout", Between(0., 1.)),
    ("loss.lambda", WEIGHT),
    ("loss.sdl_image", WEIGHT),
    ("loss.sdl_context", WEIGHT),
    ("loss.rirm", WEIGHT),
    ("loss.dnm", WEIGHT),
    ("loss.dal", WEIGHT),
    ("loss.condition_kl", WEIGHT),
    ("evaluate.samples", Whole(0, 1_000_000)),
    ("evaluate.seeds", Whole(1, 10_000)),
    ("evaluate.repeats", Whole(2, 10_000)),
    ("evaluate.candidates", Whole(2, 1_000_000)),
];

impl Range {
    /// The range of a setting.
    pub fn of(key: &str) -> Option<Self> {
        RANGES.iter().find(|(known, _)| *known == key).map(|(_, range)| *range)
    }

    /// Whether the range holds a value.
    fn holds(self, value: &Value) -> bool {
        match (self, value) {
            // Of all settings only a seed may be a text of digits.
            (Whole(low, high), value) => seed::whole(value).is_some_and(|i| (low..=high).contains(&i)),
            (Above(low, high), Value::Float(x)) => *x > low && *x <= high,
            (Between(low, high), Value::Float(x)) => (low..=high).contains(x),
            (Pair(low, high), Value::Array(pair)) => {
                let number = |v: &Value| v.as_float().or_else(|| v.as_integer().map(|i| i as f64));
                pair.len() == 2 && pair.iter().all(|v| number(v).is_some_and(|x| (low..=high).contains(&x)))
            }
            (Flag, Value::Boolean(_)) => true,
            (OneOf(words), Value::String(word)) => words.contains(&word.as_str()),
            (Text, Value::String(_)) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whole(low, high) => write!(f, "a whole number of at least {low} and at most {high}"),
            Above(low, high) => write!(f, "a number above {} and at most {}", Short(*low), Short(*high)),
            Between(low, high) => {
                write!(f, "a number of at least {} and at most {}", Short(*low), Short(*high))
            }
            Pair(low, high) => {
                write!(f, "two numbers, each at least {} and at most {}", Short(*low), Short(*high))
            }
            Flag => write!(f, "true or false"),
            OneOf(words) => write!(f, "{}", words.join(" or ")),
            Text => write!(f, "a text"),
        }
    }
}

/// A bound without a row of zeros.
struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            x if x != 0. && !(1e-3..1e6).contains(&x.abs()) => write!(f, "{x:e}"),
            x => write!(f, "{x}"),
        }
    }
}

/// Refuses the first value that is out of its setting's range.
///
/// # Errors
/// The setting, its value and its range.
pub(super) fn check(settings: &Table) -> Result<(), TrainError> {
    let mut found = leaves(settings).into_iter();
    found.try_for_each(|(key, value)| {
        outside(&key, value)?.map_or(Ok(()), |said| Err(TrainError::Config(said)))
    })
}

/// As [`check`] for a run that began by the settings `saved`: what is the same in `settings` and out of its range is kept and
/// said, unless memory would be asked for by it.
///
/// # Errors
/// As [`check`] for a value that is not the saved one, or for a size that is larger than the largest.
pub(super) fn check_resumed(saved: &Table, settings: &Table) -> Result<Vec<String>, TrainError> {
    let (saved, mut kept) = (leaves(saved), Vec::new());
    for (key, value) in leaves(settings) {
        let Some(said) = outside(&key, value)? else { continue };
        let is_saved = saved.iter().any(|(k, v)| *k == key && same(v, value));
        if !is_saved || is_too_large(&key, value) {
            return Err(TrainError::Config(said));
        }
        kept.push(format!("{said} in a new run; this one began with it and keeps it"));
    }
    Ok(kept)
}

/// Whether two values are equal, NaN equal to itself.
fn same(a: &Value, b: &Value) -> bool {
    a == b || a.to_string() == b.to_string()
}

/// Whether a value is a size above its range. Numbers of steps ask for no memory.
fn is_too_large(key: &str, value: &Value) -> bool {
    match (Range::of(key), value) {
        (Some(Whole(_, most)), Value::Integer(i)) => {
            !key.starts_with("train.") && u64::try_from(*i).is_ok_and(|i| i > most)
        }
        _ => false,
    }
}

/// What is to be said of a value out of its setting's range.
///
/// # Errors
/// A setting without a range.
fn outside(key: &str, value: &Value) -> Result<Option<String>, TrainError> {
    match Range::of(key) {
        Some(range) if range.holds(value) => Ok(None),
        Some(range) => Ok(Some(format!("`{key}` is {value}: it must be {range}"))),
        None => Err(TrainError::Config(format!("`{key}` has no range"))),
    }
}

/// Every value of a table with its dotted key.
pub(super) fn leaves(table: &Table) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(section) => {
                found.extend(leaves(section).into_iter().map(|(below, v)| (format!("{key}.{below}"), v)));
            }
            value => found.push((key.clone(), value)),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, RunConfig};

    fn resolve(set: &[String]) -> Result<RunConfig, TrainError> {
        RunConfig::resolve("tiny", &Overrides { file: None, set })
    }

    #[test]
    fn every_setting_has_a_range_and_every_range_a_setting() {
        let all = RunConfig::default().to_table().unwrap();
        let keys: Vec<String> = leaves(&all).into_iter().map(|(key, _)| key).collect();
        for key in &keys {
            assert!(Range::of(key).is_some(), "`{key}` has no range: give it one in RANGES");
        }
        for (key, _) in RANGES {
            assert!(keys.iter().any(|k| k == key), "`{key}` of RANGES is no setting");
        }
        assert_eq!(RANGES.len(), keys.len(), "a setting stands in RANGES twice");
        check(&all).unwrap();
    }

    #[test]
    fn extreme_values_of_every_setting_are_taken_or_refused_by_its_key() {
        let values = [
            "0",
            "1",
            "2",
            "-1",
            "1000000000",
            "2147483648",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "nan",
            "-nan",
            "inf",
            "-inf",
            "1e9",
            "1e308",
            "-1e308",
            "1e-320",
            "-0.0",
            "[]",
            "[0.5]",
            "[nan, 2]",
            "[0.5, 0.9, 0.9]",
            "[1, 1]",
            "[-1, 0.5]",
            "[\"a\", 0.5]",
            "many",
            "\"1\"",
            "true",
            "{}",
            "",
        ];
        let all = RunConfig::default().to_table().unwrap();
        for (key, _) in leaves(&all) {
            for value in values {
                let said = match resolve(&[format!("{key}={value}")]) {
                    Ok(cfg) => {
                        // What was taken is a configuration that can be written and read.
                        let written = cfg.to_toml().unwrap_or_else(|e| panic!("{key}={value}: {e}"));
                        assert_eq!(RunConfig::from_toml(&written).unwrap(), cfg, "{key}={value}");
                        continue;
                    }
                    Err(e) => e.to_string(),
                };
                // A value may contradict another setting, which is named then.
                let section = key.split('.').next().unwrap_or_default();
                assert!(said.contains(section), "{key}={value}: {said}");
            }
        }
    }

    #[test]
    fn a_resumed_run_keeps_values_out_of_range_and_new_ones_are_refused() {
        let mut begun = resolve(&[]).unwrap();
        begun.generator_opt.eps = 0.;
        begun.damsm.opt.betas = (0.5, 0.999_999_9);
        let (cfg, said) = begun.resumed(&["train.steps=9".to_owned()]).unwrap();
        assert_eq!((cfg.generator_opt.eps, cfg.train.steps), (0., 9));
        let [damsm, generator] = &said[..] else { panic!("{said:?}") };
        assert!(
            damsm.starts_with("`damsm.opt.betas` is [0.5, 0.9999999]: it must be two numbers"),
            "{damsm}"
        );
        assert!(
            generator.contains("`generator_opt.eps` is 0.0") && generator.contains("keeps it"),
            "{generator}"
        );
        let e = begun.resumed(&["discriminator_opt.eps=0".to_owned()]).unwrap_err().to_string();
        assert!(e.starts_with("`discriminator_opt.eps` is 0.0"), "{e}");
        begun.loader.load_side = 100_000;
        let e = begun.resumed(&[]).unwrap_err().to_string();
        assert!(e.starts_with("`loader.load_side` is 100000"), "{e}");
        assert_eq!(resolve(&[]).unwrap().resumed(&[]).unwrap().1, Vec::<String>::new());
    }

    #[test]
    fn a_range_holds_its_bounds_and_nothing_beside_them() {
        let taken = |set: &str| resolve(&[set.to_owned()]).map(drop).map_err(|e| e.to_string());
        for (key, range) in RANGES {
            if let OneOf(words) = range {
                // `inception-v3` alone is a setting; its weights are asked for later.
                words.iter().for_each(|word| taken(&format!("{key}={word}")).unwrap());
                assert!(taken(&format!("{key}=many")).expect_err(key).contains(&format!("`{key}`")));
            }
            let (below, above) = match range {
                Whole(low, high) => (i128::from(low) - 1, i128::from(high) + 1),
                _ => continue,
            };
            for out in [below, above] {
                let e = taken(&format!("{key}={out}")).expect_err(key);
                assert!(e.contains(&format!("`{key}`")), "{e}");
            }
        }
        for set in ["damsm.opt.betas=[0, 0.999]", "train.final_lr=1", "evaluate.samples=0", "damsm.epochs=0"]
        {
            taken(set).unwrap();
        }
        let e = taken("damsm.opt.betas=[nan, 2]").unwrap_err();
        assert_eq!(
            e,
            "`damsm.opt.betas` is [nan, 2]: it must be two numbers, each at least 0 and at most 0.999999"
        );
        let e = taken("train.final_lr=0").unwrap_err();
        assert_eq!(e, "`train.final_lr` is 0.0: it must be a number above 0 and at most 1");
    }
}
