//! From a file's bytes to pixels: bounded before memory is spent, whole or refused, with what is odd about it.
use super::budget::{BYTES, Budget, Held};
use super::jpeg;
use super::outline::{self, Outline};
use crate::error::Source;
use crate::formats::Reason;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use std::io::Cursor;

/// Pixels of a picture at most: 8192 x 8192.
const PIXELS: u64 = 1 << 26;

/// A decoded picture, as its file has it.
#[derive(Debug)]
pub(crate) struct Picture<'a> {
    pub(crate) image: DynamicImage,
    /// How it is turned upright.
    pub(crate) orientation: Orientation,
    /// In what it is read otherwise than one might think.
    pub(crate) odd: Vec<Reason>,
    /// The memory that it takes while it is resized.
    pub(super) held: Held<'a>,
}

/// Decodes webp, png, jpeg, gif, bmp or tiff by content, the first frame of several.
///
/// # Errors
/// No picture of these types, more than [`PIXELS`] or [`BYTES`], a file that ends before the picture does, damaged data.
pub(crate) fn decode<'a>(bytes: &[u8], budget: &'a Budget) -> Result<Picture<'a>, Source> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(BYTES);
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let format = reader.format().ok_or("not a picture of a type that is read")?;
    reader.limits(limits);
    let outline = match format {
        ImageFormat::Png => outline::png(bytes),
        ImageFormat::Gif => outline::gif(bytes),
        ImageFormat::WebP => outline::webp(bytes).ok_or("truncated: the file is shorter than it says")?,
        _ => Outline::default(),
    };
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(format!("it has no pixels: {width} x {height}").into());
    }
    if pixels > PIXELS {
        return Err(
            format!("{width} x {height} pixels, and at most {PIXELS} are decoded; make it smaller").into()
        );
    }
    let needed = needed(format, (width, height), decoder.total_bytes(), bytes.len() as u64);
    if needed > BYTES {
        let (needed, most) = (needed >> 20, BYTES >> 20);
        let said =
            format!("decoding {width} x {height} pixels takes {needed} MiB, and at most {most} are used");
        return Err(format!("{said}; make it smaller").into());
    }
    let held = budget.take(needed);
    let no_end = outline.no_end || (format == ImageFormat::Jpeg && !jpeg::ends(bytes)?);
    let orientation = orientation(&mut decoder, outline.exif);
    let image = DynamicImage::from_decoder(decoder)?;
    let odd = [(no_end, Reason::NoEndMark), (outline.several, Reason::SeveralFrames)];
    let odd = odd.into_iter().filter(|(is, _)| *is).map(|(_, reason)| reason).collect();
    Ok(Picture { image, orientation, odd, held })
}

/// Bytes that a picture takes at most while it is decoded and resized, beside what all take: the file, the decoder's own, its
/// pixels, and copies of them as RGBA and as RGB.
fn needed(format: ImageFormat, (width, height): (u32, u32), pixels_bytes: u64, file: u64) -> u64 {
    let pixels = u64::from(width) * u64::from(height);
    let own = match format {
        // Coefficients of a progressive picture, 16 bits for each of at most four components, in whole MCUs.
        ImageFormat::Jpeg => {
            8 * u64::from(width).next_multiple_of(32) * u64::from(height).next_multiple_of(32) + file
        }
        // Planes, or a frame and its canvas.
        ImageFormat::WebP | ImageFormat::Gif => 8 * pixels,
        // Strips before they are put together.
        ImageFormat::Tiff => 2 * pixels_bytes,
        _ => 0,
    };
    file + (pixels_bytes + own.max(4 * pixels)).max(7 * pixels)
}

/// How a picture is turned upright: what its Exif data or its TIFF tag says; data that cannot be read says nothing.
fn orientation(decoder: &mut impl ImageDecoder, exif: Option<&[u8]>) -> Orientation {
    let exif = match exif {
        Some(exif) => Some(exif.to_vec()),
        None => decoder.exif_metadata().ok().flatten(),
    };
    match exif {
        // The header of JPEG's segment, which some programs keep in other formats.
        Some(exif) => Orientation::from_exif_chunk(exif.strip_prefix(b"Exif\0\0").unwrap_or(&exif)),
        None => decoder.orientation().ok(),
    }
    .unwrap_or(Orientation::NoTransforms)
}

#[cfg(test)]
mod tests;
