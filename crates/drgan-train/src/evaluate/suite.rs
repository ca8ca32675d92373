//! The metrics of an evaluation: each is a row of [`METRICS`], and nothing else knows them by name.
use super::extract::{Extracted, Reality, Samples, distinct};
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

/// A number with its 95 % interval, where there is one.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Measured(f64, Option<[f64; 2]>);

impl From<f64> for Measured {
    fn from(value: f64) -> Self {
        Self(value, None)
    }
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
    measure: fn(Source<'_>) -> Result<Option<Measured>, TrainError>,
}

/// Why there are no attribute accuracies.
const PROMPTS: &str =
    "the data set does not show each of the 27 prompts, \"a red circle\" to \"a white heart\"";
/// Why there is no R-precision.
const CAPTIONS: &str = "all captions of the samples are the same";
/// Why nothing is measured with held-out images.
pub(super) const HELD_OUT: &str = "fewer than two images are held out";
/// The same of R-precision.
const HELD_OUT_CAPTIONS: &str = "fewer than two images with different captions are held out";

impl Metric {
    const fn new(
        (name, label): (&'static str, &'static str),
        better: Better,
        missing: &'static str,
        measure: fn(Source<'_>) -> Result<Option<Measured>, TrainError>,
    ) -> Self {
        Self { name, label, better, count: false, missing, measure }
    }

    const fn counting(self) -> Self {
        Self { count: true, ..self }
    }
}

/// All metrics, in the order of a table.
pub const METRICS: [Metric; 11] = [
    Metric::new(("hue", "hue within 30 degrees"), Better::Higher, PROMPTS, |s| {
        Ok(s.images.attributes.as_ref().map(|a| Measured(a.hue, a.intervals().hue)))
    }),
    Metric::new(("lab", "nearest of nine colours (Lab)"), Better::Higher, PROMPTS, |s| {
        Ok(s.images.attributes.as_ref().map(|a| Measured(a.lab, a.intervals().lab)))
    }),
    Metric::new(("shape", "nearest of three shapes"), Better::Higher, PROMPTS, |s| {
        Ok(s.images.attributes.as_ref().map(|a| Measured(a.shape, a.intervals().shape)))
    }),
    Metric::new(("within_caption", "diversity within caption / group"), Better::Higher, "", |s| {
        Ok(s.images.within_caption.map(|distance| (distance / s.reality.group_distance).into()))
    }),
    Metric::new(("pair_distance", "pair distance / real"), Better::Neither, "", |s| {
        let features = &s.images.train.features;
        let distance = diversity(features, &distinct(features.dim(0)?))?;
        Ok(Some((distance / s.reality.pair_distance).into()))
    }),
    Metric::new(("held_out_kid", "KID, held-out captions"), Better::Lower, HELD_OUT, |s| {
        let pair = s.images.held_out.as_ref().zip(s.reality.held_out.as_ref());
        pair.map(|(samples, part)| Ok(kid(&samples.features, &part.features)?.into())).transpose()
    }),
    Metric::new(("kid", "KID, training captions"), Better::Lower, "", |s| {
        Ok(Some(kid(&s.images.train.features, &s.reality.train.features)?.into()))
    }),
    Metric::new(
        ("held_out_r_precision", "R-precision, held-out captions"),
        Better::Higher,
        HELD_OUT_CAPTIONS,
        |s| Ok(held_out_retrieval(s)?.map(|r| r.image_to_text.into())),
    ),
    Metric::new(
        ("held_out_candidates", "  of this many candidates"),
        Better::Neither,
        HELD_OUT_CAPTIONS,
        |s| Ok(held_out_retrieval(s)?.map(|r| (r.candidates as f64).into())),
    )
    .counting(),
    Metric::new(("r_precision", "R-precision, training captions"), Better::Higher, CAPTIONS, |s| {
        Ok(retrieval(s, &s.images.train)?.map(|r| r.image_to_text.into()))
    }),
    Metric::new(("candidates", "  of this many candidates"), Better::Neither, CAPTIONS, |s| {
        Ok(retrieval(s, &s.images.train)?.map(|r| (r.candidates as f64).into()))
    })
    .counting(),
];

/// The numbers of one source of images, by [`Metric::name`]; none where the source or the data set cannot give one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Scores {
    /// 95 % intervals of some of them.
    #[serde(default)]
    intervals: BTreeMap<String, [f64; 2]>,
    #[serde(flatten)]
    values: BTreeMap<String, Option<f64>>,
}

impl Serialize for Scores {
    /// A map of names to numbers, in which counts are integers, and to `intervals`, a map of names to lower and upper ends.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Number {
            Integer(u64),
            Float(Option<f64>),
            Intervals(BTreeMap<String, [f64; 2]>),
        }
        let number = |(name, value): (&String, &Option<f64>)| {
            let count = METRICS.iter().any(|m| m.count && m.name == name);
            match *value {
                Some(value) if count => (name.clone(), Number::Integer(value as u64)),
                value => (name.clone(), Number::Float(value)),
            }
        };
        let intervals = Some(&self.intervals).filter(|all| !all.is_empty());
        let intervals = intervals.map(|all| ("intervals".to_owned(), Number::Intervals(all.clone())));
        to.collect_map(self.values.iter().map(number).chain(intervals))
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
        let mut scores = Self::default();
        for metric in &METRICS {
            let found = (metric.measure)(source)?;
            scores.values.insert(metric.name.to_owned(), found.map(|Measured(value, _)| value));
            if let Some(Measured(_, Some(interval))) = found {
                scores.intervals.insert(metric.name.to_owned(), interval);
            }
        }
        Ok(scores)
    }

    /// The value of the metric called `name`, if it was measured.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values.get(name).copied().flatten()
    }

    /// The 95 % interval of the metric called `name`, captions resampled, if it has one.
    pub fn interval(&self, name: &str) -> Option<[f64; 2]> {
        self.intervals.get(name).copied()
    }
}

/// R-precision; none where all captions are the same.
fn retrieval(s: Source<'_>, samples: &Samples) -> Result<Option<RPrecision>, TrainError> {
    let Samples { codes, sentences, texts, .. } = samples;
    Ok(r_precision(codes, sentences, texts, s.cfg.evaluate.candidates, s.cfg.seed)?)
}

/// The same of held-out captions; none where there are none.
fn held_out_retrieval(s: Source<'_>) -> Result<Option<RPrecision>, TrainError> {
    s.images.held_out.as_ref().map_or(Ok(None), |samples| retrieval(s, samples))
}
