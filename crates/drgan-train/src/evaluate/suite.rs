//! The metrics of an evaluation: each is a row of [`METRICS`], and nothing else knows them by name.
use super::extract::{Extracted, Reality, distinct};
use crate::config::RunConfig;
use crate::error::TrainError;
use drgan_metrics::{RPrecision, diversity, kid, r_precision};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;

/// Which values of a metric are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Better {
    /// Larger values are better.
    Higher,
    /// Smaller values are better.
    Lower,
    /// Neither: the number tells how to read another, or should be near that of real images.
    Neither,
}

/// What a metric is computed from.
#[derive(Clone, Copy, Debug)]
struct Source<'a> {
    cfg: &'a RunConfig,
    images: &'a Extracted,
    reality: &'a Reality,
}

/// A metric of an evaluation: its name and how it is computed.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// The metric's key in evaluation.json.
    pub name: &'static str,
    /// What the metric's row of a table is called.
    pub label: &'static str,
    /// Which values are better.
    pub better: Better,
    /// A number of things, which evaluation.json holds as an integer.
    pub count: bool,
    /// Why the metric may be missing of generated images.
    pub missing: &'static str,
    measure: fn(Source<'_>) -> Result<Option<f64>, TrainError>,
}

/// Why there are no attribute accuracies.
const PROMPTS: &str =
    "the data set does not show each of the 27 prompts, \"a red circle\" to \"a white heart\"";
/// Why there is no R-precision.
const CAPTIONS: &str = "all captions of the samples are the same";

/// All metrics, in the order of a table.
pub const METRICS: [Metric; 8] = [
    Metric {
        name: "hue",
        label: "hue within 30 degrees",
        better: Better::Higher,
        count: false,
        missing: PROMPTS,
        measure: |s| Ok(s.images.attributes.as_ref().map(|a| a.hue)),
    },
    Metric {
        name: "lab",
        label: "nearest of nine colours (Lab)",
        better: Better::Higher,
        count: false,
        missing: PROMPTS,
        measure: |s| Ok(s.images.attributes.as_ref().map(|a| a.lab)),
    },
    Metric {
        name: "shape",
        label: "nearest of three shapes",
        better: Better::Higher,
        count: false,
        missing: PROMPTS,
        measure: |s| Ok(s.images.attributes.as_ref().map(|a| a.shape)),
    },
    Metric {
        name: "pair_distance",
        label: "pair distance / real",
        better: Better::Neither,
        count: false,
        missing: "",
        measure: |s| {
            let distance = diversity(&s.images.features, &distinct(s.images.texts.len()))?;
            Ok(Some(distance / s.reality.pair_distance))
        },
    },
    Metric {
        name: "noise_diversity",
        label: "noise diversity",
        better: Better::Higher,
        count: false,
        missing: "",
        measure: noise_diversity,
    },
    Metric {
        name: "kid",
        label: "KID (backbone features)",
        better: Better::Lower,
        count: false,
        missing: "",
        measure: |s| Ok(Some(kid(&s.images.features, &s.reality.features)?)),
    },
    Metric {
        name: "r_precision",
        label: "R-precision",
        better: Better::Higher,
        count: false,
        missing: CAPTIONS,
        measure: |s| Ok(retrieval(s)?.map(|r| r.image_to_text)),
    },
    Metric {
        name: "candidates",
        label: "  of this many candidates",
        better: Better::Neither,
        count: true,
        missing: CAPTIONS,
        measure: |s| Ok(retrieval(s)?.map(|r| r.candidates as f64)),
    },
];

/// The numbers of one source of images, by [`Metric::name`]; none where the source or the data set cannot give one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Scores(BTreeMap<String, Option<f64>>);

impl Serialize for Scores {
    /// A map of names to numbers, in which counts are integers.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Number {
            Integer(u64),
            Float(Option<f64>),
        }
        let number = |(name, value): (&String, &Option<f64>)| {
            let count = METRICS.iter().any(|m| m.count && m.name == name);
            match *value {
                Some(value) if count => (name.clone(), Number::Integer(value as u64)),
                value => (name.clone(), Number::Float(value)),
            }
        };
        to.collect_map(self.0.iter().map(number))
    }
}

impl Scores {
    /// Every metric of `images`.
    pub(super) fn measure(
        cfg: &RunConfig,
        images: &Extracted,
        reality: &Reality,
    ) -> Result<Self, TrainError> {
        let source = Source { cfg, images, reality };
        let one = |m: &Metric| Ok((m.name.to_owned(), (m.measure)(source)?));
        METRICS.iter().map(one).collect::<Result<_, TrainError>>().map(Self)
    }

    /// The value of the metric called `name`, if it was measured.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied().flatten()
    }
}

/// Mean feature distance of one caption's images under different noise, over that of different captions' images.
fn noise_diversity(s: Source<'_>) -> Result<Option<f64>, TrainError> {
    let Some(repeated) = &s.images.repeated else { return Ok(None) };
    let (captions, seeds) = (repeated.captions, repeated.seeds);
    let of_caption: Vec<usize> = (0..captions * seeds).map(|i| i / seeds).collect();
    let between = diversity(&repeated.features, &of_caption)?;
    let mut within = 0.;
    for c in 0..captions {
        within += diversity(&repeated.features.narrow(0, c * seeds, seeds)?, &distinct(seeds))?;
    }
    Ok(Some(within / captions as f64 / between.max(f64::MIN_POSITIVE)))
}

/// R-precision; none where all captions are the same.
fn retrieval(s: Source<'_>) -> Result<Option<RPrecision>, TrainError> {
    let Extracted { codes, sentences, texts, .. } = s.images;
    Ok(r_precision(codes, sentences, texts, s.cfg.evaluate.candidates, s.cfg.seed)?)
}
