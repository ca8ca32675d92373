//! From a file's bytes to pixels: bounded before memory is spent, whole or refused, with what is odd about it.
use super::budget::{BYTES, Budget, Held};
use super::jpeg;
use super::outline::{self, Outline};
use super::palette;
use crate::error::Source;
use crate::formats::Reason;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use std::io::Cursor;
use std::ops::Range;

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
    let format = image::guess_format(bytes).map_err(|_| "not a picture of a type that is read")?;
    let outline = match format {
        ImageFormat::Png => outline::png(bytes),
        ImageFormat::Gif => outline::gif(bytes),
        ImageFormat::WebP => outline::webp(bytes).ok_or("truncated: the file is shorter than it says")?,
        _ => Outline::default(),
    };
    let indexed = (format == ImageFormat::Tiff).then(|| palette::indexed(bytes)).flatten();
    let altered = !outline.profiles.is_empty() || outline.end.is_some();
    let plain = altered.then(|| {
        let whole = outline.end.map_or(bytes, |end| &bytes[..end]);
        let mut plain = without(whole, &outline.profiles);
        plain.extend_from_slice(outline.end.map_or(&[], |_| outline::PNG_END));
        plain
    });
    let read = indexed.as_ref().map(|i| &i.gray).or(plain.as_ref()).map_or(bytes, Vec::as_slice);
    let mut reader = ImageReader::with_format(Cursor::new(read), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|e| unread(format, e))?;
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
    let mut image = DynamicImage::from_decoder(decoder)?;
    if let Some(indexed) = indexed {
        image = indexed.paint(&image);
    }
    let odd = [(no_end, Reason::NoEndMark), (outline.several, Reason::SeveralFrames)];
    let odd = odd.into_iter().filter(|(is, _)| *is).map(|(_, reason)| reason).collect();
    Ok(Picture { image, orientation, odd, held })
}

/// The bytes but for those of `parts`, which are in order.
fn without(bytes: &[u8], parts: &[Range<usize>]) -> Vec<u8> {
    let mut left = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for part in parts {
        left.extend_from_slice(&bytes[from..part.start]);
        from = part.end.min(bytes.len());
    }
    left.extend_from_slice(&bytes[from..]);
    left
}

/// What is to be said of a picture that cannot be begun.
fn unread(format: ImageFormat, e: ImageError) -> Source {
    if let (ImageFormat::Tiff, ImageError::Unsupported(_)) = (format, &e) {
        return format!("a TIFF of a kind that is not read ({e}); save it as PNG").into();
    }
    e.into()
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
        // Strips before they are put together, and a second file and picture where there is a palette.
        ImageFormat::Tiff => 2 * pixels_bytes + file + 3 * pixels,
        // The file without its color profile.
        ImageFormat::Png => file,
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
