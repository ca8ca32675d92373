//! The object of an image on white: its silhouette and its color.
use super::color::{cielab, mean_hue};
use super::shape::silhouette;
use candle_core::{DType, Tensor};
use drgan_tensor::Result;

/// Smallest share of the image that is an object: less is a blemish.
const LEAST_AREA: f64 = 0.01;

/// The object of one image.
#[derive(Debug)]
pub(super) struct Foreground {
    /// Row by row, true on the object, holes filled.
    pub(super) mask: Vec<bool>,
    /// Mean of the object's pixels in CIELAB (sRGB, D65).
    pub(super) lab: [f64; 3],
    /// Mean hue of its saturated pixels, degrees in `[0, 360)`; none if it has no saturated pixels or no common hue.
    pub(super) hue: Option<f64>,
}

impl Foreground {
    /// Finds the object of a `(3, H, W)` image in `[-1, 1]`; none where (nearly) all is white. NaN counts as white.
    pub(super) fn of(image: &Tensor) -> Result<Option<Self>> {
        let (_, h, w) = image.dims3()?;
        let planes = image.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
        let unit = |v: f64| if v.is_nan() { 1. } else { (v.clamp(-1., 1.) + 1.) / 2. };
        let pixels: Vec<[f64; 3]> =
            (0..h * w).map(|k| [0, 1, 2].map(|c| unit(planes[c * h * w + k]))).collect();
        let mask = silhouette(&pixels, h, w);
        let object: Vec<[f64; 3]> = pixels.iter().zip(&mask).filter(|(_, m)| **m).map(|(p, _)| *p).collect();
        if object.is_empty() || (object.len() as f64) < LEAST_AREA * mask.len() as f64 {
            return Ok(None);
        }
        let mut lab = [0.; 3];
        for pixel in &object {
            for (sum, v) in lab.iter_mut().zip(cielab(*pixel)) {
                *sum += v / object.len() as f64;
            }
        }
        Ok(Some(Self { mask, lab, hue: mean_hue(&object) }))
    }
}
