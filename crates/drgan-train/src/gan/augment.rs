//! What the discriminators see: images, real and generated, that are changed alike at random.
use crate::config::AugmentConfig;
use crate::error::TrainError;
use candle_core::{Device, Tensor};
use drgan_tensor::ops::{self, Augmentation, Augmentations};
use rand::Rng;

/// Brightness that is added at most, of values in `[-1, 1]`.
const BRIGHTNESS: f32 = 0.5;
/// How far the factor of the saturation may be from 1.
const SATURATION: f32 = 1.;
/// How far the factor of the contrast may be from 1.
const CONTRAST: f32 = 0.5;
/// Share of a side that images are moved by at most.
const SHIFT: f32 = 1. / 8.;
/// Share of a side that is covered.
const CUTOUT: f32 = 0.5;

/// The largest probability that adapting leads to: nearer to 1 hardly any image is as it was, and a generator may learn to draw what the
/// augmentation makes (Karras et al., 2020, section 3.2).
const MOST: f64 = 0.8;

impl AugmentConfig {
    /// Whether the probability follows what the discriminators say.
    pub(super) fn adapts(&self) -> bool {
        self.target > 0.
    }

    /// The probability after a step of `images` training images, in which the mean sign of the discriminator's logits of real
    /// images was `sign`: a discriminator that is right of them too often learns them by heart.
    pub(super) fn adapt(&mut self, sign: f64, images: usize) {
        let step = images as f64 / self.adapt_images as f64;
        let change = if sign > self.target { step } else { -step };
        self.probability = (self.probability + change).clamp(0., MOST);
    }
}

/// How the images of one step are changed; not at all, where nothing is drawn.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Option<Augmentations>);

impl Seen {
    /// Draws how `images` images of `side` pixels are changed. Nothing is drawn of `rng` where the probability is 0.
    ///
    /// # Errors
    /// A device without room.
    pub(super) fn draw(
        cfg: &AugmentConfig,
        rng: &mut impl Rng,
        images: usize,
        side: usize,
        device: &Device,
    ) -> Result<Self, TrainError> {
        if cfg.probability == 0. && !cfg.adapts() {
            return Ok(Self::default());
        }
        let of = (0..images).map(|_| one(cfg, rng, side)).collect();
        Ok(Self(Some(Augmentations::new(of, device)?)))
    }

    /// The images as they are seen.
    ///
    /// # Errors
    /// Another number of images than was drawn for.
    pub(super) fn of(&self, images: &Tensor) -> Result<Tensor, TrainError> {
        Ok(match &self.0 {
            Some(by) => ops::augment(images, by)?,
            None => images.clone(),
        })
    }
}

/// Each kind of change is made with the probability, and by no more than its strength of what it may be at most.
fn one(cfg: &AugmentConfig, rng: &mut impl Rng, side: usize) -> Augmentation {
    // As many numbers are drawn whatever becomes of them, so that one setting does not move what another draws.
    let mut made = |strength: f64| if rng.random_bool(cfg.probability) { strength as f32 } else { 0. };
    let [color, translation, cutout] = [cfg.color, cfg.translation, cfg.cutout].map(&mut made);
    let mut within = |most: f32| most * (2. * rng.random::<f32>() - 1.);
    let (brightness, saturation, contrast) =
        (within(BRIGHTNESS * color), 1. + within(SATURATION * color), 1. + within(CONTRAST * color));
    let side = side as f32;
    let shift = [(); 2].map(|()| within(SHIFT * side * translation).round() as i32);
    // Its middle may be anywhere, so that some of it may be outside.
    let covered = (CUTOUT * side * cutout).round();
    let cutout = [(); 2].map(|()| {
        let first = (side / 2. + within(side / 2.) - covered / 2.).round();
        [first, first + covered].map(|at| at.clamp(0., side) as u32)
    });
    Augmentation { brightness, saturation, contrast, shift, cutout }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;
    use drgan_tensor::{Ctx, Mode};

    fn drawn(cfg: &AugmentConfig, n: usize) -> Vec<Augmentation> {
        let mut ctx = Ctx::new(Mode::Train, 3);
        (0..n).map(|_| one(cfg, ctx.rng(), 64)).collect()
    }

    #[test]
    fn changes_are_as_likely_and_as_large_as_the_settings_say() {
        let cfg = AugmentConfig { probability: 0.5, ..AugmentConfig::default() };
        let all = drawn(&cfg, 4000);
        let share = |is: &dyn Fn(&Augmentation) -> bool| all.iter().filter(|a| is(a)).count() as f64 / 4000.;
        let near = |share: f64, want: f64| assert!((share - want).abs() < 0.03, "{share}, not {want}");
        near(share(&|a| a.brightness != 0.), 0.5);
        near(share(&|a| a.shift != [0; 2]), 0.5);
        near(share(&|a| a.cutout.iter().all(|[from, to]| to > from)), 0.5);
        let largest = |f: &dyn Fn(&Augmentation) -> f32| all.iter().map(|a| f(a).abs()).fold(0., f32::max);
        for (found, most) in [
            (largest(&|a| a.brightness), 0.5),
            (largest(&|a| a.saturation - 1.), 1.),
            (largest(&|a| a.contrast - 1.), 0.5),
            (largest(&|a| a.shift[0] as f32), 8.),
            (largest(&|a| a.shift[1] as f32), 8.),
            (largest(&|a| (a.cutout[0][1] - a.cutout[0][0]) as f32), 32.),
        ] {
            assert!(found <= most && found > 0.95 * most, "{found} of {most}");
        }
        let none = AugmentConfig {
            probability: 1.,
            color: 0.,
            translation: 0.,
            cutout: 0.,
            ..AugmentConfig::default()
        };
        let same = |a: &Augmentation| {
            Augmentation { cutout: [[0; 2]; 2], ..*a } == Augmentation::IDENTITY
                && a.cutout.iter().any(|[from, to]| from == to)
        };
        assert!(drawn(&none, 50).iter().all(same), "strength 0 changes nothing");
    }

    #[test]
    fn an_adapting_probability_goes_towards_where_the_signs_are_the_target() {
        let mut cfg = AugmentConfig { target: 0.6, adapt_images: 1000, ..AugmentConfig::default() };
        for _ in 0..25 {
            cfg.adapt(0.7, 16);
        }
        assert!((cfg.probability - 0.4).abs() < 1e-12, "{}", cfg.probability);
        for _ in 0..10 {
            cfg.adapt(0.6, 16);
        }
        assert!((cfg.probability - 0.24).abs() < 1e-12, "{}", cfg.probability);
        (0..100).for_each(|_| cfg.adapt(1., 16));
        assert_eq!(cfg.probability, MOST);
        (0..100).for_each(|_| cfg.adapt(-1., 16));
        assert_eq!(cfg.probability, 0.);
    }

    #[test]
    fn without_a_probability_nothing_is_drawn_or_changed() -> Result<(), TrainError> {
        let mut ctx = Ctx::new(Mode::Train, 3);
        let seen = Seen::draw(&AugmentConfig::default(), ctx.rng(), 2, 8, &Device::Cpu)?;
        assert_eq!(ctx.position(), 0);
        let x = ctx.randn((2, 3, 8, 8), DType::F32, &Device::Cpu)?;
        assert_eq!(seen.of(&x)?.id(), x.id());
        Ok(())
    }
}
