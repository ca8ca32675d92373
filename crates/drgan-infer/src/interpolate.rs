//! Images between captions and between noise: a walk from keyframe to keyframe.
use crate::{Sampler, rgb};
use candle_core::{DType, Tensor};
use drgan_tensor::{Error, Result, TextFeatures};
use image::RgbImage;

/// Frames that are drawn at once: bounds memory, changes no image.
const CHUNK: usize = 32;

/// A picture that a walk comes by: a caption under a noise number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyframe {
    /// What it shows.
    pub caption: String,
    /// The number of its noise, as [`Sampler::draw`] has it.
    pub noise: u64,
}

/// Draws a closed walk: from each keyframe to the next, and from the last to the first, `frames` images each, the keyframe first.
///
/// Word features and sentence embeddings are mixed linearly; a word of one caption alone fades in or out. Noise turns on the sphere
/// (spherical linear interpolation), so that it keeps its length: linear mixtures of normal noise are shorter than what the generator
/// was trained on.
///
/// # Errors
/// Fewer than two keyframes, no frames; a caption without a known word; an image that is not finite.
pub fn walk(sampler: &Sampler, keyframes: &[Keyframe], frames: usize, seed: u64) -> Result<Vec<RgbImage>> {
    if keyframes.len() < 2 || frames == 0 {
        let (keyframes, frames) = (keyframes.len(), frames);
        return Err(Error::input(format!(
            "a walk wants 2 keyframes and 1 frame each, or more: got {keyframes} and {frames}"
        )));
    }
    let captions: Vec<&str> = keyframes.iter().map(|k| k.caption.as_str()).collect();
    let numbers: Vec<u64> = keyframes.iter().map(|k| k.noise).collect();
    let text = sampler.model().captions().embed(&captions)?;
    let noise = sampler.noise(&numbers, seed)?;
    // Which two keyframes an image lies between, and how far it is from the first.
    let places: Vec<(usize, f64)> =
        (0..keyframes.len()).flat_map(|k| (0..frames).map(move |f| (k, f as f64 / frames as f64))).collect();
    let mut images = Vec::with_capacity(places.len());
    for places in places.chunks(CHUNK) {
        let text = between(&text, places)?;
        let noise = [turned(&noise[0], places)?, turned(&noise[1], places)?];
        let made = sampler.draw_features(text, &noise)?;
        let Some(finest) = made.stages.last() else { continue };
        for i in 0..places.len() {
            images.push(rgb::to_rgb(&finest.image.get(i)?.to_dtype(DType::F32)?)?);
        }
    }
    Ok(images)
}

/// The keyframe after `k`.
fn next(k: usize, of: usize) -> usize {
    (k + 1) % of
}

/// Features of captions, mixed.
fn between(text: &TextFeatures, places: &[(usize, f64)]) -> Result<TextFeatures> {
    let of = text.lens.len();
    let mix = |x: &Tensor| -> Result<Tensor> {
        let rows = places.iter().map(|(k, t)| {
            let (a, b) = (x.narrow(0, *k, 1)?, x.narrow(0, next(*k, of), 1)?);
            Ok(((a * (1. - t))? + (b * *t)?)?)
        });
        Ok(Tensor::cat(&rows.collect::<Result<Vec<_>>>()?, 0)?)
    };
    // A keyframe itself sees its own words alone.
    let longer = |(k, t): &(usize, f64)| {
        let other = next(*k, of);
        if *t == 0. || text.lens[*k] >= text.lens[other] { *k } else { other }
    };
    let lens: Vec<usize> = places.iter().map(|place| text.lens[longer(place)]).collect();
    let masks = places.iter().map(|place| Ok(text.mask.narrow(0, longer(place), 1)?));
    let mask = Tensor::cat(&masks.collect::<Result<Vec<_>>>()?, 0)?;
    Ok(TextFeatures { words: mix(&text.words)?, sentence: mix(&text.sentence)?, mask, lens })
}

