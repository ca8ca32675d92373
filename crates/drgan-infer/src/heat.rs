//! Maps over images in colors that mean the same in every image, and the bars that say what they mean.
use crate::font::Type;
use candle_core::{DType, Tensor};
use drgan_tensor::{Error, Result, expect_shape};
use image::{Rgb, RgbImage};

/// Color of what is not a number, in stripes with black.
const MAGENTA: Rgb<u8> = Rgb([255, 0, 255]);
/// Gray that a bar's colors lie over.
const BAR_GRAY: f32 = 128.;
/// Width of a bar without its title, in pixels.
const BAR_WIDTH: u32 = 200;
/// Height of a bar's colors.
const BAR_HEIGHT: u32 = 12;
/// Height of a tick under a bar.
const TICK: u32 = 3;
/// White space between a bar and its title, and at both ends for the ticks' numbers.
const SPACE: u32 = 10;

/// Which values have which colors: none up to `low`, from there to `high` linearly, and above that the color of `high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// What the values are, beside the bar.
    pub name: &'static str,
    /// The largest value without color.
    pub low: f32,
    /// The smallest value with the full color, above `low`.
    pub high: f32,
    /// Values that the bar names, in `low..=high`, and how they are written.
    pub ticks: &'static [(f32, &'static str)],
}

impl Scale {
    /// Attention `a` of a word as `a T`, with T the words of its caption: 1 is uniform, and has no color, nor has less; four times
    /// uniform or more has the full color. Attention sums to 1 over words, so that of a caption's T words one reaches T at most.
    pub const ATTENTION: Self = Self {
        name: "attention, times uniform",
        low: 1.,
        high: 4.,
        ticks: &[(1., "\u{2264} 1"), (2., "2"), (3., "3"), (4., "\u{2265} 4")],
    };
    /// A mask: 0 has no color, 1 the full one.
    pub const MASK: Self =
        Self { name: "mask", low: 0., high: 1., ticks: &[(0., "0"), (0.5, "0.5"), (1., "1")] };

    /// The share of the full color of `value`: `(value - low) / (high - low)`, clamped to `[0, 1]`; NaN stays.
    pub fn level(&self, value: f32) -> f32 {
        ((value - self.low) / (self.high - self.low)).clamp(0., 1.)
    }
}

/// Shows where a map is high: the image in dimmed gray, under red (middle values) to yellow (`scale.high` and above).
///
/// The map's [levels](Scale::level) are resized to the image bilinearly (half-pixel centres, clamped at the edge); with `m` the
/// result, a pixel is `(1 - 0.8 m) 0.6 gray + 0.8 m (255, 255 m^2, 0)`. Nothing is divided by the map's own maximum, so that maps on
/// one scale can be compared. Values that are not numbers show as stripes of magenta and black.
///
/// # Shapes
/// `map` `(h, w)`, not empty, any float type.
///
/// # Errors
/// [`Error::Shape`].
pub fn overlay(image: &RgbImage, map: &Tensor, scale: &Scale) -> Result<RgbImage> {
    const WHAT: &str = "heat::overlay: map";
    const DOCUMENTED: &str = "(h, w), h and w at least 1";
    expect_shape(WHAT, map, &[None, None], DOCUMENTED)?;
    let (h, w) = map.dims2()?;
    if h * w == 0 {
        return Err(Error::Shape { what: WHAT, expected: DOCUMENTED.to_owned(), got: vec![h, w] });
    }
    let mut levels = map.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    levels.iter_mut().for_each(|v| *v = scale.level(*v));
    let columns: Vec<Tap> = (0..image.width()).map(|x| Tap::new(x, image.width(), w)).collect();
    let mut out = image.clone();
    for (y, line) in out.rows_mut().enumerate() {
        let r = Tap::new(y as u32, image.height(), h);
        for (x, (c, pixel)) in columns.iter().zip(line).enumerate() {
            let across = |y: usize| c.mix(levels[y * w + c.low], levels[y * w + c.high]);
            let m = r.mix(across(r.low), across(r.high));
            let [red, green, blue] = pixel.0.map(f32::from);
            let gray = 0.299 * red + 0.587 * green + 0.114 * blue;
            *pixel = if m.is_nan() { stripe(x as u32, y as u32) } else { heat(gray, m) };
        }
    }
    Ok(out)
}

