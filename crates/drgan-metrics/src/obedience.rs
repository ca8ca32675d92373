//! Does the picture show what the caption says? Nine colours and three shapes, judged against 27 real pictures.
use crate::foreground::Foreground;
use candle_core::Tensor;
use drgan_tensor::{Error, Result, expect_shape};
use serde::Serialize;

/// Colours by index; the first [`CHROMATIC`] have a hue.
pub const COLOURS: [&str; 9] =
    ["red", "orange", "yellow", "green", "blue", "purple", "brown", "black", "white"];
/// Shapes by index.
pub const SHAPES: [&str; 3] = ["circle", "square", "heart"];
/// How many of [`COLOURS`] the hue is asked of.
pub const CHROMATIC: usize = 6;
/// Degrees between two hues that are still one colour.
const SAME_HUE: f64 = 30.;
/// How many captions there are.
const COUNT: usize = COLOURS.len() * SHAPES.len();

/// The 27 captions with colour and shape: "a red circle", "a red square", "a red heart", "an orange circle", ...
pub fn captions() -> impl Iterator<Item = (usize, usize, String)> {
    (0..COUNT).map(|i| (i / SHAPES.len(), i % SHAPES.len(), caption(i)))
}

fn caption(i: usize) -> String {
    let (colour, shape) = (COLOURS[i / SHAPES.len()], SHAPES[i % SHAPES.len()]);
    let article = if colour == "orange" { "an" } else { "a" };
    format!("{article} {colour} {shape}")
}

/// A real picture of one caption.
#[derive(Clone, Debug)]
pub struct Reference {
    /// Index into [`COLOURS`].
    pub colour: usize,
    /// Index into [`SHAPES`].
    pub shape: usize,
    /// `(3, H, W)` in `[-1, 1]`, on white.
    pub image: Tensor,
}

/// What one sample was taken for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ObedienceDetail {
    /// Index into [`captions`].
    pub caption: usize,
    /// Degrees between the sample's hue and the real one's, in `[0, 180]`; none without a hue on either side.
    pub hue_error: Option<f64>,
    /// Index into [`COLOURS`] of the real picture nearest in colour; none for an empty picture.
    pub colour: Option<usize>,
    /// Index into [`SHAPES`] of the real picture nearest in silhouette; none for an empty picture.
    pub shape: Option<usize>,
}

/// Shares of obeying samples, each in `[0, 1]`; all are 1 on the real pictures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ObedienceScores {
    /// Hue within 30 degrees of the real picture's, over the samples of the six chromatic names; NaN without any.
    pub hue: f64,
    /// Nearest of the nine real pictures of its shape, by mean colour in CIELAB, is its own. Chance is 1/9.
    pub lab: f64,
    /// Nearest of the three real pictures of its colour, by overlap of silhouettes, is its own. Chance is 1/3.
    pub shape: f64,
    /// One a sample, in the samples' order.
    pub details: Vec<ObedienceDetail>,
}

/// The real pictures' silhouettes and colours.
///
/// Colours are compared within a shape, silhouettes within a colour: each measure asks one thing. The object is all
/// that near-white does not reach from the border; its hue is the circular mean over its saturated pixels.
pub struct Obedience {
    // By caption index.
    real: Vec<Foreground>,
    size: (usize, usize),
}

fn refuse(field: &'static str, reason: String) -> Error {
    Error::Config { field, reason }
}

