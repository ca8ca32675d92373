//! The shapes that captions name, and the silhouette of an object.
use serde::Serialize;
use std::fmt;

/// Smallest distance from white (1 minus mean channel, in `[0, 1]`) of a pixel that is not background. It is low, since white
/// objects are drawn in light gray, and above the ripple that a network leaves on white.
const DARKER_THAN_WHITE: f64 = 0.035;

/// A shape that captions name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "their names say it")]
pub enum Shape {
    Circle,
    Square,
    Heart,
}

impl Shape {
    /// All shapes, in the order of [`Shape::index`].
    pub const ALL: [Self; 3] = [Self::Circle, Self::Square, Self::Heart];

    /// The shape's place in [`Shape::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// The word for the shape in captions.
    pub fn name(self) -> &'static str {
        ["circle", "square", "heart"][self.index()]
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Intersection over union of two silhouettes of one size, neither of them empty.
pub(super) fn overlap(a: &[bool], b: &[bool]) -> f64 {
    let count = |f: &dyn Fn(bool, bool) -> bool| a.iter().zip(b).filter(|(a, b)| f(**a, **b)).count() as f64;
    count(&|a, b| a && b) / count(&|a, b| a || b)
}

/// The pixels of an image `h` high and `w` wide that near-white does not reach from the border, row by row: a highlight inside
/// an object belongs to the object.
pub(super) fn silhouette(pixels: &[[f64; 3]], h: usize, w: usize) -> Vec<bool> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
