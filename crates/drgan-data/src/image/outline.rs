//! What a picture's file says between its parts: the mark at its end, frames beyond the first, orientation.
use std::ops::Range;

/// What is found without decoding.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outline<'a> {
    /// The mark at its end is missing.
    pub(super) no_end: bool,
    /// Where the mark at the end belongs, if all before it is whole (PNG).
    pub(super) end: Option<usize>,
    /// There is a second frame.
    pub(super) several: bool,
    /// The Exif data, where its place is not before the pixels' (PNG).
    pub(super) exif: Option<&'a [u8]>,
    /// Where compressed color profiles are (PNG), which are not used and may be far larger than their file.
    pub(super) profiles: Vec<Range<usize>>,
}

fn number(bytes: &[u8], at: usize, of: fn([u8; 4]) -> u32) -> Option<usize> {
    let bytes: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(of(bytes)).ok()
}

/// The last chunk of a PNG: the mark at its end.
pub(super) const PNG_END: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";

/// The chunks of a PNG.
pub(super) fn png(bytes: &[u8]) -> Outline<'_> {
    let mut found = Outline { no_end: true, ..Outline::default() };
    let mut at = 8;
    while let (Some(size), Some(kind)) = (number(bytes, at, u32::from_be_bytes), bytes.get(at + 4..at + 8)) {
        let contents = bytes.get(at + 8..).and_then(|rest| rest.get(..size));
        match kind {
            b"IEND" => {
                found.no_end = bytes.len() < at.saturating_add(12);
                break;
            }
            b"acTL" => {
                found.several =
                    contents.and_then(|c| number(c, 0, u32::from_be_bytes)).is_some_and(|n| n > 1);
            }
            b"eXIf" => found.exif = contents,
            b"iCCP" if contents.is_some() => found.profiles.push(at..at + 12 + size),
            _ => {}
        }
        at = at.saturating_add(size).saturating_add(12);
    }
    let rest = bytes.get(at..).filter(|rest| found.no_end && PNG_END.starts_with(rest));
    found.end = rest.map(|_| at);
    found
}

/// The blocks of a GIF.
pub(super) fn gif(bytes: &[u8]) -> Outline<'_> {
    let mut frames = 0;
    let end = gif_end(bytes, &mut frames);
    Outline { no_end: end.is_none(), several: frames > 1, ..Outline::default() }
}

/// Where the trailer is; counts `frames` up to it.
fn gif_end(bytes: &[u8], frames: &mut usize) -> Option<usize> {
    let colors = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let mut at = 13 + colors(*bytes.get(10)?);
    loop {
        match bytes.get(at)? {
            0x3b => return Some(at),
            0x21 => at += 2,
            0x2c => {
                *frames += 1;
                at += 11 + colors(*bytes.get(at + 9)?);
            }
            _ => {
                at += 1;
                continue;
            }
        }
        loop {
            let size = usize::from(*bytes.get(at)?);
            at += 1 + size;
            if size == 0 {
                break;
            }
        }
    }
}

/// The chunks of a WebP; none if it is shorter than it says.
pub(super) fn webp(bytes: &[u8]) -> Option<Outline<'_>> {
    let size = number(bytes, 4, u32::from_le_bytes)?;
    // The last chunk's byte of padding is left out by some.
    if size.saturating_add(8) > bytes.len() + 1 {
        return None;
    }
    let (mut at, mut frames) = (12, 0);
    while let Some(size) = number(bytes, at + 4, u32::from_le_bytes) {
        if at.saturating_add(8).saturating_add(size) > bytes.len() {
            return None;
        }
        frames += usize::from(bytes.get(at..at + 4) == Some(b"ANMF"));
        at = at.saturating_add(8).saturating_add(size).saturating_add(size % 2);
    }
    Some(Outline { several: frames > 1, ..Outline::default() })
}
