//! One image that compares samples: captions down, images across.
//!
//! Pixels are never normalized over the grid, so that two grids can be compared.
use crate::font::{GLYPH, cut, draw_text, wrap};
use drgan_tensor::{Error, Result};
use image::{Rgb, RgbImage};

/// White space around the whole grid.
const MARGIN: u32 = 10;
/// White space between cells, and between a cell and its label.
const GAP: u32 = 6;
/// Captions are drawn this many times the size of the font.
const CAPTION_SCALE: u32 = 2;
/// White space under a line of a caption.
const LEADING: u32 = 4;
/// Captions are wrapped to this many characters.
const CAPTION_CHARS: usize = 20;
/// Largest grid drawn: a mistyped size is refused before it takes all memory (768 MiB at this size).
const MAX_PIXELS: u64 = 1 << 28;

const PAPER: Rgb<u8> = Rgb([255; 3]);
/// Around every cell, for images that are white at the edge themselves.
const FRAME: Rgb<u8> = Rgb([208; 3]);

/// An image of a [`Row`] and what is written under it.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The image, of any size but an empty one.
    pub image: RgbImage,
    /// Shown under the image, cut (`..`) where it is wider than the cell.
    pub label: Option<String>,
}

/// The images of one caption.
#[derive(Clone, Debug)]
pub struct Row {
    /// Shown at the left, wrapped; what is not ASCII is shown as `?`.
    pub caption: String,
    /// From left to right, at least one; rows may differ in number.
    pub cells: Vec<Cell>,
}

/// A good `cell_side` for images whose finest side is `side`: the first multiple that reaches 128, so
/// that every pixel shows as a square of the same size (16 and 64 give 128, 256 gives 256).
pub fn default_cell_side(side: usize) -> u32 {
    let side = u32::try_from(side).unwrap_or(u32::MAX).max(1);
    side.saturating_mul(128u32.div_ceil(side))
}

/// Draws rows below each other on white: the caption at the left, its cells to the right, each scaled to
/// `cell_side` pixels square by nearest neighbour, so that images of several stages show at one size.
///
/// # Errors
/// [`Error::Shape`] for no rows, a row without cells, an empty image, `cell_side` 0 and for a
/// grid beyond 2^28 pixels.
pub fn render(rows: &[Row], cell_side: u32) -> Result<RgbImage> {
    check(rows, cell_side)?;
    let captions: Vec<Vec<String>> = rows.iter().map(|r| wrap(&r.caption, CAPTION_CHARS)).collect();
    let longest = captions.iter().flatten().map(String::len).max().unwrap_or(0) as u32;
    let left = MARGIN + if longest == 0 { 0 } else { longest * GLYPH * CAPTION_SCALE + 2 * GAP };
    let label_scale = label_scale(rows, cell_side);

    // In u64: `cell_side` and the number of cells are the caller's, and their product may not fit u32.
    let side = u64::from(cell_side);
    let widest = rows.iter().map(|r| r.cells.len()).max().unwrap_or(0) as u64;
    let width = u64::from(left + MARGIN - GAP) + widest * (side + u64::from(GAP));
    let heights: Vec<u64> = rows
        .iter()
        .zip(&captions)
        .map(|(row, lines)| {
            let labelled = row.cells.iter().any(|c| c.label.is_some());
            let under = if labelled { GAP + GLYPH * label_scale } else { 0 };
            (side + u64::from(under)).max(caption_height(lines))
        })
        .collect();
    let height = heights.iter().map(|h| h + u64::from(2 * GAP)).sum::<u64>() + u64::from(2 * (MARGIN - GAP));
    if width.saturating_mul(height) > MAX_PIXELS {
        return Err(Error::Shape {
            what: "grid::render: size",
            expected: "at most 2^28 pixels; draw fewer rows or cells, or a smaller cell_side".to_owned(),
            got: vec![height as usize, width as usize],
        });
    }

    let mut out = RgbImage::from_pixel(width as u32, height as u32, PAPER);
    let mut y = MARGIN;
    for ((row, lines), h) in rows.iter().zip(&captions).zip(heights) {
        // In the middle of the images, or from their top where it is taller than they are.
        let mut line_y = y + side.saturating_sub(caption_height(lines)) as u32 / 2;
        for line in lines {
            draw_text(&mut out, line, MARGIN, line_y, CAPTION_SCALE);
            line_y += GLYPH * CAPTION_SCALE + LEADING;
        }
        let mut x = left;
        for cell in &row.cells {
            draw_cell(&mut out, &cell.image, x, y, cell_side);
            if let Some(label) = &cell.label {
                let text = cut(label, (cell_side / (GLYPH * label_scale)) as usize);
                let indent = (cell_side - text.len() as u32 * GLYPH * label_scale) / 2;
                draw_text(&mut out, &text, x + indent, y + cell_side + GAP, label_scale);
            }
            x += cell_side + GAP;
        }
        y += h as u32 + 2 * GAP;
    }
    Ok(out)
}

