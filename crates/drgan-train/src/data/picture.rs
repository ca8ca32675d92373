//! Pictures as bytes: decoding, compositing on white, resizing.
use candle_core::{Device, Tensor};
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::{self as fir, pixels::U8x3};

/// A square RGB picture, rows from the top, `(side, side, 3)` bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Side length in pixels.
    pub side: usize,
    /// `side * side * 3` bytes.
    pub rgb: Vec<u8>,
}

impl Picture {
    /// The picture as `(3, side, side)` f32 in `[-1, 1]`: `v / 127.5 - 1`.
    ///
    /// # Errors
    /// Whatever candle reports.
    pub fn to_tensor(&self, device: &Device) -> candle_core::Result<Tensor> {
        let (n, rgb) = (self.side * self.side, &self.rgb);
        let values: Vec<f32> = (0..3 * n).map(|i| unit(rgb[(i % n) * 3 + i / n])).collect();
        Tensor::from_vec(values, (3, self.side, self.side), device)
    }
}

/// A byte to `[-1, 1]`.
pub(crate) fn unit(v: u8) -> f32 {
    f32::from(v) / 127.5 - 1.
}

/// Decodes webp, png or jpeg by content.
pub(crate) fn decode(bytes: &[u8]) -> Result<image::RgbaImage, image::ImageError> {
    Ok(image::load_from_memory(bytes)?.into_rgba8())
}

/// `alpha c + (1 - alpha) white`.
pub(crate) fn on_white(picture: &image::RgbaImage) -> image::RgbImage {
    let mut rgb = image::RgbImage::new(picture.width(), picture.height());
    for (to, from) in rgb.pixels_mut().zip(picture.pixels()) {
        let alpha = u32::from(from[3]);
        to.0 = std::array::from_fn(|i| {
            // Rounded to nearest; at most 255 by construction.
            let v = (alpha * u32::from(from[i]) + (255 - alpha) * 255 + 127) / 255;
            u8::try_from(v).unwrap_or(u8::MAX)
        });
    }
    rgb
}

/// Decodes, composites on white, takes the central square and resizes it with an antialiasing triangle filter.
pub(crate) fn load(bytes: &[u8], side: usize) -> Result<Picture, String> {
    let rgb = on_white(&decode(bytes).map_err(|e| e.to_string())?);
    let (w, h) = rgb.dimensions();
    let size = u32::try_from(side).map_err(|e| e.to_string())?;
    if (w, h) == (size, size) {
        return Ok(Picture { side, rgb: rgb.into_raw() });
    }
    // Typed images: the untyped call would compile every pixel type and filter into this crate, which takes minutes.
    let raw = rgb.into_raw();
    let from = TypedImageRef::<U8x3>::from_buffer(w, h, &raw).map_err(|e| e.to_string())?;
    let mut resized = vec![0; side * side * 3];
    let mut to = TypedImage::<U8x3>::from_buffer(size, size, &mut resized).map_err(|e| e.to_string())?;
    let options = fir::ResizeOptions::new()
        .resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::Bilinear))
        .fit_into_destination(Some((0.5, 0.5)));
    fir::Resizer::new().resize_typed(&from, &mut to, Some(&options)).map_err(|e| e.to_string())?;
    Ok(Picture { side, rgb: resized })
}