/// Noise `(K, d)` of the keyframes, turned from one's direction to the next one's.
fn turned(noise: &Tensor, places: &[(usize, f64)]) -> Result<Tensor> {
    let rows = noise.to_dtype(DType::F64)?.to_vec2::<f64>()?;
    let made = places.iter().flat_map(|(k, t)| slerp(&rows[*k], &rows[next(*k, rows.len())], *t));
    let made = Tensor::from_iter(made, noise.device())?.reshape((places.len(), noise.dim(1)?))?;
    Ok(made.to_dtype(noise.dtype())?)
}

/// Spherical linear interpolation, which for `a = b` is linear.
fn slerp(a: &[f64], b: &[f64], t: f64) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    let angle = if lengths > 0. { (dot(a, b) / lengths).clamp(-1., 1.).acos() } else { 0. };
    let (of_a, of_b) = match angle.sin() {
        sin if sin > 1e-6 => (((1. - t) * angle).sin() / sin, (t * angle).sin() / sin),
        _ => (1. - t, t),
    };
    a.iter().zip(b).map(|(a, b)| of_a * a + of_b * b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::small_model;
    use drgan_tensor::ops::Precision;

    fn keyframes(of: &[(&str, u64)]) -> Vec<Keyframe> {
        of.iter().map(|(caption, noise)| Keyframe { caption: (*caption).to_owned(), noise: *noise }).collect()
    }

    #[test]
    fn keyframes_are_what_is_drawn_of_them_and_neighbors_differ_less() -> Result<()> {
        let sampler = Sampler::new(&small_model()?, Precision::F32)?;
        let of = [("a red heart", 0), ("a very blue square", 1)];
        let images = walk(&sampler, &keyframes(&of), 20, 3)?;
        assert_eq!(images.len(), 40);
        let difference = |a: &RgbImage, b: &RgbImage| -> u64 {
            a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum()
        };
        for (i, (caption, noise)) in [0, 20].into_iter().zip(of) {
            let alone = rgb::to_rgb(&sampler.images(&[caption], &[noise], 3)?.get(0)?)?;
            let most = images[i].as_raw().iter().zip(alone.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(most <= Some(1), "{caption}: {most:?}");
        }
        let whole = difference(&images[0], &images[20]);
        for i in 0..40 {
            let step = difference(&images[i], &images[(i + 1) % 40]);
            assert!(step * 2 < whole, "from {i}: {step} of {whole}");
        }
        Ok(())
    }

    #[test]
    fn noise_keeps_its_length_on_the_way() {
        let (a, b) = ([3., 0., 0.], [0., 3., 0.]);
        for t in [0., 0.25, 0.5, 1.] {
            let c = slerp(&a, &b, t);
            let length = c.iter().map(|v| v * v).sum::<f64>().sqrt();
            assert!((length - 3.).abs() < 1e-12, "{t}: {c:?}");
            let degrees = c[1].atan2(c[0]).to_degrees();
            assert!((degrees - 90. * t).abs() < 1e-9, "{t}: {c:?}");
        }
        let same = slerp(&a, &a, 0.3);
        assert!(same.iter().zip(&a).all(|(x, y)| (x - y).abs() < 1e-12), "{same:?}");
        assert_eq!(slerp(&[0.; 2], &[2., 0.], 0.5), [1., 0.]);
    }

    #[test]
    fn a_walk_wants_two_places_and_a_step() -> Result<()> {
        let sampler = Sampler::new(&small_model()?, Precision::F32)?;
        for (of, frames) in [(&[("a red heart", 0)][..], 4), (&[("a red heart", 0), ("cat", 0)][..], 0)] {
            let said = walk(&sampler, &keyframes(of), frames, 0).expect_err("refused").to_string();
            assert!(said.contains("2 keyframes"), "{said}");
        }
        Ok(())
    }
}