impl Obedience {
    /// Measures the real pictures, one of each caption, in any order.
    ///
    /// # Errors
    /// An index out of range, a caption without a picture or with two, pictures of different sizes, or one that shows
    /// nothing (or, for a chromatic name, no hue).
    pub fn from_references(references: &[Reference]) -> Result<Self> {
        const FIELD: &str = "Obedience::from_references: references";
        let size = match references.first().map(|r| r.image.dims()) {
            Some(&[_, h, w]) => (h, w),
            Some(dims) => {
                let expected = "(3, H, W)".into();
                return Err(Error::Shape { what: FIELD, expected, got: dims.to_vec() });
            }
            None => return Err(refuse(FIELD, format!("none given; give all {COUNT}"))),
        };
        let mut real: Vec<Option<Foreground>> = (0..COUNT).map(|_| None).collect();
        for r in references {
            if r.colour >= COLOURS.len() || r.shape >= SHAPES.len() {
                let (c, s) = (r.colour, r.shape);
                return Err(refuse(FIELD, format!("colour {c} of 9 or shape {s} of 3 is out of range")));
            }
            let i = r.colour * SHAPES.len() + r.shape;
            let name = caption(i);
            check_picture(FIELD, &r.image, size)?;
            let Some(found) = Foreground::of(&r.image)? else {
                return Err(refuse(FIELD, format!("the picture of `{name}` is white all over")));
            };
            if r.colour < CHROMATIC && found.hue.is_none() {
                return Err(refuse(FIELD, format!("the picture of `{name}` has no hue")));
            }
            if real[i].replace(found).is_some() {
                return Err(refuse(FIELD, format!("two pictures of `{name}`; give one of each")));
            }
        }
        let missing = |i: usize| refuse(FIELD, format!("no picture of `{}`; give all {COUNT}", caption(i)));
        let real = real.into_iter().enumerate().map(|(i, f)| f.ok_or_else(|| missing(i)));
        Ok(Self { real: real.collect::<Result<_>>()?, size })
    }

    /// Judges pictures, each with its index into [`captions`]; any number of each caption.
    ///
    /// # Shapes
    /// `(3, H, W)` as the references, in `[-1, 1]`.
    ///
    /// # Errors
    /// No samples, an index out of range, or a picture of another shape.
    pub fn score(&self, samples: &[(usize, Tensor)]) -> Result<ObedienceScores> {
        const FIELD: &str = "Obedience::score: samples";
        if samples.is_empty() {
            return Err(refuse(FIELD, "none given; give at least one".into()));
        }
        let details = samples.iter().map(|(i, image)| {
            if *i >= COUNT {
                return Err(refuse(FIELD, format!("caption index {i}; there are {COUNT}")));
            }
            check_picture(FIELD, image, self.size)?;
            Ok(self.judge(*i, Foreground::of(image)?.as_ref()))
        });
        let details = details.collect::<Result<Vec<_>>>()?;
        let share = |asked: &dyn Fn(&ObedienceDetail) -> bool, good: &dyn Fn(&ObedienceDetail) -> bool| {
            let of = details.iter().filter(|d| asked(d));
            of.clone().filter(|d| good(d)).count() as f64 / of.count() as f64
        };
        let colour = |d: &ObedienceDetail| d.caption / SHAPES.len();
        Ok(ObedienceScores {
            hue: share(&|d| colour(d) < CHROMATIC, &|d| d.hue_error.is_some_and(|e| e <= SAME_HUE)),
            lab: share(&|_| true, &|d| d.colour == Some(colour(d))),
            shape: share(&|_| true, &|d| d.shape == Some(d.caption % SHAPES.len())),
            details,
        })
    }

    fn judge(&self, i: usize, found: Option<&Foreground>) -> ObedienceDetail {
        let (colour, shape) = (i / SHAPES.len(), i % SHAPES.len());
        let at = |c: usize, s: usize| &self.real[c * SHAPES.len() + s];
        let hue_error = found.and_then(|f| f.hue).zip(at(colour, shape).hue).map(|(a, b)| {
            let turn = (a - b).rem_euclid(360.);
            turn.min(360. - turn)
        });
        ObedienceDetail {
            caption: i,
            hue_error,
            colour: found.and_then(|f| nearest(COLOURS.len(), |c| f.colour_distance(at(c, shape)))),
            shape: found.and_then(|f| nearest(SHAPES.len(), |s| -f.overlap(at(colour, s)))),
        }
    }
}

fn nearest(n: usize, distance: impl Fn(usize) -> f64) -> Option<usize> {
    (0..n).min_by(|&a, &b| distance(a).total_cmp(&distance(b)))
}

fn check_picture(what: &'static str, image: &Tensor, (h, w): (usize, usize)) -> Result<()> {
    let documented = format!("(3, {h}, {w}), as the first reference");
    expect_shape(what, image, &[Some(3), Some(h), Some(w)], &documented)
}
