//! TIFF pictures whose pixels are places in a palette, which the decoder does not know: they are decoded as if they were gray, and
//! the grays are looked up.
use image::{DynamicImage, Rgb, RgbImage};

/// Tags of a TIFF's directory.
const BITS_PER_SAMPLE: u16 = 258;
const INTERPRETATION: u16 = 262;
const COLOR_MAP: u16 = 320;
/// Values of [`INTERPRETATION`].
const BLACK_IS_ZERO: u8 = 1;
const PALETTE: u16 = 3;

/// A TIFF with a palette.
#[derive(Debug)]
pub(super) struct Indexed {
    /// The file with its places declared to be grays.
    pub(super) gray: Vec<u8>,
    colors: Vec<Rgb<u8>>,
}

/// What an indexed TIFF of one or eight bits a pixel is; `None` of any other file.
pub(super) fn indexed(bytes: &[u8]) -> Option<Indexed> {
    let file = Directory::of(bytes)?;
    let [_, interpretation] = file.entry(INTERPRETATION)?;
    if file.short(interpretation)? != PALETTE {
        return None;
    }
    let bits = file.entry(BITS_PER_SAMPLE).and_then(|[_, at]| file.short(at)).unwrap_or(1);
    if !matches!(bits, 1 | 8) {
        return None;
    }
    let [count, at] = file.entry(COLOR_MAP)?;
    let n = 1 << bits;
    if count != 3 * n {
        return None;
    }
    // All reds, all greens, all blues, of 16 bits each; some programs write 8 bits.
    let map = file.long(at)?;
    let values: Vec<u16> = (0..count).map(|i| file.short(map + 2 * i)).collect::<Option<_>>()?;
    let shift = if values.iter().all(|v| *v < 256) { 0 } else { 8 };
    let color = |i: usize| Rgb([0, n, 2 * n].map(|plane| (values[plane + i] >> shift) as u8));
    let colors = (0..n).map(color).collect();
    let mut gray = bytes.to_vec();
    let low = if file.little { interpretation } else { interpretation + 1 };
    *gray.get_mut(low)? = BLACK_IS_ZERO;
    Some(Indexed { gray, colors })
}

impl Indexed {
    /// The picture in its colors, of [`Indexed::gray`] decoded to the range 0 to 255.
    pub(super) fn paint(&self, gray: &DynamicImage) -> DynamicImage {
        let gray = gray.to_luma8();
        let last = self.colors.len() - 1;
        let color = |x, y| self.colors[usize::from(gray.get_pixel(x, y).0[0]) * last / 255];
        RgbImage::from_fn(gray.width(), gray.height(), color).into()
    }
}

/// The first directory of a TIFF.
struct Directory<'a> {
    bytes: &'a [u8],
    little: bool,
    at: usize,
}

impl<'a> Directory<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let little = match bytes.get(..4)? {
            b"II*\0" => true,
            b"MM\0*" => false,
            _ => return None,
        };
        let mut file = Self { bytes, little, at: 0 };
        file.at = file.long(4)?;
        Some(file)
    }

    /// How many values the entry of a tag has, and where its field for them begins.
    fn entry(&self, tag: u16) -> Option<[usize; 2]> {
        let entries = usize::from(self.short(self.at)?);
        let places = (0..entries).map(|i| self.at + 2 + 12 * i);
        let at = places.take_while(|at| *at < self.bytes.len()).find(|at| self.short(*at) == Some(tag))?;
        Some([self.long(at + 4)?, at + 8])
    }

    fn short(&self, at: usize) -> Option<u16> {
        let bytes = self.bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    }

    fn long(&self, at: usize) -> Option<usize> {
        let bytes = self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        let number = if self.little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) };
        usize::try_from(number).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with these tags, types and values; a palette of `n` colors (i, 2 i, 3 i) after it.
    fn tiff(little: bool, bits: u16, n: u16, scale: u16) -> Vec<u8> {
        let short = |v: u16| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let long = |v: u32| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let mut out = if little { b"II*\0".to_vec() } else { b"MM\0*".to_vec() };
        out.extend(long(8));
        out.extend(short(3));
        for (tag, count, value) in [(BITS_PER_SAMPLE, 1, bits), (INTERPRETATION, 1, PALETTE)] {
            out.extend([short(tag), short(3)].concat());
            out.extend(long(count));
            out.extend([short(value), short(0)].concat());
        }
        out.extend([short(COLOR_MAP), short(3)].concat());
        out.extend([long(3 * u32::from(n)), long(46)].concat());
        for plane in 1..=3 {
            (0..n).for_each(|i| out.extend(short(i * plane * scale)));
        }
        out
    }

    #[test]
    fn palettes_of_either_byte_order_are_read_and_the_places_become_grays() {
        for little in [true, false] {
            for (bits, n, scale) in [(1, 2, 256), (8, 256, 85), (1, 2, 1)] {
                let file = tiff(little, bits, n, scale);
                let found = indexed(&file).unwrap();
                let shift = if scale == 1 { 1 } else { 256 };
                let want = |i: u16| Rgb([1, 2, 3].map(|plane| (i * plane * scale / shift) as u8));
                assert_eq!(found.colors, (0..n).map(want).collect::<Vec<_>>(), "{little} {bits}");
                let changed: Vec<usize> = (0..file.len()).filter(|i| file[*i] != found.gray[*i]).collect();
                assert_eq!(changed.len(), 1);
            }
        }
    }

    #[test]
    fn what_is_cut_or_no_palette_is_left_to_the_decoder() {
        let file = tiff(true, 8, 256, 85);
        for end in 0..file.len() {
            assert!(indexed(&file[..end]).is_none(), "{end}");
        }
        assert!(indexed(&tiff(true, 4, 16, 256)).is_none());
        assert!(indexed(&tiff(true, 8, 255, 85)).is_none(), "too few colors");
        let mut far = file;
        far[4..8].copy_from_slice(&[0xff; 4]);
        assert!(indexed(&far).is_none());
    }
}
