//! Images as bytes: decoding, compositing on white, cropping to a box, resizing.
mod budget;
mod decode;
mod huffman;
mod jpeg;
mod outline;
mod palette;

use crate::error::Source;
use crate::formats::Reason;
use crate::record::BoundingBox;
pub(crate) use budget::Budget;
use candle_core::{Device, Tensor};
use decode::decode;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::{self as fir, pixels::U8x3};
use image::metadata::Orientation;

/// A square RGB image, rows from the top, `(side, side, 3)` bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Side length in pixels.
    pub side: usize,
    /// `side * side * 3` bytes.
    pub rgb: Vec<u8>,
}

impl Image {
    /// The image as `(3, side, side)` f32 in `[-1, 1]`: `v / 127.5 - 1`.
    ///
    /// # Errors
    /// `rgb` of another length than `side` asks for; a device without room.
    pub fn to_tensor(&self, device: &Device) -> candle_core::Result<Tensor> {
        let (n, rgb) = (self.side * self.side, &self.rgb);
        if rgb.len() != 3 * n {
            candle_core::bail!(
                "Image::to_tensor: {} bytes, a side of {} needs {}",
                rgb.len(),
                self.side,
                3 * n
            );
        }
        let values: Vec<f32> = (0..3 * n).map(|i| unit(rgb[(i % n) * 3 + i / n])).collect();
        Tensor::from_vec(values, (3, self.side, self.side), device)
    }
}

/// The value in `[-1, 1]` of a byte: 0 is -1, 255 is 1.
pub(crate) fn unit(v: u8) -> f32 {
    f32::from(v) / 127.5 - 1.
}

/// The pixels of a picture with alpha, as its file has them.
///
/// # Errors
/// A picture that does not decode.
pub(crate) fn rgba(bytes: &[u8]) -> Result<image::RgbaImage, Source> {
    Ok(decode(bytes, &Budget::default())?.image.into_rgba8())
}

/// `alpha c + (1 - alpha) white`.
pub(crate) fn on_white(image: &image::RgbaImage) -> image::RgbImage {
    let mut rgb = image::RgbImage::new(image.width(), image.height());
    for (to, from) in rgb.pixels_mut().zip(image.pixels()) {
        let alpha = u32::from(from[3]);
        to.0 = std::array::from_fn(|i| {
            // Rounded to nearest; at most 255 by construction.
            let v = (alpha * u32::from(from[i]) + (255 - alpha) * 255 + 127) / 255;
            u8::try_from(v).unwrap_or(u8::MAX)
        });
    }
    rgb
}

/// One and a half times the larger side of `bbox`, around its middle, as far as the image goes: AttnGAN's crop.
fn around(rgb: &image::RgbImage, bbox: BoundingBox) -> image::RgbImage {
    let BoundingBox { x, y, width, height } = bbox;
    let reach = (width.max(height) * 0.75).floor();
    let span = |start: f64, size: f64, end: u32| {
        let middle = (start + size / 2.).floor();
        // Inside the image whatever the box says, and never empty.
        let from = (middle - reach).clamp(0., f64::from(end - 1)) as u32;
        let to = (middle + reach).clamp(f64::from(from + 1), f64::from(end)) as u32;
        (from, to - from)
    };
    let ((left, width), (top, height)) = (span(x, width, rgb.width()), span(y, height, rgb.height()));
    image::imageops::crop_imm(rgb, left, top, width, height).to_image()
}

/// Decodes, composites on white, turns upright as the picture's metadata says, takes what is around `bbox`, if there is one,
/// then the central square, and resizes it with an antialiasing triangle filter. What was odd about the picture comes with
/// it. Boxes are drawn by people who see pictures upright.
pub(crate) fn load(
    bytes: &[u8],
    side: usize,
    bbox: Option<BoundingBox>,
    budget: &Budget,
) -> Result<(Image, Vec<Reason>), Source> {
    let decode::Picture { image, orientation, odd, held: _held } = decode(bytes, budget)?;
    let rgb = match image {
        image::DynamicImage::ImageRgb8(rgb) => rgb,
        other => on_white(&other.into_rgba8()),
    };
    let mut rgb = upright(rgb, orientation);
    if let Some(bbox) = bbox {
        rgb = around(&rgb, bbox);
    }
    Ok((square(rgb, side)?, odd))
}

