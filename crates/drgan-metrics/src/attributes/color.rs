//! The colors that captions name, and the color of an object: CIELAB and mean hue.
use serde::Serialize;
use std::fmt;

/// Largest difference of two hues of one color, in degrees.
pub(super) const SAME_HUE: f64 = 30.;
/// Smallest chroma (largest minus smallest channel, in `[0, 1]`) of a pixel whose hue counts.
const LEAST_CHROMA: f64 = 0.15;
/// Smallest length of the weighted mean of hue vectors that gives a hue: it is 1 for a single hue, and below this the hues
/// point in all directions.
const LEAST_AGREEMENT: f64 = 0.3;

/// A color that captions name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "their names say it")]
pub enum Color {
    Red,
    Orange,
    Yellow,
    Green,
    Blue,
    Purple,
    Brown,
    Black,
    White,
}

impl Color {
    /// All colors, in the order of [`Color::index`].
    pub const ALL: [Self; 9] = [
        Self::Red,
        Self::Orange,
        Self::Yellow,
        Self::Green,
        Self::Blue,
        Self::Purple,
        Self::Brown,
        Self::Black,
        Self::White,
    ];

    /// The color's place in [`Color::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// The word for the color in captions.
    pub fn name(self) -> &'static str {
        ["red", "orange", "yellow", "green", "blue", "purple", "brown", "black", "white"][self.index()]
    }

    /// Whether its hue is compared: red to purple. Brown is a dark orange, and black and white have no hue.
    pub fn is_chromatic(self) -> bool {
        self.index() <= Self::Purple.index()
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Difference of two hues in degrees, in `[0, 180]`.
pub(super) fn hue_difference(a: f64, b: f64) -> f64 {
    let turn = (a - b).rem_euclid(360.);
    turn.min(360. - turn)
}

/// Euclidean distance of two CIELAB colors: `Delta E` of 1976.
pub(super) fn lab_distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// Circular mean of the hues of sRGB pixels weighted by chroma, in degrees: the direction of the sum of their chroma vectors.
/// None if no pixel is saturated or the hues have no common direction.
pub(super) fn mean_hue(object: &[[f64; 3]]) -> Option<f64> {
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

/// CIELAB under D65 of an sRGB color in `[0, 1]`.
pub(super) fn cielab(rgb: [f64; 3]) -> [f64; 3] {
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
    fn hue_is_circular_and_wants_one_color() {
        let near = |got: Option<f64>, want: f64| got.is_some_and(|g| (g - want).abs() < 1e-9);
        assert!(near(mean_hue(&[[1., 0., 0.]]), 0.));
        assert!(near(mean_hue(&[[0., 1., 0.]]), 120.));
        // 240 and 0 meet at 300, not at 120.
        assert!(near(mean_hue(&[[0., 0., 1.], [1., 0., 0.]]), 300.));
        assert_eq!(mean_hue(&[[1., 0., 0.], [0., 1., 1.]]), None);
        assert_eq!(mean_hue(&[[0.5, 0.45, 0.5]]), None);
        assert_eq!(mean_hue(&[]), None);
    }
}
