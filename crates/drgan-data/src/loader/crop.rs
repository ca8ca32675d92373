//! From a loaded image to the images of every stage: random crops, horizontal flips, area means.
use crate::image::{Image, unit};
use candle_core::Tensor;
use drgan_tensor::device::HOST;
use rand::Rng;

/// Where the finest image is cropped from the loaded one. May reach over the edge: the border is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crop {
    /// Left edge in pixels of the loaded image.
    pub left: isize,
    /// Top edge in pixels of the loaded image.
    pub top: isize,
    /// Whether the crop is flipped, left to right.
    pub flip: bool,
}

impl Crop {
    /// Uniform over crops of side `finest` from an image of side `loaded`, at least as large, moved by at most `shift` pixels
    /// beyond them; flipped half of the time if `flip`.
    pub fn draw(rng: &mut impl Rng, loaded: usize, finest: usize, shift: usize, flip: bool) -> Self {
        // Every draw is made whatever the settings, so that turning one off leaves the others as they were.
        let mut draw = || {
            let moved = rng.random_range(0..=loaded - finest + 2 * shift);
            0isize.saturating_add_unsigned(moved).saturating_sub_unsigned(shift)
        };
        let (left, top) = (draw(), draw());
        Self { left, top, flip: rng.random::<bool>() && flip }
    }

    /// The middle of an image of side `loaded`, at least `finest`.
    pub fn central(loaded: usize, finest: usize) -> Self {
        let edge = 0isize.saturating_add_unsigned((loaded - finest) / 2);
        Self { left: edge, top: edge, flip: false }
    }

    /// The crop as `(3, finest, finest)` in `[-1, 1]`, on the host.
    ///
    /// # Errors
    /// None that this crate knows of: candle could not make a tensor.
    pub fn tensor(self, image: &Image, finest: usize) -> candle_core::Result<Tensor> {
        let mut out = vec![0.; 3 * finest * finest];
        self.apply(image, finest, &mut out);
        Tensor::from_vec(out, (3, finest, finest), &HOST)
    }

    /// Writes the crop to `out`, `(3, finest, finest)` in `[-1, 1]`.
    pub(super) fn apply(self, image: &Image, finest: usize, out: &mut [f32]) {
        let last = image.side - 1;
        let at = |offset: isize, i: usize| offset.saturating_add_unsigned(i).max(0).unsigned_abs().min(last);
        for y in 0..finest {
            let row = at(self.top, y) * image.side;
            for x in 0..finest {
                let column = if self.flip { finest - 1 - x } else { x };
                let from = (row + at(self.left, column)) * 3;
                for c in 0..3 {
                    out[(c * finest + y) * finest + x] = unit(image.rgb[from + c]);
                }
            }
        }
    }
}

/// Area mean of planes `(n, side, side)` by a whole-number factor: `(n, side / factor, side / factor)`.
pub(super) fn area_mean(planes: &[f32], side: usize, factor: usize) -> Vec<f32> {
    let small = side / factor;
    let mut out = vec![0.; planes.len() / (factor * factor)];
    for (plane, to) in planes.chunks_exact(side * side).zip(out.chunks_exact_mut(small * small)) {
        for (y, row) in plane.chunks_exact(side).enumerate() {
            let to = &mut to[y / factor * small..][..small];
            for (to, from) in to.iter_mut().zip(row.chunks_exact(factor)) {
                *to += from.iter().sum::<f32>();
            }
        }
        to.iter_mut().for_each(|v| *v /= (factor * factor) as f32);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    /// An image whose red is its column and whose green is its row.
    fn ramp(side: usize) -> Image {
        let rgb = (0..side * side).flat_map(|i| [(i % side) as u8, (i / side) as u8, 7]).collect();
        Image { side, rgb }
    }

    fn bytes(crop: Crop, image: &Image, finest: usize) -> Vec<u8> {
        let mut out = vec![0.; 3 * finest * finest];
        crop.apply(image, finest, &mut out);
        out.iter().map(|v| ((v + 1.) * 127.5).round() as u8).collect()
    }

    #[test]
    fn shift_repeats_the_border_and_flip_mirrors() {
        let p = ramp(3);
        let shifted = bytes(Crop { left: 1, top: -1, flip: false }, &p, 3);
        assert_eq!(shifted[..9], [1, 2, 2, 1, 2, 2, 1, 2, 2]);
        assert_eq!(shifted[9..18], [0, 0, 0, 0, 0, 0, 1, 1, 1]);
        assert_eq!(shifted[18..], [7; 9]);
        let flipped = bytes(Crop { left: 0, top: 0, flip: true }, &p, 3);
        assert_eq!(flipped[..9], [2, 1, 0, 2, 1, 0, 2, 1, 0]);
    }

    #[test]
    fn crops_stay_inside_without_shift_and_reach_every_place() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let crops: Vec<Crop> = (0..400).map(|_| Crop::draw(&mut rng, 7, 4, 0, true)).collect();
        for want in 0..=3 {
            assert!(crops.iter().any(|c| c.left == want) && crops.iter().any(|c| c.top == want), "{want}");
        }
        assert!(crops.iter().all(|c| (0..=3).contains(&c.left) && (0..=3).contains(&c.top)));
        let flips = crops.iter().filter(|c| c.flip).count();
        assert!((150..250).contains(&flips), "{flips} of 400");
        let shifts: Vec<Crop> = (0..400).map(|_| Crop::draw(&mut rng, 4, 4, 2, false)).collect();
        assert!(shifts.iter().all(|c| c.left.abs() <= 2 && !c.flip));
        assert!(shifts.iter().any(|c| c.left == -2) && shifts.iter().any(|c| c.top == 2));
    }

    #[test]
    fn the_middle_is_cut_without_a_draw() {
        let middle = Crop::central(7, 4).tensor(&ramp(7), 4).unwrap();
        let first: Vec<f32> = middle.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!((middle.dims(), first[..4].to_vec()), (&[3, 4, 4][..], [1, 2, 3, 4].map(unit).to_vec()));
        assert_eq!(Crop::central(4, 4), Crop { left: 0, top: 0, flip: false });
    }

    #[test]
    fn area_mean_by_hand() {
        assert_eq!(area_mean(&[1., 2., 3., 6., 0., 0., 0., 4.], 2, 2), [3., 1.]);
        let fine: Vec<f32> = (0..16).map(|v| v as f32).collect();
        assert_eq!(area_mean(&fine, 4, 2), [2.5, 4.5, 10.5, 12.5]);
    }
}
