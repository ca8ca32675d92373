//! What a picture on white shows: its silhouette and its colour.
use candle_core::{DType, Tensor};
use drgan_tensor::Result;

/// Brightness below white, in `[0, 1]`, from which a pixel is no background. Low, as white objects are drawn in light
/// grey; above the ripple that a network leaves on white.
const DARKER_THAN_WHITE: f64 = 0.035;
/// A smaller share of the picture is a blemish, not an object.
const LEAST_AREA: f64 = 0.01;
/// Largest minus smallest channel, in `[0, 1]`, from which a pixel's hue means something.
const LEAST_CHROMA: f64 = 0.15;
/// Length of the hues' weighted mean, 1 for one hue, from which there is one: below it they point all ways.
const LEAST_AGREEMENT: f64 = 0.3;

/// The object of one picture.
pub(crate) struct Foreground {
    /// Row by row, true on the object, holes filled.
    pub(crate) mask: Vec<bool>,
    /// Mean of the object's pixels in CIELAB (sRGB, D65).
    pub(crate) lab: [f64; 3],
    /// Mean hue of its saturated pixels, degrees in `[0, 360)`; none if it has no saturated pixels or no one hue.
    pub(crate) hue: Option<f64>,
}

impl Foreground {
    /// Finds the object of a `(3, H, W)` picture in `[-1, 1]`; none where (nearly) all is white. NaN counts as white.
    pub(crate) fn of(image: &Tensor) -> Result<Option<Self>> {
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

    /// Intersection over union of two silhouettes of one size.
    pub(crate) fn overlap(&self, other: &Self) -> f64 {
        let count = |f: &dyn Fn(bool, bool) -> bool| {
            self.mask.iter().zip(&other.mask).filter(|(a, b)| f(**a, **b)).count() as f64
        };
        // Neither is empty, so the union is not.
        count(&|a, b| a && b) / count(&|a, b| a || b)
    }

    /// Difference of the mean colours, `Delta E` of 1976.
    pub(crate) fn colour_distance(&self, other: &Self) -> f64 {
        self.lab.iter().zip(other.lab).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    }
}

/// All that white does not reach from the border: a highlight inside an object belongs to it.
fn silhouette(pixels: &[[f64; 3]], h: usize, w: usize) -> Vec<bool> {
    let white: Vec<bool> =
        pixels.iter().map(|p| 1. - (p[0] + p[1] + p[2]) / 3. <= DARKER_THAN_WHITE).collect();
    let mut object = vec![true; h * w];
    let border = |k: &usize| [0, h - 1].contains(&(k / w)) || [0, w - 1].contains(&(k % w));
    let mut open: Vec<usize> = (0..h * w).filter(border).collect();
    while let Some(k) = open.pop() {
        if !white[k] || !object[k] {
            continue;
        }
        object[k] = false;
        let (y, x) = (k / w, k % w);
        open.extend((y > 0).then(|| k - w));
        open.extend((y + 1 < h).then_some(k + w));
        open.extend((x > 0).then(|| k - 1));
        open.extend((x + 1 < w).then_some(k + 1));
    }
    object
}

/// Circular mean of the hues weighted by chroma, which is the direction of the sum of the pixels' chroma vectors.
fn mean_hue(object: &[[f64; 3]]) -> Option<f64> {
    let (mut x, mut y, mut length) = (0., 0., 0.);
    for &[r, g, b] in object {
        if r.max(g).max(b) - r.min(g).min(b) >= LEAST_CHROMA {
            let (u, v) = (r - (g + b) / 2., 0.75f64.sqrt() * (g - b));
            x += u;
            y += v;
            length += u.hypot(v);
        }
    }
    (length > 0. && x.hypot(y) >= LEAST_AGREEMENT * length).then(|| y.atan2(x).to_degrees().rem_euclid(360.))
}

/// sRGB in `[0, 1]` to CIELAB under D65.
fn cielab(rgb: [f64; 3]) -> [f64; 3] {
    let [r, g, b] = rgb.map(|v| if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) });
    let f = |t: f64| {
        const D: f64 = 6. / 29.;
        if t > D.powi(3) { t.cbrt() } else { t / (3. * D * D) + 4. / 29. }
    };
    let x = f((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047);
    let y = f(0.2126729 * r + 0.7151522 * g + 0.0721750 * b);
    let z = f((0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883);
    [116. * y - 16., 500. * (x - y), 200. * (y - z)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lab_of_primaries() {
        // Published values of sRGB under D65.
        let known = [
            ([1., 1., 1.], [100., 0., 0.]),
            ([1., 0., 0.], [53.24, 80.09, 67.20]),
            ([0., 1., 0.], [87.73, -86.18, 83.18]),
            ([0., 0., 1.], [32.30, 79.19, -107.86]),
            ([0., 0., 0.], [0., 0., 0.]),
        ];
        for (rgb, want) in known {
            let got = cielab(rgb);
            assert!(
                got.iter().zip(want).all(|(g, w)| (g - w).abs() < 0.02),
                "{rgb:?}: {got:?}, want {want:?}"
            );
        }
    }

    #[test]
    fn hue_is_circular_and_wants_one_colour() {
        let near = |got: Option<f64>, want: f64| got.is_some_and(|g| (g - want).abs() < 1e-9);
        assert!(near(mean_hue(&[[1., 0., 0.]]), 0.));
        assert!(near(mean_hue(&[[0., 1., 0.]]), 120.));
        // 240 and 0 meet at 300, not at 120.
        assert!(near(mean_hue(&[[0., 0., 1.], [1., 0., 0.]]), 300.));
        assert_eq!(mean_hue(&[[1., 0., 0.], [0., 1., 1.]]), None);
        assert_eq!(mean_hue(&[[0.5, 0.45, 0.5]]), None);
        assert_eq!(mean_hue(&[]), None);
    }

    #[test]
    fn holes_belong_to_the_object() {
        let (o, x) = ([1.; 3], [0.; 3]);
        #[rustfmt::skip]
        let ring = [o, o, o, o, o,
                    o, x, x, x, o,
                    o, x, o, x, o,
                    o, x, x, x, o];
        let mask = silhouette(&ring, 4, 5);
        assert_eq!(mask.iter().filter(|m| **m).count(), 9);
        // The same ring with a gap below its hole is a bay.
        let mut bay = ring;
        bay[17] = o;
        assert_eq!(silhouette(&bay, 4, 5).iter().filter(|m| **m).count(), 7);
        assert!(silhouette(&[], 0, 0).is_empty());
    }
}
