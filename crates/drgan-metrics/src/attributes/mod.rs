//! Attribute accuracy: the share of images that show the color and the shape that their caption names.
//!
//! There are nine colors and three shapes, and one real image of each of the 27 captions to compare with.
mod color;
mod foreground;
mod shape;

pub use color::Color;
pub use shape::Shape;

use crate::interval::{Hits, share_interval};
use candle_core::Tensor;
use color::{SAME_HUE, hue_difference, lab_distance};
use drgan_tensor::{Error, Result, expect_shape};
use foreground::Foreground;
use serde::Serialize;
use shape::overlap;
use std::fmt;

/// A caption that names a color and a shape, such as "a red circle".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Prompt {
    /// The color that the prompt names.
    pub color: Color,
    /// The shape that the prompt names.
    pub shape: Shape,
}

impl Prompt {
    /// Number of prompts.
    pub const COUNT: usize = Color::ALL.len() * Shape::ALL.len();

    /// All prompts, in the order of [`Prompt::index`]: the shapes of red, then those of orange, and so on.
    pub fn all() -> impl Iterator<Item = Self> {
        Color::ALL
            .into_iter()
            .flat_map(|color| Shape::ALL.into_iter().map(move |shape| Self { color, shape }))
    }

    /// The prompt's place in [`Prompt::all`].
    pub fn index(self) -> usize {
        self.color.index() * Shape::ALL.len() + self.shape.index()
    }
}

impl fmt::Display for Prompt {
    /// The caption, with its article.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let article = if self.color == Color::Orange { "an" } else { "a" };
        write!(f, "{article} {} {}", self.color, self.shape)
    }
}

/// A real image of a prompt.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The prompt whose object the image shows.
    pub prompt: Prompt,
    /// The image, `(3, H, W)` in `[-1, 1]`, on white.
    pub image: Tensor,
}

/// The attributes that one sample was found to have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SampleAttributes {
    /// The prompt that the image was drawn for.
    pub prompt: Prompt,
    /// Degrees between the hues of the sample and of the real image, in `[0, 180]`; none where either has no hue.
    pub hue_error: Option<f64>,
    /// Color of the real image nearest in color; none for an empty sample.
    pub color: Option<Color>,
    /// Shape of the real image nearest in silhouette; none for an empty sample.
    pub shape: Option<Shape>,
}

/// Shares of samples with the right attribute, each in `[0, 1]`; all are 1 for the real images themselves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttributeScores {
    /// Share with a hue within 30 degrees of the real image's, over the samples of the six chromatic colors; NaN without any.
    pub hue: f64,
    /// Share whose nearest of the nine real images of its shape, by mean color in CIELAB, is its own. Chance is 1/9.
    pub lab: f64,
    /// Share whose nearest of the three real images of its color, by overlap of silhouettes, is its own. Chance is 1/3.
    pub shape: f64,
    /// Attributes of each sample, in the order of the samples.
    pub samples: Vec<SampleAttributes>,
}

/// What each share of [`AttributeScores`] asks of a sample: none where it asks nothing, else whether it has the attribute.
type Question = fn(&SampleAttributes) -> Option<bool>;

const HUE: Question = |s| s.prompt.color.is_chromatic().then(|| s.hue_error.is_some_and(|e| e <= SAME_HUE));
const LAB: Question = |s| Some(s.color == Some(s.prompt.color));
const SHAPE: Question = |s| Some(s.shape == Some(s.prompt.shape));

/// The samples that hit, and all that were asked.
fn hits<'a>(samples: impl Iterator<Item = &'a SampleAttributes>, question: Question) -> Hits {
    samples
        .filter_map(question)
        .fold(Hits::default(), |sum, hit| Hits { hits: sum.hits + usize::from(hit), of: sum.of + 1 })
}

impl FromIterator<SampleAttributes> for AttributeScores {
    fn from_iter<I: IntoIterator<Item = SampleAttributes>>(samples: I) -> Self {
        let samples: Vec<_> = samples.into_iter().collect();
        let share = |question| {
            let found = hits(samples.iter(), question);
            found.hits as f64 / found.of as f64
        };
        Self { hue: share(HUE), lab: share(LAB), shape: share(SHAPE), samples }
    }
}

/// 95 % intervals of the shares of [`AttributeScores`]; none where there are no samples to ask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttributeIntervals {
    /// That of [`AttributeScores::hue`].
    pub hue: Option<[f64; 2]>,
    /// That of [`AttributeScores::lab`].
    pub lab: Option<[f64; 2]>,
    /// That of [`AttributeScores::shape`].
    pub shape: Option<[f64; 2]>,
}

