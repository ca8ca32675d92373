//! Text in images: lines in the embedded font, measured, wrapped, cut and drawn.
//!
//! Letters are composed (NFC) and set from left to right without shaping: marks are drawn over the letter before them, and text of
//! scripts that run from right to left shows its letters in reading order from the left.
use ab_glyph::{Font as _, FontRef, GlyphId, PxScale, ScaleFont as _, point};
use image::{Rgb, RgbImage};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Color of text.
pub(crate) const INK: Rgb<u8> = Rgb([0; 3]);
/// Color of the box around the code point of a character that the font lacks.
const FRAME: Rgb<u8> = Rgb([128; 3]);
/// Where a mark has no letter to stand on.
const DOTTED_CIRCLE: char = '\u{25cc}';
/// Ends what was cut.
const ELLIPSIS: char = '\u{2026}';
/// Height of a capital letter or a digit of the font, as a part of its line.
const CAPITAL: f32 = 0.626;
/// White space between the lines of a box, and between its text and its frame, in pixels.
const BOX_GAP: f32 = 1.;

/// The embedded font in one size.
#[derive(Clone, Debug)]
pub(crate) struct Type {
    font: FontRef<'static>,
    height: u32,
}

/// What stands for one character.
enum Piece {
    Glyph(GlyphId),
    /// A box with the code point in hexadecimal digits.
    Box(char),
}

impl Type {
    /// Lines of `height` pixels, from above the accents to below the descenders.
    pub(crate) fn of_height(height: u32) -> Self {
        const FILE: &[u8] = include_bytes!("../fonts/DejaVuSansCondensed-subset.ttf");
        let font = FontRef::try_from_slice(FILE).expect("the embedded font is whole");
        Self { font, height }
    }

    /// Height of a line, in pixels.
    pub(crate) fn height(&self) -> u32 {
        self.height
    }

    /// Width of `text` as one line, in whole pixels.
    pub(crate) fn width(&self, text: &str) -> u32 {
        self.place(text).1.ceil() as u32
    }