/// The color of level `m` over an image's `gray`.
fn heat(gray: f32, m: f32) -> Rgb<u8> {
    Rgb([255., 255. * m * m, 0.].map(|v| ((1. - 0.8 * m) * 0.6 * gray + 0.8 * m * v).round() as u8))
}

/// What shows at `(x, y)` in place of a value that is not a number.
pub(crate) fn stripe(x: u32, y: u32) -> Rgb<u8> {
    if ((x + y) / 2).is_multiple_of(2) { MAGENTA } else { Rgb([0; 3]) }
}

/// What a bar at the foot of a grid explains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Legend {
    /// The colors of a scale.
    Scale(Scale),
    /// The stripes of what is not a number.
    NotANumber,
}

impl Legend {
    /// Width and height that it takes, in pixels.
    pub(crate) fn size(&self, font: &Type) -> (u32, u32) {
        let (width, under) = match self {
            Self::Scale(_) => (BAR_WIDTH, TICK + font.height()),
            Self::NotANumber => (3 * BAR_HEIGHT, 0),
        };
        (font.width(self.name()) + width + 3 * SPACE, font.height().max(BAR_HEIGHT) + under)
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Scale(scale) => scale.name,
            Self::NotANumber => "not a number",
        }
    }

    /// Draws it with its upper left corner at `(x, y)`: colors, ticks and their values, and at the right what they are of.
    pub(crate) fn draw(&self, out: &mut RgbImage, font: &Type, x: u32, y: u32) {
        let left = x + SPACE;
        let width = match self {
            Self::Scale(scale) => {
                for (value, name) in scale.ticks {
                    let at = left + (scale.level(*value) * (BAR_WIDTH - 1) as f32).round() as u32;
                    for dy in 0..BAR_HEIGHT + TICK {
                        out.put_pixel(at, y + dy, Rgb([0; 3]));
                    }
                    let middle = at.saturating_sub(font.width(name) / 2);
                    font.draw(out, name, middle, y + BAR_HEIGHT + TICK);
                }
                BAR_WIDTH
            }
            Self::NotANumber => 3 * BAR_HEIGHT,
        };
        for (dx, dy) in (0..width).flat_map(|dx| (0..BAR_HEIGHT).map(move |dy| (dx, dy))) {
            let pixel = match self {
                Self::Scale(_) => heat(BAR_GRAY, dx as f32 / (BAR_WIDTH - 1) as f32),
                Self::NotANumber => stripe(dx, dy),
            };
            out.put_pixel(left + dx, y + dy, pixel);
        }
        let above = font.height().saturating_sub(BAR_HEIGHT) / 2;
        font.draw(out, self.name(), left + width + SPACE, y.saturating_sub(above));
    }
}

/// The two samples of a bilinear resize along one axis.
struct Tap {
    low: usize,
    high: usize,
    weight: f32,
}

impl Tap {
    fn new(at: u32, of: u32, samples: usize) -> Self {
        let last = samples - 1;
        let position = ((at as f32 + 0.5) * samples as f32 / of as f32 - 0.5).clamp(0., last as f32);
        let low = (position as usize).min(last);
        Self { low, high: (low + 1).min(last), weight: position - low as f32 }
    }

