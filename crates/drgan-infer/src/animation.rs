//! Frames as an animated file: APNG, or GIF.
use crate::RgbImage;
use drgan_tensor::{Error, Result};
use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, DynamicImage, Frame};
use std::path::Path;

/// What an animation is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Animated PNG: exact colors; what knows no animations shows the first frame.
    Apng,
    /// GIF: 256 colors per frame.
    Gif,
}

impl Format {
    /// The format that a file's name asks for: `.png` and `.apng`, or `.gif`.
    ///
    /// # Errors
    /// [`Error::File`] that names `path`: another extension, or none.
    pub fn of(path: &Path) -> Result<Self> {
        let is = |name: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(name));
        match (is("png") || is("apng"), is("gif")) {
            (true, _) => Ok(Self::Apng),
            (_, true) => Ok(Self::Gif),
            _ => {
                Err(Error::file(path, "animations are written as APNG or GIF; end the name in .png or .gif"))
            }
        }
    }
}

/// The bytes of an animation that repeats for ever, each frame shown for `milliseconds`.
///
/// # Errors
/// No frame, an empty one, frames of several sizes; a GIF of more than 65,535 pixels a side.
pub fn encode(frames: &[RgbImage], format: Format, milliseconds: u16) -> Result<Vec<u8>> {
    let Some(first) = frames.first() else { return Err(Error::input("an animation wants a frame")) };
    if first.is_empty() || frames.iter().any(|frame| frame.dimensions() != first.dimensions()) {
        return Err(Error::input("frames of an animation are of one size, which is not empty"));
    }
    match format {
        Format::Apng => apng(frames, first.dimensions(), milliseconds).map_err(failed),
        Format::Gif => gif(frames, milliseconds).map_err(failed),
    }
}

fn failed(e: impl std::error::Error + Send + Sync + 'static) -> Error {
    candle_core::Error::wrap(e).into()
}

fn apng(
    frames: &[RgbImage],
    (width, height): (u32, u32),
    milliseconds: u16,
) -> std::result::Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // Each frame is compressed alone; a count above u32 would not fit into memory.
    encoder.set_animated(u32::try_from(frames.len()).unwrap_or(u32::MAX), 0)?;
    encoder.set_frame_delay(milliseconds, 1000)?;
    let mut writer = encoder.write_header()?;
    for frame in frames {
        writer.write_image_data(frame.as_raw())?;
    }
    writer.finish()?;
    Ok(bytes)
}

fn gif(frames: &[RgbImage], milliseconds: u16) -> image::ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, 10);
    encoder.set_repeat(Repeat::Infinite)?;
    for frame in frames {
        let pixels = DynamicImage::ImageRgb8(frame.clone()).into_rgba8();
        let delay = Delay::from_numer_denom_ms(u32::from(milliseconds), 1);
        encoder.encode_frame(Frame::from_parts(pixels, 0, 0, delay))?;
    }
    drop(encoder);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{AnimationDecoder, Rgb};
    use std::io::Cursor;

    fn frames() -> Vec<RgbImage> {
        (0..5u8).map(|i| RgbImage::from_pixel(6, 4, Rgb([40 * i, 200 - 40 * i, 7]))).collect()
    }

    #[test]
    fn frames_come_back_in_their_order() -> Result<()> {
        let frames = frames();
        let bytes = encode(&frames, Format::Apng, 40)?;
        let decoder = image::codecs::png::PngDecoder::new(Cursor::new(&bytes)).map_err(failed)?;
        let back = decoder.apng().map_err(failed)?.into_frames().collect_frames().map_err(failed)?;
        assert_eq!(back.len(), 5);
        for (back, frame) in back.iter().zip(&frames) {
            assert_eq!(&DynamicImage::ImageRgba8(back.buffer().clone()).into_rgb8(), frame);
            assert_eq!(back.delay().numer_denom_ms().0 / back.delay().numer_denom_ms().1, 40);
        }
        let bytes = encode(&frames, Format::Gif, 40)?;
        let decoder = image::codecs::gif::GifDecoder::new(Cursor::new(&bytes)).map_err(failed)?;
        let back = decoder.into_frames().collect_frames().map_err(failed)?;
        assert_eq!(back.len(), 5);
        for (back, frame) in back.iter().zip(&frames) {
            let (got, want) = (back.buffer().get_pixel(3, 2), frame.get_pixel(3, 2));
            assert!((0..3).all(|c| got[c].abs_diff(want[c]) <= 2), "{got:?} {want:?}");
        }
        Ok(())
    }

    #[test]
    fn what_is_no_animation_is_refused() {
        assert!(encode(&[], Format::Gif, 40).is_err());
        assert!(encode(&[RgbImage::new(0, 0)], Format::Apng, 40).is_err());
        assert!(encode(&[RgbImage::new(2, 2), RgbImage::new(2, 3)], Format::Apng, 40).is_err());
        assert_eq!(Format::of(Path::new("a.GIF")).ok(), Some(Format::Gif));
        assert_eq!(Format::of(Path::new("a.apng")).ok(), Some(Format::Apng));
        let said = Format::of(Path::new("a.mp4")).unwrap_err().to_string();
        assert!(said.contains("a.mp4") && said.contains(".gif"), "{said}");
    }
}