    /// At most `most` lines of at most `width` pixels, broken at white space, or within a word that is longer than a line; the
    /// last ends in an ellipsis where text was left out. A line has one character at least, however narrow it is.
    pub(crate) fn wrap(&self, text: &str, width: u32, most: usize) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            if lines.len() > most {
                break;
            }
            let mut rest: String = word.nfc().collect();
            if let Some(line) = lines.last_mut() {
                let joined = format!("{line} {rest}");
                if self.width(&joined) <= width {
                    *line = joined;
                    continue;
                }
            }
            while lines.len() <= most && !rest.is_empty() {
                let end = self.prefix(&rest, width).max(first_cluster(&rest));
                let tail = rest.split_off(end);
                lines.push(std::mem::replace(&mut rest, tail));
            }
        }
        if lines.len() > most {
            lines.truncate(most);
            if let Some(line) = lines.last_mut() {
                *line = self.ellipsize(line, width);
            }
        }
        lines
    }

    /// `text` as one line of at most `width` pixels, with an ellipsis where something was left out; empty where not even that fits.
    pub(crate) fn cut(&self, text: &str, width: u32) -> String {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ").nfc().collect::<String>();
        if self.prefix(&text, width) == text.len() { text } else { self.ellipsize(&text, width) }
    }

    /// As much of `text` as leaves room for an ellipsis in `width`, and the ellipsis.
    fn ellipsize(&self, text: &str, width: u32) -> String {
        let room = self.width(&ELLIPSIS.to_string());
        if room > width {
            return String::new();
        }
        let kept = text[..self.prefix(text, width - room)].trim_end();
        format!("{kept}{ELLIPSIS}")
    }

    /// Bytes of the longest beginning of `text` that is at most `width` wide; marks stay with their letters.
    fn prefix(&self, text: &str, width: u32) -> usize {
        let (mut end, mut last) = (0, Pen::default());
        for (at, c) in text.char_indices() {
            if !joins(c) {
                end = at;
            }
            last = self.step(last, c).1;
            if last.x > width as f32 {
                return end;
            }
        }
        text.len()
    }

    /// Draws `text` with the upper left corner of its line at `(x, y)`; what lies outside the image is left out.
    pub(crate) fn draw(&self, out: &mut RgbImage, text: &str, x: u32, y: u32) {
        for (piece, left) in self.place(&text.nfc().collect::<String>()).0 {
            let left = x as f32 + left;
            match piece {
                Piece::Glyph(id) => self.draw_glyph(out, id, self.height as f32, left, y as f32),
                Piece::Box(c) => self.draw_box(out, c, left.round() as u32, y),
            }
        }
    }

    /// The pieces of a line with their distances from its left end, and its width, in pixels.
    fn place(&self, text: &str) -> (Vec<(Piece, f32)>, f32) {
        let (mut pieces, mut pen) = (Vec::new(), Pen::default());
        for c in text.chars() {
            if is_combining_mark(c) && pen.before.is_none() {
                let (piece, next) = self.step(pen, DOTTED_CIRCLE);
                pieces.extend(piece);
                pen = next;
            }
            let (piece, next) = self.step(pen, c);
            pieces.extend(piece);
            pen = next;
        }
        (pieces, pen.x)
    }

    /// What shows for `c` where the pen stands, with its left end, and where the pen stands after it.
    fn step(&self, pen: Pen, c: char) -> (Option<(Piece, f32)>, Pen) {
        if is_modifier(c) && pen.before.is_some() {
            return (None, pen);
        }
        let id = self.font.glyph_id(c);
        let shown = c == ' ' || self.font.outline(id).is_some();
        if id.0 == 0 || !shown {
            let after = Pen { x: pen.x + self.box_width(c) + 2. * BOX_GAP, before: Some(GlyphId(0)) };
            return (Some((Piece::Box(c), pen.x + BOX_GAP)), after);
        }
        let font = self.font.as_scaled(self.scale(self.height as f32));
        let left = pen.x + pen.before.map_or(0., |before| font.kern(before, id));
        (Some((Piece::Glyph(id), left)), Pen { x: left + font.h_advance(id), before: Some(id) })
    }

    fn scale(&self, height: f32) -> PxScale {
        PxScale::from(height)
    }

    fn draw_glyph(&self, out: &mut RgbImage, id: GlyphId, height: f32, left: f32, top: f32) {
        let scale = self.scale(height);
        let baseline = top + self.font.as_scaled(scale).ascent();
        let glyph = id.with_scale_and_position(scale, point(left, baseline));
        let Some(outline) = self.font.outline_glyph(glyph) else { return };
        let bounds = outline.px_bounds();
        outline.draw(|dx, dy, coverage| {
            let (x, y) = (bounds.min.x + dx as f32, bounds.min.y + dy as f32);
            if x < 0. || y < 0. {
                return;
            }
            if let Some(pixel) = out.get_pixel_mut_checked(x as u32, y as u32) {
                for (value, ink) in pixel.0.iter_mut().zip(INK.0) {
                    let (paper, ink) = (f32::from(*value), f32::from(ink));
                    *value = (paper + coverage.clamp(0., 1.) * (ink - paper)).round() as u8;
                }
            }
        });
    }

    /// Height of a line whose digits fill half of a box.
    fn digit_height(&self) -> f32 {
        (self.height as f32 - 2. - 3. * BOX_GAP) / 2. / CAPITAL
    }

    fn box_width(&self, c: char) -> f32 {
        let font = self.font.as_scaled(self.scale(self.digit_height()));
        let digits = (code_point(c).len() / 2) as f32;
        (digits * font.h_advance(self.font.glyph_id('0')) + 2. + 2. * BOX_GAP).ceil()
    }

    /// Draws a frame and in it the code point, in two lines.
    fn draw_box(&self, out: &mut RgbImage, c: char, left: u32, top: u32) {
        let (width, height) = (self.box_width(c) as u32, self.height);
        let edges = (0..width).flat_map(|x| [(x, 0), (x, height - 1)]);
        for (x, y) in edges.chain((0..height).flat_map(|y| [(0, y), (width - 1, y)])) {
            if let Some(pixel) = out.get_pixel_mut_checked(left + x, top + y) {
                *pixel = FRAME;
            }
        }
        let digits = code_point(c);
        let (size, half) = (self.digit_height(), digits.len() / 2);
        let font = self.font.as_scaled(self.scale(size));
        for (i, digit) in digits.chars().enumerate() {
            let id = self.font.glyph_id(digit);
            let x = left as f32 + 1. + BOX_GAP + (i % half) as f32 * font.h_advance(id);
            let line = (i / half) as f32;
            let capitals = top as f32 + 1. + BOX_GAP + line * (CAPITAL * size + BOX_GAP);
            self.draw_glyph(out, id, size, x, capitals - (font.ascent() - CAPITAL * size));
        }
    }
}

/// Where the next character goes.
#[derive(Clone, Copy, Default)]
struct Pen {
    x: f32,
    /// What was drawn last: [`GlyphId`] 0 after a box.
    before: Option<GlyphId>,
}

/// Characters that change or join those around them, and show nothing of their own.
fn is_modifier(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{fe00}'..='\u{fe0f}')
}

/// Whether `c` belongs to the character before it.
fn joins(c: char) -> bool {
    is_combining_mark(c) || is_modifier(c)
}

/// Bytes of the first character of `text` with all that belongs to it.
fn first_cluster(text: &str) -> usize {
    text.char_indices().skip(1).find(|(_, c)| !joins(*c)).map_or(text.len(), |(at, _)| at)
}