    fn mix(&self, low: f32, high: f32) -> f32 {
        low + self.weight * (high - low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    const WHITE: Rgb<u8> = Rgb([255; 3]);

    #[test]
    fn heat_follows_the_map_and_not_its_maximum() -> Result<()> {
        let image = RgbImage::from_pixel(4, 3, WHITE);
        let map = Tensor::new(&[[0f64, 1.]], &Device::Cpu)?;
        let p = overlay(&image, &map, &Scale::MASK)?;
        // m = 0, 1/4, 3/4, 1 along every line; 0.6 * 255 = 153.
        let want = [[153; 3], [173, 126, 122], [214, 147, 61], [235, 235, 31]];
        for (x, y, pixel) in p.enumerate_pixels() {
            assert_eq!(pixel.0, want[x as usize], "{x} {y}");
        }
        let down = overlay(&RgbImage::from_pixel(1, 4, WHITE), &map.t()?, &Scale::MASK)?;
        assert_eq!(down.as_raw(), &want.concat());
        let half = overlay(&image, &(&map * 0.5)?, &Scale::MASK)?;
        assert_eq!(half.get_pixel(3, 0), &heat(255., 0.5));
        let none = overlay(&image, &map.zeros_like()?, &Scale::MASK)?;
        assert_eq!(none, RgbImage::from_pixel(4, 3, Rgb([153; 3])));
        Ok(())
    }

    #[test]
    fn uniform_attention_has_no_color_and_four_times_it_the_full_one() {
        let levels = [-3., 0., 1., 2.5, 4., 9., f32::INFINITY].map(|v| Scale::ATTENTION.level(v));
        assert_eq!(levels, [0., 0., 0., 0.5, 1., 1., 1.]);
        assert!(Scale::ATTENTION.level(f32::NAN).is_nan());
        for scale in [Scale::ATTENTION, Scale::MASK] {
            let [first, .., last] = scale.ticks else { panic!("{scale:?} has two ticks") };
            assert_eq!((first.0, last.0), (scale.low, scale.high));
        }
    }

    #[test]
    fn what_is_not_a_number_is_striped_and_the_rest_is_not() -> Result<()> {
        let image = RgbImage::from_pixel(8, 8, WHITE);
        let map = Tensor::new(&[[0f32, 0., 0., f32::NAN]], &Device::Cpu)?;
        let p = overlay(&image, &map, &Scale::MASK)?;
        for (x, y, pixel) in p.enumerate_pixels() {
            if x < 5 {
                assert_eq!(pixel.0, [153; 3], "{x} {y}");
            } else {
                assert_eq!(*pixel, stripe(x, y), "{x} {y}");
            }
        }
        assert!([MAGENTA, Rgb([0; 3])].iter().all(|c| p.pixels().any(|p| p == c)));
        Ok(())
    }

    #[test]
    fn maps_that_are_no_maps_are_refused() -> Result<()> {
        for dims in [vec![0, 2], vec![2], vec![1, 2, 2]] {
            let map = Tensor::zeros(dims, DType::F32, &Device::Cpu)?;
            assert!(matches!(overlay(&RgbImage::new(2, 2), &map, &Scale::MASK), Err(Error::Shape { .. })));
        }
        Ok(())
    }

    #[test]
    fn a_bar_shows_its_colors_its_ticks_and_what_they_are_of() {
        let font = Type::of_height(15);
        for legend in [Legend::Scale(Scale::ATTENTION), Legend::Scale(Scale::MASK), Legend::NotANumber] {
            let (w, h) = legend.size(&font);
            let mut out = RgbImage::from_pixel(w + 8, h + 8, WHITE);
            legend.draw(&mut out, &font, 4, 4);
            // All of it is inside its size.
            let outside = |x, y| x < 4 || y < 2 || x >= 4 + w || y >= 4 + h;
            assert!(out.enumerate_pixels().all(|(x, y, p)| !outside(x, y) || *p == WHITE), "{legend:?}");
            let seen = |c: Rgb<u8>| out.pixels().any(|p| *p == c);
            match legend {
                Legend::Scale(_) => assert!(seen(heat(BAR_GRAY, 0.)) && seen(heat(BAR_GRAY, 1.))),
                Legend::NotANumber => assert!(seen(MAGENTA)),
            }
        }
    }
}