fn upright(rgb: image::RgbImage, orientation: Orientation) -> image::RgbImage {
    let mut picture = image::DynamicImage::ImageRgb8(rgb);
    picture.apply_orientation(orientation);
    picture.into_rgb8()
}

/// The central square at `side`.
fn square(rgb: image::RgbImage, side: usize) -> Result<Image, Source> {
    let (w, h) = rgb.dimensions();
    let size = u32::try_from(side)?;
    if (w, h) == (size, size) {
        return Ok(Image { side, rgb: rgb.into_raw() });
    }
    // Typed images: the untyped call would compile every pixel type and filter into this crate, which takes minutes.
    let raw = rgb.into_raw();
    let from = TypedImageRef::<U8x3>::from_buffer(w, h, &raw)?;
    let mut resized = vec![0; side * side * 3];
    let mut to = TypedImage::<U8x3>::from_buffer(size, size, &mut resized)?;
    let options = fir::ResizeOptions::new()
        .resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::Bilinear))
        .fit_into_destination(Some((0.5, 0.5)));
    fir::Resizer::new().resize_typed(&from, &mut to, Some(&options))?;
    Ok(Image { side, rgb: resized })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bbox(x: f64, y: f64, width: f64, height: f64) -> BoundingBox {
        BoundingBox { x, y, width, height }
    }

    #[test]
    fn a_crop_is_one_and_a_half_times_the_box_and_stays_inside() {
        let mut rgb = image::RgbImage::new(100, 80);
        rgb.put_pixel(50, 40, image::Rgb([9, 9, 9]));
        // Middle (50, 40), larger side 20: 15 pixels each way.
        let crop = around(&rgb, bbox(40., 32., 20., 16.));
        assert_eq!((crop.dimensions(), crop.get_pixel(15, 15).0), ((30, 30), [9, 9, 9]));
        assert_eq!(around(&rgb, bbox(0., 0., 20., 10.)).dimensions(), (25, 20), "clipped at the corner");
        assert_eq!(around(&rgb, bbox(-500., 900., 1., 1.)).dimensions(), (1, 1), "a box outside");
        assert_eq!(around(&rgb, bbox(0., 0., 1e9, 1e9)).dimensions().0, 100, "a box larger than the image");
    }

    #[test]
    fn transparent_is_white_and_the_square_is_central() {
        let wide = image::RgbaImage::from_fn(6, 2, |x, _| {
            image::Rgba(if (2..4).contains(&x) { [0, 0, 0, 0] } else { [9, 9, 9, 255] })
        });
        let mut bytes = std::io::Cursor::new(Vec::new());
        wide.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        let (loaded, odd) = load(bytes.get_ref(), 2, None, &Budget::default()).unwrap();
        assert!(odd.is_empty());
        assert_eq!(loaded.rgb, [255; 12]);
        let half = image::RgbaImage::from_pixel(2, 2, image::Rgba([0, 100, 255, 128]));
        assert_eq!(on_white(&half).get_pixel(0, 0).0, [127, 177, 255]);
    }

    #[test]
    fn images_become_planes_in_unit_range() {
        let image = Image { side: 1, rgb: vec![0, 255, 51] };
        let t = image.to_tensor(&candle_core::Device::Cpu).unwrap();
        assert_eq!(t.dims(), [3, 1, 1]);
        let v = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!((v[0] + 1.).abs() < 1e-6 && (v[1] - 1.).abs() < 1e-6 && (v[2] + 0.6).abs() < 1e-6, "{v:?}");
    }
}
