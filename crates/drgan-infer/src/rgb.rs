//! Images as bytes: generated tensors to RGB, maps over them, PNG.
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
    const DOCUMENTED: &str = "(3, H, W)";
    expect_shape("rgb::to_rgb: image", image, &[Some(3), None, None], DOCUMENTED)?;
    let (_, h, w) = image.dims3()?;
    let values = image.to_dtype(DType::F32)?.permute((1, 2, 0))?.flatten_all()?.to_vec1::<f32>()?;
    if values.iter().any(|x| x.is_nan()) {
        let reason = "rgb::to_rgb: image: holds values that are not numbers (NaN); the network has diverged";
        return Err(candle_core::Error::msg(reason).into());
    }
    // The cast saturates, which is the clamp.
    let bytes = values.iter().map(|x| (127.5 * x + 127.5).round() as u8).collect();
    let sides = u32::try_from(w).ok().zip(u32::try_from(h).ok());
    sides.and_then(|(w, h)| RgbImage::from_raw(w, h, bytes)).ok_or_else(|| Error::Shape {
        what: "rgb::to_rgb: image",
        expected: format!("{DOCUMENTED} with sides below 2^32"),
        got: image.dims().to_vec(),
    })
}

/// Shows where a map is high: the image in dimmed gray, under red (middle values) to yellow (the maximum).
///
/// The map is resized to the image bilinearly (half-pixel centres, clamped at the edge) and divided by its
/// maximum; with `m` the result, a pixel is `(1 - 0.8 m) 0.6 gray + 0.8 m (255, 255 m^2, 0)`. A map of zeros
/// leaves the dimmed image.
///
/// # Shapes
/// `map` `(h, w)`, not empty, any float type, finite and at least 0.
///
/// # Errors
/// [`Error::Shape`]; a value that is negative or not finite.
pub fn heat_overlay(image: &RgbImage, map: &Tensor) -> Result<RgbImage> {
    const WHAT: &str = "rgb::heat_overlay: map";
    const DOCUMENTED: &str = "(h, w), h and w at least 1";
    expect_shape(WHAT, map, &[None, None], DOCUMENTED)?;
    let (h, w) = map.dims2()?;
    if h * w == 0 {
        return Err(Error::Shape { what: WHAT, expected: DOCUMENTED.to_owned(), got: vec![h, w] });
    }
    let values = map.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    if let Some(bad) = values.iter().find(|v| !(v.is_finite() && **v >= 0.)) {
        let reason = format!("{WHAT}: holds {bad}; every value must be finite and at least 0");
        return Err(candle_core::Error::msg(reason).into());
    }
    let max = values.iter().fold(0f32, |a, b| a.max(*b));
    let columns: Vec<Tap> = (0..image.width()).map(|x| Tap::new(x, image.width(), w)).collect();
    let mut out = image.clone();
    for (y, line) in out.rows_mut().enumerate() {
        let r = Tap::new(y as u32, image.height(), h);
        for (c, pixel) in columns.iter().zip(line) {
            let across = |y: usize| c.mix(values[y * w + c.low], values[y * w + c.high]);
            let m = if max > 0. { r.mix(across(r.low), across(r.high)) / max } else { 0. };
            let [red, green, blue] = pixel.0.map(f32::from);
            let gray = 0.6 * (0.299 * red + 0.587 * green + 0.114 * blue);
            let heat = [255., 255. * m * m, 0.];
            pixel.0 = heat.map(|v| ((1. - 0.8 * m) * gray + 0.8 * m * v).round() as u8);
        }
    }
    Ok(out)
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

/// Writes a PNG, and its folder where there is none; a reader sees the old file or the new one.
///
/// # Errors
/// [`Error::File`] that names `path`: an extension other than `.png`, or what the file system reports.
#[cfg(feature = "fs")]
pub fn save_png(image: &RgbImage, path: &std::path::Path) -> Result<()> {
    if !path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) {
        return Err(Error::file(path, "images are written as PNG only; end the name in .png"));
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|e| Error::file_because(path, "its folder cannot be made", e))?;
    }
    let bytes = encode_png(image).map_err(|e| Error::file_because(path, "cannot be encoded", e))?;
    drgan_tensor::weights::file::write_atomic(path, &bytes)
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
        let gray = Tensor::zeros((1, 4, 4), DType::F32, &Device::Cpu)?;
        assert!(to_rgb(&gray).unwrap_err().to_string().contains("(3, H, W)"));
        Ok(())
    }

    #[test]
    fn heat_follows_the_map() -> Result<()> {
        let image = RgbImage::from_pixel(4, 3, Rgb([255, 255, 255]));
        let map = Tensor::new(&[[0f64, 8.]], &Device::Cpu)?;
        let p = heat_overlay(&image, &map)?;
        // m = 0, 1/4, 3/4, 1 along every line; 0.6 * 255 = 153.
        let want = [[153; 3], [173, 126, 122], [214, 147, 61], [235, 235, 31]];
        for (x, y, pixel) in p.enumerate_pixels() {
            assert_eq!(pixel.0, want[x as usize], "{x} {y}");
        }
        let down = heat_overlay(&RgbImage::from_pixel(1, 4, Rgb([255; 3])), &map.t()?)?;
        assert_eq!(down.as_raw(), &want.concat());
        let scaled = heat_overlay(&image, &(&map * 0.01)?)?;
        assert_eq!(scaled, p);
        let none = heat_overlay(&image, &map.zeros_like()?)?;
        assert_eq!(none, RgbImage::from_pixel(4, 3, Rgb([153; 3])));
        Ok(())
    }

    #[test]
    fn maps_that_are_no_maps_are_refused() -> Result<()> {
        let image = RgbImage::new(2, 2);
        for bad in [-1f32, f32::NAN, f32::INFINITY] {
            let error =
                heat_overlay(&image, &Tensor::full(bad, (1, 1), &Device::Cpu)?).unwrap_err().to_string();
            assert!(error.contains(&bad.to_string()), "{error}");
        }
        for dims in [vec![0, 2], vec![2], vec![1, 2, 2]] {
            let map = Tensor::zeros(dims, DType::F32, &Device::Cpu)?;
            assert!(matches!(heat_overlay(&image, &map), Err(Error::Shape { .. })));
        }
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