impl AttributeScores {
    /// Intervals of the shares by resampling prompts, see [`share_interval`].
    pub fn intervals(&self) -> AttributeIntervals {
        let interval = |question| {
            let of_prompt = |prompt| hits(self.samples.iter().filter(|s| s.prompt == prompt), question);
            share_interval(&Prompt::all().map(of_prompt).collect::<Vec<_>>())
        };
        AttributeIntervals { hue: interval(HUE), lab: interval(LAB), shape: interval(SHAPE) }
    }
}

/// Attribute accuracy by comparison with real images.
///
/// Colors are compared within a shape and silhouettes within a color, so that each score asks one thing. The object of an
/// image is all that near-white does not reach from the border; its hue is the circular mean over its saturated pixels.
#[derive(Debug)]
pub struct AttributeAccuracy {
    /// The object of each prompt's real image, by [`Prompt::index`].
    real: Vec<Foreground>,
    /// Height and width of all images.
    size: (usize, usize),
}

fn refuse(field: &'static str, reason: String) -> Error {
    Error::Config { field, reason }
}

impl AttributeAccuracy {
    /// Measures the real images, one of each prompt, in any order.
    ///
    /// # Errors
    /// A prompt without an image or with two, images of different sizes, or one that shows nothing (or, for a chromatic color,
    /// no hue).
    pub fn from_references(references: &[Reference]) -> Result<Self> {
        const FIELD: &str = "AttributeAccuracy::from_references: references";
        let all = Prompt::COUNT;
        let size = match references.first().map(|r| r.image.dims()) {
            Some(&[_, h, w]) => (h, w),
            Some(dims) => {
                let expected = "(3, H, W)".into();
                return Err(Error::Shape { what: FIELD, expected, got: dims.to_vec() });
            }
            None => return Err(refuse(FIELD, format!("none given; give all {all}"))),
        };
        let mut real: Vec<Option<Foreground>> = (0..all).map(|_| None).collect();
        for Reference { prompt, image } in references {
            check_image(FIELD, image, size)?;
            let Some(found) = Foreground::of(image)? else {
                return Err(refuse(FIELD, format!("the image of `{prompt}` is white all over")));
            };
            if prompt.color.is_chromatic() && found.hue.is_none() {
                return Err(refuse(FIELD, format!("the image of `{prompt}` has no hue")));
            }
            if real[prompt.index()].replace(found).is_some() {
                return Err(refuse(FIELD, format!("two images of `{prompt}`; give one of each")));
            }
        }
        let missing = |prompt: Prompt| refuse(FIELD, format!("no image of `{prompt}`; give all {all}"));
        let real = real.into_iter().zip(Prompt::all()).map(|(f, prompt)| f.ok_or_else(|| missing(prompt)));
        Ok(Self { real: real.collect::<Result<_>>()?, size })
    }

    /// Scores images, each with the prompt it was made for; any number of each prompt.
    ///
    /// # Shapes
    /// `(3, H, W)` as the references, in `[-1, 1]`.
    ///
    /// # Errors
    /// No samples, or an image of another shape.
    pub fn score(&self, samples: &[(Prompt, Tensor)]) -> Result<AttributeScores> {
        const FIELD: &str = "AttributeAccuracy::score: samples";
        if samples.is_empty() {
            return Err(refuse(FIELD, "none given; give at least one".into()));
        }
        let found = samples.iter().map(|(prompt, image)| {
            check_image(FIELD, image, self.size)?;
            Ok(self.attributes(*prompt, Foreground::of(image)?.as_ref()))
        });
        found.collect()
    }

    fn attributes(&self, prompt: Prompt, found: Option<&Foreground>) -> SampleAttributes {
        let Prompt { color, shape } = prompt;
        let real = |color, shape| &self.real[Prompt { color, shape }.index()];
        let hues = found.and_then(|f| f.hue).zip(real(color, shape).hue);
        SampleAttributes {
            prompt,
            hue_error: hues.map(|(a, b)| hue_difference(a, b)),
            color: found.and_then(|f| nearest(Color::ALL, |c| lab_distance(f.lab, real(c, shape).lab))),
            shape: found.and_then(|f| nearest(Shape::ALL, |s| -overlap(&f.mask, &real(color, s).mask))),
        }
    }
}

/// The first of `all` with the smallest distance.
fn nearest<T: Copy, const N: usize>(all: [T; N], distance: impl Fn(T) -> f64) -> Option<T> {
    all.into_iter().min_by(|&a, &b| distance(a).total_cmp(&distance(b)))
}

fn check_image(what: &'static str, image: &Tensor, (h, w): (usize, usize)) -> Result<()> {
    let documented = format!("(3, {h}, {w}), as the first reference");
    expect_shape(what, image, &[Some(3), Some(h), Some(w)], &documented)
}