/// Four or six hexadecimal digits.
fn code_point(c: char) -> String {
    let digits = if u32::from(c) > 0xffff { 6 } else { 4 };
    format!("{:0digits$X}", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(text: &str) -> RgbImage {
        let mut out = RgbImage::from_pixel(120, 24, Rgb([255; 3]));
        Type::of_height(20).draw(&mut out, text, 2, 2);
        out
    }

    /// Pixels that are not white.
    fn ink(image: &RgbImage) -> usize {
        image.pixels().filter(|p| **p != Rgb([255; 3])).count()
    }

    #[test]
    fn letters_of_three_scripts_are_glyphs_and_all_else_is_a_box() {
        let font = Type::of_height(16);
        let boxes =
            |text: &str| font.place(text).0.iter().filter(|(p, _)| matches!(p, Piece::Box(_))).count();
        for text in [
            "A red heart, \u{201c}5 \u{20ac}\u{201d}",
            "p\u{ea}che \u{141}\u{f3}d\u{17a} \u{1ea4}",
            "\u{3ba}\u{1f79}\u{3ba}\u{3ba}\u{3b9}\u{3bd}\u{3bf}\u{3c2}",
            "\u{43a}\u{440}\u{430}\u{441}\u{43d}\u{44b}\u{439} \u{451}\u{436}",
            "\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
        ] {
            assert_eq!(boxes(text), 0, "{text}");
        }
        for (text, n) in [
            ("\u{7ea2}\u{8272}", 2),
            ("\u{1f600}", 1),
            ("\u{1b}", 1),
            ("\u{200b}", 1),
            ("\u{2764}\u{fe0f}", 1),
            ("\u{e000}\u{10ffff}", 2),
        ] {
            assert_eq!(boxes(text), n, "{text:?}");
        }
        for c in (0..0x3000u32).filter_map(char::from_u32).filter(|c| !c.is_whitespace()) {
            assert!(ink(&drawn(&c.to_string())) > 0, "{:04X} shows nothing", u32::from(c));
        }
    }

    #[test]
    fn boxes_show_different_code_points() {
        let [red, color, smile] = ["\u{7ea2}", "\u{8272}", "\u{1f600}"].map(drawn);
        assert!(red != color && ink(&red) > 60 && ink(&smile) > ink(&red));
    }

    #[test]
    fn marks_stand_over_their_letters() {
        let font = Type::of_height(20);
        assert_eq!(drawn("e\u{301}"), drawn("\u{e9}"));
        assert_eq!(font.width("x\u{304}"), font.width("x"));
        assert!(ink(&drawn("x\u{304}")) > ink(&drawn("x")));
        assert!(font.width("\u{304}") > 4, "a mark alone has a circle to stand on");
    }

    #[test]
    fn lines_fit_their_width_and_nothing_is_lost() {
        let font = Type::of_height(20);
        let caption =
            format!("a caption p\u{ea}che of words, {} and\nmore words than", "\u{416}x".repeat(47));
        let lines = font.wrap(&caption, 150, 99);
        assert!(lines.iter().all(|l| font.width(l) <= 150), "{lines:?}");
        let packed = |s: &str| s.split_whitespace().collect::<String>();
        assert_eq!(packed(&lines.concat()), packed(&caption));
        assert!(lines[0].starts_with("a caption p\u{ea}che") && lines.len() > 8, "{lines:?}");
        assert!(font.wrap(" \n", 150, 3).is_empty());
        assert_eq!(font.wrap("xy", 1, 9), ["x", "y"], "one letter a line at least");
        assert_eq!(font.wrap("x\u{304}\u{304}y", 1, 9), ["x\u{304}\u{304}", "y"]);
    }

    #[test]
    fn what_is_left_out_shows_as_an_ellipsis() {
        let font = Type::of_height(20);
        let lines = font.wrap(&"one two three ".repeat(30), 120, 3);
        assert_eq!(lines.len(), 3);
        assert!(lines[2].ends_with('\u{2026}') && font.width(&lines[2]) <= 120, "{lines:?}");
        assert!(!lines[..2].concat().contains('\u{2026}'));
        let long = font.wrap(&"x".repeat(1 << 20), 120, 3);
        assert!(long.len() == 3 && long[2].ends_with("x\u{2026}"));
        let width = font.width("longer") - 1;
        let shown = ["two", "a  b", "longer"].map(|t| font.cut(t, width));
        assert_eq!(shown, ["two", "a b", "lon\u{2026}"]);
        assert_eq!((font.cut("ab", 1), font.cut("ab", 0)), (String::new(), String::new()));
        // Half a letter is never kept.
        assert!(!font.cut("e\u{304}\u{304}e\u{304}\u{304}", 30).ends_with("e\u{2026}"));
    }

    #[test]
    fn what_lies_outside_the_image_is_left_out() {
        let mut out = RgbImage::from_pixel(14, 14, Rgb([255; 3]));
        Type::of_height(20).draw(&mut out, "Words \u{7ea2}", 4, 4);
        assert!(ink(&out) > 0);
    }
}
