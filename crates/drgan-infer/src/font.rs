//! Text in images: an 8x8 bitmap font, wrapped and cut to a width.
use font8x8::legacy::BASIC_LEGACY;
use image::{Rgb, RgbImage};

/// Side of an unscaled glyph, in pixels.
pub(crate) const GLYPH: u32 = 8;
/// Color of text.
pub(crate) const INK: Rgb<u8> = Rgb([0; 3]);

/// What the font can show: one byte per character.
fn to_ascii(text: &str) -> String {
    text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect()
}

/// Lines of at most `width` characters, broken at white space; a longer word is broken where it must be.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let mut rest = to_ascii(word);
        match lines.last_mut() {
            Some(line) if line.len() + 1 + rest.len() <= width => {
                line.push(' ');
                line.push_str(&rest);
            }
            _ => {
                while rest.len() > width {
                    let tail = rest.split_off(width);
                    lines.push(std::mem::replace(&mut rest, tail));
                }
                lines.push(rest);
            }
        }
    }
    lines
}

/// `text` in at most `width` characters, the last two of them `..` where something was left out.
pub(crate) fn cut(text: &str, width: usize) -> String {
    let mut text = to_ascii(text);
    if text.len() > width {
        text.truncate(width);
        if width > 2 {
            text.replace_range(width - 2.., "..");
        }
    }
    text
}

/// Draws ASCII `text` with its upper left corner at `(x, y)`; the layout leaves room for it.
pub(crate) fn draw_text(out: &mut RgbImage, text: &str, x: u32, y: u32, scale: u32) {
    for (left, character) in (x..).step_by((GLYPH * scale) as usize).zip(text.bytes()) {
        let Some(glyph) = BASIC_LEGACY.get(usize::from(character)) else { continue };
        for dy in 0..GLYPH * scale {
            let bits = glyph[(dy / scale) as usize];
            // The lowest bit is the leftmost pixel.
            for dx in (0..GLYPH * scale).filter(|dx| bits >> (dx / scale) & 1 == 1) {
                out.put_pixel(left + dx, y + dy, INK);
            }
        }
    }
}

/// Pixels that a text has when none of them is cut off or drawn over.
#[cfg(test)]
pub(crate) fn ink(text: &str, scale: usize) -> usize {
    let bits = |c: u8| BASIC_LEGACY[usize::from(c)].iter().map(|r| r.count_ones() as usize).sum::<usize>();
    text.bytes().map(bits).sum::<usize>() * scale * scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_are_broken_and_nothing_is_lost() {
        let caption = format!("a caption \u{e9} of words, {} and\nmore words than", "x".repeat(47));
        let lines = wrap(&caption, 20).join("|").replace(&"x".repeat(20), "X");
        assert_eq!(lines, "a caption ? of|words,|X|X|xxxxxxx and more|words than");
        assert!(wrap(" \n", 20).is_empty());
    }

    #[test]
    fn what_is_cut_ends_in_dots() {
        let shown = ["two", "exact", "longer", "\u{e9}"].map(|t| cut(t, 5));
        assert_eq!(shown, ["two", "exact", "lon..", "?"]);
        assert_eq!((cut("ab", 1), cut("ab", 0)), ("a".to_owned(), String::new()));
    }
}