/// What [`render`] refuses before it lays anything out.
fn check(rows: &[Row], cell_side: u32) -> Result<()> {
    let refuse = |what, expected: String, got| Err(Error::Shape { what, expected, got });
    for (what, size) in [("grid::render: rows", rows.len()), ("grid::render: cell_side", cell_side as usize)]
    {
        if size == 0 {
            return refuse(what, "at least 1".to_owned(), vec![0]);
        }
    }
    for (i, row) in rows.iter().enumerate() {
        if row.cells.is_empty() {
            let expected = format!("at least one cell in row {i} ({:?})", row.caption);
            return refuse("grid::render: cells", expected, vec![0]);
        }
        if let Some(c) = row.cells.iter().find(|c| c.image.is_empty()) {
            let expected = format!("no empty image in row {i} ({:?})", row.caption);
            let got = vec![c.image.height() as usize, c.image.width() as usize];
            return refuse("grid::render: image", expected, got);
        }
    }
    Ok(())
}

/// Height of wrapped lines, without white space under the last.
fn caption_height(lines: &[String]) -> u64 {
    let lines = lines.len() as u64;
    lines * u64::from(GLYPH * CAPTION_SCALE) + lines.saturating_sub(1) * u64::from(LEADING)
}

/// One size for all labels: doubled where every label then fits its cell.
fn label_scale(rows: &[Row], cell_side: u32) -> u32 {
    let labels = rows.iter().flat_map(|r| &r.cells).filter_map(|c| c.label.as_deref());
    let longest = labels.map(|l| l.chars().count()).max().unwrap_or(0);
    if longest <= (cell_side / (2 * GLYPH)) as usize { 2 } else { 1 }
}

