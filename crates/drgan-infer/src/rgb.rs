//! Images as bytes: generated tensors to RGB, and PNG.
use crate::heat;
use candle_core::{DType, Tensor};
use drgan_tensor::{Error, Result, expect_shape};
use image::{ImageFormat, RgbImage};

/// A generated image as bytes: `round(127.5 x + 127.5)`, clamped to 0..=255.
///
/// # Shapes
/// `image` `(3, H, W)`, any float type, range \[-1, 1\].
///
/// # Errors
/// [`Error::Shape`]; a value that is not a number.
pub fn to_rgb(image: &Tensor) -> Result<RgbImage> {
    let (rgb, nan) = bytes(image)?;
    if nan.is_empty() {
        return Ok(rgb);
    }
    let reason = "rgb::to_rgb: image: holds values that are not numbers (NaN); the network has diverged";
    Err(candle_core::Error::msg(reason).into())
}

/// As [`to_rgb`], with stripes of magenta and black where a value is not a number, and whether there is one.
///
/// # Errors
/// [`Error::Shape`].
pub(crate) fn to_rgb_striped(image: &Tensor) -> Result<(RgbImage, bool)> {
    let (mut rgb, nan) = bytes(image)?;
    for (x, y) in &nan {
        rgb.put_pixel(*x, *y, heat::stripe(*x, *y));
    }
    Ok((rgb, !nan.is_empty()))
}

/// The image, and which pixels are not numbers.
fn bytes(image: &Tensor) -> Result<(RgbImage, Vec<(u32, u32)>)> {
    const DOCUMENTED: &str = "(3, H, W)";
    expect_shape("rgb::to_rgb: image", image, &[Some(3), None, None], DOCUMENTED)?;
    let (_, h, w) = image.dims3()?;
    let sides = u32::try_from(w).ok().zip(u32::try_from(h).ok());
    let values = image.to_dtype(DType::F32)?.permute((1, 2, 0))?.flatten_all()?.to_vec1::<f32>()?;
    // The cast saturates, which is the clamp.
    let bytes = values.iter().map(|x| (127.5 * x + 127.5).round() as u8).collect();
    let rgb = sides.and_then(|(w, h)| RgbImage::from_raw(w, h, bytes)).ok_or_else(|| Error::Shape {
        what: "rgb::to_rgb: image",
        expected: format!("{DOCUMENTED} with sides below 2^32"),
        got: image.dims().to_vec(),
    })?;
    let pixels = values.chunks_exact(3).zip(rgb.enumerate_pixels());
    let nan = pixels.filter(|(v, _)| v.iter().any(|v| v.is_nan())).map(|(_, (x, y, _))| (x, y)).collect();
    Ok((rgb, nan))
}

/// The bytes of a PNG file.
///
/// # Errors
/// An empty image.
pub fn encode_png(image: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).map_err(candle_core::Error::wrap)?;
    Ok(bytes.into_inner())
}

/// The bytes of a PNG file with texts in it, by keyword: `Description`, `Software` and others, which programs show.
///
/// # Errors
/// An empty image, a keyword that PNG does not allow.
pub fn encode_png_with(image: &RgbImage, texts: &[(&str, &str)]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut write = || -> std::result::Result<(), png::EncodingError> {
        let mut encoder = png::Encoder::new(&mut bytes, image.width(), image.height());
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        for (keyword, text) in texts {
            encoder.add_itxt_chunk((*keyword).to_owned(), (*text).to_owned())?;
        }
        let mut writer = encoder.write_header()?;
        writer.write_image_data(image.as_raw())?;
        writer.finish()
    };
    write().map_err(candle_core::Error::wrap)?;
    Ok(bytes)
}

/// The bytes of a lossless WebP file.
///
/// # Errors
/// An empty image, one of more than 16,384 pixels a side.
#[cfg(feature = "fs")]
pub fn encode_webp(image: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::WebP).map_err(candle_core::Error::wrap)?;
    Ok(bytes.into_inner())
}

/// Writes a PNG, and its folder where there is none; a reader sees the old file or the new one.
///
/// # Errors
/// [`Error::File`] that names `path`: an extension other than `.png`, or what the file system reports.
#[cfg(feature = "fs")]
pub fn save_png(image: &RgbImage, path: &std::path::Path) -> Result<()> {
    check_name(path)?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|e| Error::file_because(path, "its folder cannot be made", e))?;
    }
    let bytes = encode_png(image).map_err(|e| Error::file_because(path, "cannot be encoded", e))?;
    drgan_tensor::file::write_atomic(path, &bytes)
}

/// Checks that [`save_png`] would take a name, before there is anything to save.
///
/// # Errors
/// [`Error::File`] that names `path`: an extension other than `.png`.
#[cfg(feature = "fs")]
pub fn check_name(path: &std::path::Path) -> Result<()> {
    match path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) {
        true => Ok(()),
        false => Err(Error::file(path, "images are written as PNG only; end the name in .png")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use image::Rgb;

    #[test]
    fn bytes_are_rounded_and_clamped_and_nan_is_refused() -> Result<()> {
        let red = [-1f32, 1., 0., 0.5];
        let green = [-7., 7., f32::INFINITY, f32::NEG_INFINITY];
        let blue = [0.004, -0.004, 1. / 255., -0.5];
        let x = Tensor::new(&[red, green, blue], &Device::Cpu)?.reshape((3, 2, 2))?;
        let want = [0, 0, 128, 255, 255, 127, 128, 255, 128, 191, 0, 64];
        assert_eq!(to_rgb(&x)?.as_raw(), &want);
        let odd = to_rgb(&Tensor::zeros((3, 5, 7), DType::F64, &Device::Cpu)?)?;
        assert_eq!((odd.dimensions(), odd.get_pixel(6, 4)), ((7, 5), &Rgb([128; 3])));
        assert!(to_rgb(&Tensor::zeros((3, 0, 4), DType::F32, &Device::Cpu)?)?.is_empty());
        let nan = Tensor::full(f32::NAN, (3, 1, 1), &Device::Cpu)?;
        assert!(to_rgb(&nan).unwrap_err().to_string().contains("NaN"));
        assert_eq!(to_rgb_striped(&nan)?, (RgbImage::from_pixel(1, 1, heat::stripe(0, 0)), true));
        assert_eq!(to_rgb_striped(&x)?, (to_rgb(&x)?, false));
        let gray = Tensor::zeros((1, 4, 4), DType::F32, &Device::Cpu)?;
        assert!(to_rgb(&gray).unwrap_err().to_string().contains("(3, H, W)"));
        Ok(())
    }

    #[cfg(feature = "fs")]
    #[test]
    fn files_come_back_and_errors_name_them() -> Result<()> {
        let dir = tempfile::tempdir().unwrap();
        let image = RgbImage::from_fn(5, 3, |x, y| Rgb([x as u8 * 50, y as u8 * 80, 77]));
        let path = dir.path().join("new/folder/grid.PNG");
        for p in [&RgbImage::new(1, 1), &image] {
            save_png(p, &path)?;
            assert_eq!(&::image::open(&path).unwrap().into_rgb8(), p);
        }
        assert_eq!(std::fs::read_dir(dir.path().join("new/folder")).unwrap().count(), 1);
        for name in ["grid.jpg", "grid", "png"] {
            let error = save_png(&image, &dir.path().join(name)).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("end the name in .png"), "{error}");
        }
        let error = save_png(&image, &path.join("under.png")).unwrap_err().to_string();
        assert!(error.contains("under.png") && error.contains("folder"), "{error}");
        Ok(())
    }
}