/// Draws a frame and, within it, `image` scaled by nearest neighbour with its upper left corner at `(x, y)`.
fn draw_cell(out: &mut RgbImage, image: &RgbImage, x: u32, y: u32, side: u32) {
    for i in 0..side + 2 {
        for (fx, fy) in [(i, 0), (i, side + 1), (0, i), (side + 1, i)] {
            out.put_pixel(x - 1 + fx, y - 1 + fy, FRAME);
        }
    }
    let nearest =
        |at: u32, size: u32| ((2 * u64::from(at) + 1) * u64::from(size) / (2 * u64::from(side))) as u32;
    for dy in 0..side {
        for dx in 0..side {
            let pixel = image.get_pixel(nearest(dx, image.width()), nearest(dy, image.height()));
            out.put_pixel(x + dx, y + dy, *pixel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::font::{INK, ink};

    const RED: Rgb<u8> = Rgb([200, 0, 0]);

    fn cell(side: u32, label: Option<&str>) -> Cell {
        Cell { image: RgbImage::from_pixel(side, side, RED), label: label.map(str::to_owned) }
    }

    fn row(caption: &str, cells: Vec<Cell>) -> Row {
        Row { caption: caption.to_owned(), cells }
    }

    fn count(image: &RgbImage, color: Rgb<u8>) -> usize {
        image.pixels().filter(|p| **p == color).count()
    }

    #[test]
    fn cells_are_multiples_of_the_image() {
        let got = [0, 4, 16, 48, 64, 100, 128, 256, 300].map(default_cell_side);
        assert_eq!(got, [128, 128, 128, 144, 128, 200, 128, 256, 300]);
    }

    #[test]
    fn cells_of_any_size_show_at_one_size() -> Result<()> {
        let rows = [row("a b", vec![cell(3, None), cell(64, None)]), row("", vec![cell(16, None)])];
        let p = render(&rows, 32)?;
        let left = MARGIN + 3 * 16 + 2 * GAP;
        assert_eq!(p.dimensions(), (left + 2 * 32 + GAP + MARGIN, 2 * MARGIN + 2 * 32 + 2 * GAP));
        assert_eq!(count(&p, RED), 3 * 32 * 32);
        let second = MARGIN + 32 + 2 * GAP;
        for (x, y) in [(left, MARGIN), (left + 32 + GAP, MARGIN), (left, second)] {
            for corner in [(x, y), (x + 31, y), (x, y + 31), (x + 31, y + 31)] {
                assert_eq!(*p.get_pixel(corner.0, corner.1), RED, "{corner:?}");
            }
            assert_eq!(*p.get_pixel(x - 1, y - 1), FRAME);
            assert_eq!(*p.get_pixel(x + 32, y + 32), FRAME);
        }
        assert_eq!(count(&p, INK), ink("ab", 2));
        let without = render(&[row(" \n", vec![cell(1, None)])], 5)?;
        assert_eq!(without.dimensions(), (5 + 2 * MARGIN, 5 + 2 * MARGIN));
        Ok(())
    }

    #[test]
    fn scaling_repeats_pixels() -> Result<()> {
        let image = RgbImage::from_fn(2, 2, |x, y| Rgb([x as u8 * 90 + 9, y as u8 * 90 + 9, 7]));
        let p = render(&[row("", vec![Cell { image: image.clone(), label: None }])], 6)?;
        for (y, x) in (0..6).flat_map(|y| (0..6).map(move |x| (y, x))) {
            assert_eq!(p.get_pixel(MARGIN + x, MARGIN + y), image.get_pixel(x / 3, y / 3), "{x} {y}");
        }
        Ok(())
    }

    #[test]
    fn a_long_caption_is_wrapped_and_nothing_of_it_is_lost() -> Result<()> {
        let word = "x".repeat(47);
        let caption = format!("a caption \u{e9} of words, {word} and\nmore words than a small cell is high");
        let p = render(&[row(&caption, vec![cell(4, None)]), row("z", vec![cell(4, None)])], 24)?;
        let drawn = caption.replace('\u{e9}', "?").replace([' ', '\n'], "");
        assert_eq!(count(&p, INK), ink(&drawn, 2) + ink("z", 2));
        assert_eq!(p.width(), 2 * MARGIN + 20 * 16 + 2 * GAP + 24);
        assert_eq!(count(&p, RED), 2 * 24 * 24);
        Ok(())
    }

    #[test]
    fn labels_are_doubled_only_where_all_fit() -> Result<()> {
        let p = render(&[row("", vec![cell(4, Some("64 px")), cell(4, None)])], 80)?;
        assert_eq!(count(&p, INK), ink("64px", 2));
        assert_eq!(p.height(), 2 * MARGIN + 80 + GAP + 16);
        let p = render(&[row("", vec![cell(4, Some("64 px")), cell(4, Some("a long label"))])], 80)?;
        assert_eq!(count(&p, INK), ink("64px", 1) + ink("alongl..", 1));
        assert_eq!(p.height(), 2 * MARGIN + 80 + GAP + 8);
        // Narrower than a character: no text, no panic.
        assert_eq!(count(&render(&[row("", vec![cell(4, Some("w"))])], 3)?, INK), 0);
        Ok(())
    }

    #[test]
    fn grids_that_cannot_be_drawn_are_refused() {
        let message = |rows: &[Row], side| render(rows, side).unwrap_err().to_string();
        assert!(message(&[], 8).contains("rows: expected shape at least 1"));
        assert!(message(&[row("cats", Vec::new())], 8).contains("at least one cell in row 0 (\"cats\")"));
        assert!(message(&[row("a", vec![cell(1, None)])], 0).contains("cell_side"));
        assert!(message(&[row("a", vec![cell(0, None)])], 8).contains("no empty image"));
        for side in [20_000, u32::MAX] {
            assert!(message(&[row("a", vec![cell(1, None)])], side).contains("smaller cell_side"));
        }
    }
}
