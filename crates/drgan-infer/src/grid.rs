//! One image that compares samples: captions down, images across.
//!
//! Pixels are never normalized over the grid, so that two grids can be compared.
use crate::font::Type;
use crate::heat::Legend;
use drgan_tensor::{Error, Result};
use image::{Rgb, RgbImage};

/// White space around the whole grid.
const MARGIN: u32 = 10;
/// White space between cells, and between a cell and its label.
const GAP: u32 = 6;
/// Height of a line of a caption.
const CAPTION: u32 = 21;
/// Height of a line of a label, a note or a legend.
const LABEL: u32 = 16;
/// Captions are wrapped to this width.
const CAPTION_WIDTH: u32 = 280;
/// Lines of a caption that are shown, and of a note under it.
const LINES: usize = 8;
/// Lines of a cell's label that are shown.
const LABEL_LINES: usize = 2;
/// Largest grid drawn: a mistyped size is refused before it takes all memory (768 MiB at this size).
const MAX_PIXELS: u64 = 1 << 28;

const PAPER: Rgb<u8> = Rgb([255; 3]);
/// Around every cell, for images that are white at the edge themselves.
const FRAME: Rgb<u8> = Rgb([208; 3]);

/// What [`Error::Shape`] names where a grid has more pixels than are drawn.
pub const SIZE: &str = "grid::render: size";

/// An image of a [`Row`] and what is written under it.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The image, of any size but an empty one.
    pub image: RgbImage,
    /// Shown under the image, in two lines where it is wider than the cell, the second cut with an ellipsis.
    pub label: Option<String>,
}

/// The images of one caption.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Shown at the left in at most eight lines, the last with an ellipsis where more is left out. Letters of Latin, Greek,
    /// Cyrillic, Armenian, Georgian and Hebrew are shown, any other as a box with its code point; from left to right always.
    pub caption: String,
    /// Shown smaller under the caption.
    pub note: Option<String>,
    /// From left to right, at least one; rows may differ in number.
    pub cells: Vec<Cell>,
}

/// How [`render`] lays cells out.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Side of the square that every image is scaled to, in pixels, at least 1.
    pub cell_side: u32,
    /// Most cells of a row that stand side by side, at least 1; the rest of them goes below.
    pub columns: usize,
    /// Explained below all rows.
    pub legends: Vec<Legend>,
}

impl Layout {
    /// Cells of `cell_side` pixels, ten side by side, no legend.
    pub fn new(cell_side: u32) -> Self {
        Self { cell_side, columns: 10, legends: Vec::new() }
    }
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
/// The layout is the same on every machine; the gray of a letter's edge may differ by one in 255 between processors.
///
/// # Errors
/// [`Error::Shape`] for no rows, a row without cells, an empty image, `cell_side` or `columns` 0 and for a
/// grid beyond 2^28 pixels.
pub fn render(rows: &[Row], layout: &Layout) -> Result<RgbImage> {
    check(rows, layout)?;
    let type_ = Types { caption: Type::of_height(CAPTION), label: Type::of_height(LABEL) };
    let texts: Vec<Text> = rows.iter().map(|row| Text::of(row, &type_)).collect();
    let widest = texts.iter().map(|t| t.width(&type_)).max().unwrap_or(0);
    let left = MARGIN + if widest == 0 { 0 } else { widest + 2 * GAP };

    // In u64: `cell_side` and the number of cells are the caller's, and their product may not fit u32.
    let (side, gap) = (u64::from(layout.cell_side), u64::from(GAP));
    let across = rows.iter().map(|r| r.cells.len().min(layout.columns)).max().unwrap_or(0) as u64;
    let legends: Vec<(u32, u32)> = layout.legends.iter().map(|l| l.size(&type_.label)).collect();
    let legends_width = legends.iter().map(|(w, _)| u64::from(*w + 2 * MARGIN)).max().unwrap_or(0);
    let width = (u64::from(left + MARGIN - GAP) + across * (side + gap)).max(legends_width);
    let heights: Vec<u64> = rows
        .iter()
        .zip(&texts)
        .map(|(row, text)| {
            let lines = row.cells.len().div_ceil(layout.columns) as u64;
            let under = u64::from(under(row, layout, &type_.label));
            (lines * (side + under) + (lines - 1) * gap).max(u64::from(text.height()))
        })
        .collect();
    let height = heights.iter().map(|h| h + 2 * gap).sum::<u64>()
        + legends.iter().map(|(_, h)| u64::from(*h) + gap).sum::<u64>()
        + u64::from(2 * (MARGIN - GAP));
    check_size(width, height)?;

    let mut out = RgbImage::from_pixel(width as u32, height as u32, PAPER);
    let mut y = MARGIN;
    for ((row, text), h) in rows.iter().zip(&texts).zip(heights) {
        // In the middle of the first line's images, or from their top where it is taller than they are.
        text.draw(&mut out, &type_, y + layout.cell_side.saturating_sub(text.height()) / 2);
        let mut line_y = y;
        for line in row.cells.chunks(layout.columns) {
            for (x, cell) in (left..).step_by((layout.cell_side + GAP) as usize).zip(line) {
                draw_cell(&mut out, &type_.label, cell, x, line_y, layout.cell_side);
            }
            line_y += layout.cell_side + GAP + under(row, layout, &type_.label);
        }
        y += h as u32 + 2 * GAP;
    }
    for (legend, (_, h)) in layout.legends.iter().zip(legends) {
        legend.draw(&mut out, &type_.label, MARGIN, y);
        y += h + GAP;
    }
    Ok(out)
}

/// Refuses rows of as many cells that are too many, by the pixels of the cells alone: before anything is drawn for them.
///
/// # Errors
/// [`Error::Shape`] of [`SIZE`].
pub(crate) fn check_cells(rows: usize, cells: usize, layout: &Layout) -> Result<()> {
    let side = u64::from(layout.cell_side);
    let lines = (rows as u64).saturating_mul(cells.div_ceil(layout.columns) as u64);
    check_size(side.saturating_mul(cells.min(layout.columns) as u64), side.saturating_mul(lines))
}

fn check_size(width: u64, height: u64) -> Result<()> {
    if width.saturating_mul(height) <= MAX_PIXELS {
        return Ok(());
    }
    Err(Error::Shape {
        what: SIZE,
        expected: "at most 2^28 pixels; draw fewer rows or cells, or a smaller cell_side".to_owned(),
        got: vec![height as usize, width as usize],
    })
}

/// The height of a row's labels, with the gap above them: that of the one with most lines.
fn under(row: &Row, layout: &Layout, font: &Type) -> u32 {
    let lines =
        |cell: &Cell| cell.label.as_ref().map(|label| label_lines(label, layout.cell_side, font).len());
    row.cells.iter().filter_map(lines).max().map_or(0, |lines| GAP + LABEL * lines.max(1) as u32)
}

/// The lines of a label under a cell of `side` pixels; none where not even an ellipsis fits.
fn label_lines(label: &str, side: u32, font: &Type) -> Vec<String> {
    match font.cut(label, side) {
        none if none.is_empty() => Vec::new(),
        _ => font.wrap(label, side, LABEL_LINES),
    }
}

/// What [`render`] refuses before it lays anything out.
fn check(rows: &[Row], layout: &Layout) -> Result<()> {
    let refuse = |what, expected: String, got| Err(Error::Shape { what, expected, got });
    for (what, size) in [
        ("grid::render: rows", rows.len()),
        ("grid::render: cell_side", layout.cell_side as usize),
        ("grid::render: columns", layout.columns),
    ] {
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

/// The two sizes of text.
struct Types {
    caption: Type,
    label: Type,
}

/// A row's caption and note, in lines.
struct Text {
    caption: Vec<String>,
    note: Vec<String>,
}

impl Text {
    fn of(row: &Row, types: &Types) -> Self {
        let caption = types.caption.wrap(&row.caption, CAPTION_WIDTH, LINES);
        let note = types.label.wrap(row.note.as_deref().unwrap_or_default(), CAPTION_WIDTH, LINES);
        Self { caption, note }
    }

    fn width(&self, types: &Types) -> u32 {
        let captions = self.caption.iter().map(|l| types.caption.width(l));
        captions.chain(self.note.iter().map(|l| types.label.width(l))).max().unwrap_or(0)
    }

    fn height(&self) -> u32 {
        self.caption.len() as u32 * CAPTION + self.note.len() as u32 * LABEL
    }

    fn draw(&self, out: &mut RgbImage, types: &Types, mut y: u32) {
        let captions = self.caption.iter().map(|l| (l, &types.caption));
        for (line, font) in captions.chain(self.note.iter().map(|l| (l, &types.label))) {
            font.draw(out, line, MARGIN, y);
            y += font.height();
        }
    }
}

/// The image scaled to a square of `side` pixels by nearest neighbour: a whole multiple keeps every pixel a square of its own.
pub fn scaled(image: &RgbImage, side: u32) -> RgbImage {
    let nearest =
        |at: u32, size: u32| ((2 * u64::from(at) + 1) * u64::from(size) / (2 * u64::from(side))) as u32;
    RgbImage::from_fn(side, side, |x, y| {
        *image.get_pixel(nearest(x, image.width()), nearest(y, image.height()))
    })
}

/// Draws a frame and, within it, the scaled image with its upper left corner at `(x, y)`, and the label below.
fn draw_cell(out: &mut RgbImage, font: &Type, cell: &Cell, x: u32, y: u32, side: u32) {
    for i in 0..side + 2 {
        for (fx, fy) in [(i, 0), (i, side + 1), (0, i), (side + 1, i)] {
            out.put_pixel(x - 1 + fx, y - 1 + fy, FRAME);
        }
    }
    for (dx, dy, pixel) in scaled(&cell.image, side).enumerate_pixels() {
        out.put_pixel(x + dx, y + dy, *pixel);
    }
    if let Some(label) = &cell.label {
        let mut line_y = y + side + GAP;
        for text in label_lines(label, side, font) {
            font.draw(out, &text, x + side.saturating_sub(font.width(&text)) / 2, line_y);
            line_y += font.height();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heat::Scale;

    const RED: Rgb<u8> = Rgb([200, 0, 0]);

    fn cell(side: u32, label: Option<&str>) -> Cell {
        Cell { image: RgbImage::from_pixel(side, side, RED), label: label.map(str::to_owned) }
    }

    fn row(caption: &str, cells: Vec<Cell>) -> Row {
        Row { caption: caption.to_owned(), cells, ..Row::default() }
    }

    fn count(image: &RgbImage, color: Rgb<u8>) -> usize {
        image.pixels().filter(|p| **p == color).count()
    }

    /// Whether nothing was drawn in a part `(x, y, width, height)` of the image.
    fn is_blank(image: &RgbImage, (x, y, w, h): (u32, u32, u32, u32)) -> bool {
        (x..x + w).all(|x| (y..y + h).all(|y| *image.get_pixel(x, y) == PAPER))
    }

    #[test]
    fn cells_are_multiples_of_the_image() {
        let got = [0, 4, 16, 48, 64, 100, 128, 256, 300].map(default_cell_side);
        assert_eq!(got, [128, 128, 128, 144, 128, 200, 128, 256, 300]);
    }

    #[test]
    fn cells_of_any_size_show_at_one_size() -> Result<()> {
        let rows = [row("a b", vec![cell(3, None), cell(64, None)]), row("", vec![cell(16, None)])];
        let p = render(&rows, &Layout::new(32))?;
        let left = MARGIN + Type::of_height(CAPTION).width("a b") + 2 * GAP;
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
        assert!(!is_blank(&p, (MARGIN, MARGIN, left - MARGIN - 2, 32)));
        assert!(is_blank(&p, (0, second - 2, left - 2, 34)));
        let without = render(&[row(" \n", vec![cell(1, None)])], &Layout::new(5))?;
        assert_eq!(without.dimensions(), (5 + 2 * MARGIN, 5 + 2 * MARGIN));
        Ok(())
    }

    #[test]
    fn scaling_repeats_pixels() -> Result<()> {
        let image = RgbImage::from_fn(2, 2, |x, y| Rgb([x as u8 * 90 + 9, y as u8 * 90 + 9, 7]));
        let cells = vec![Cell { image: image.clone(), label: None }];
        let p = render(&[row("", cells)], &Layout::new(6))?;
        for (y, x) in (0..6).flat_map(|y| (0..6).map(move |x| (y, x))) {
            assert_eq!(p.get_pixel(MARGIN + x, MARGIN + y), image.get_pixel(x / 3, y / 3), "{x} {y}");
        }
        Ok(())
    }

    #[test]
    fn a_long_caption_takes_the_height_it_needs_and_no_more_than_eight_lines() -> Result<()> {
        let tall = |words: usize| -> Result<u32> {
            let rows =
                [row(&"a red heart ".repeat(words), vec![cell(4, None)]), row("z", vec![cell(4, None)])];
            let p = render(&rows, &Layout::new(24))?;
            assert_eq!(count(&p, RED), 2 * 24 * 24);
            assert!(p.width() <= 2 * MARGIN + CAPTION_WIDTH + 2 * GAP + 24);
            Ok(p.height() - 2 * MARGIN - 2 * GAP - 24)
        };
        assert_eq!(
            (tall(1)?, tall(100)?, tall(9_000)?),
            (24, LINES as u32 * CAPTION, LINES as u32 * CAPTION)
        );
        Ok(())
    }

    #[test]
    fn labels_stand_under_their_cells_and_are_no_wider() -> Result<()> {
        let labels = [Some("a label that is longer"), None, Some("64 px")];
        let p = render(&[row("", labels.map(|l| cell(4, l)).to_vec())], &Layout::new(80))?;
        assert_eq!(p.height(), 2 * MARGIN + 80 + GAP + 2 * LABEL, "the longest takes two lines");
        let under = |i: u32| (MARGIN + i * (80 + GAP), MARGIN + 80 + 2, 80, GAP + 2 * LABEL - 2);
        assert_eq!([0, 1, 2].map(|i| is_blank(&p, under(i))), [false, true, false]);
        let gap = |i: u32| (MARGIN + i * (80 + GAP) + 82, MARGIN + 82, 2, 2 * LABEL + GAP - 2);
        assert!(is_blank(&p, gap(0)) && is_blank(&p, gap(1)));
        // Narrower than a character: no text, no panic.
        assert_eq!(count(&render(&[row("", vec![cell(4, Some("w"))])], &Layout::new(3))?, Rgb([0; 3])), 0);
        Ok(())
    }

    #[test]
    fn cells_beyond_the_columns_go_below_and_legends_come_last() -> Result<()> {
        let cells = || vec![cell(4, None); 7];
        let mut layout = Layout { columns: 3, ..Layout::new(20) };
        let p = render(&[row("", cells())], &layout)?;
        assert_eq!(p.dimensions(), (2 * MARGIN + 3 * 20 + 2 * GAP, 2 * MARGIN + 3 * 20 + 2 * GAP));
        assert_eq!(count(&p, RED), 7 * 20 * 20);
        layout.legends = vec![Legend::Scale(Scale::ATTENTION), Legend::NotANumber];
        let with = render(&[row("", cells())], &layout)?;
        let heights = layout.legends.iter().map(|l| l.size(&Type::of_height(LABEL)).1 + GAP);
        assert_eq!(with.height(), p.height() + heights.sum::<u32>());
        assert!(!is_blank(&with, (0, p.height(), with.width(), with.height() - p.height())));
        Ok(())
    }

    #[test]
    fn a_note_stands_under_its_caption() -> Result<()> {
        let mut noted = row("", vec![cell(4, None)]);
        noted.note = Some("sample 3".to_owned());
        let p = render(&[noted], &Layout::new(32))?;
        assert_eq!(p.width(), 2 * MARGIN + Type::of_height(LABEL).width("sample 3") + 2 * GAP + 32);
        Ok(())
    }

    #[test]
    fn grids_that_cannot_be_drawn_are_refused() {
        let message = |rows: &[Row], side| render(rows, &Layout::new(side)).unwrap_err().to_string();
        assert!(message(&[], 8).contains("rows: expected shape at least 1"));
        assert!(message(&[row("cats", Vec::new())], 8).contains("at least one cell in row 0 (\"cats\")"));
        let one = || [row("a", vec![cell(1, None)])];
        assert!(message(&one(), 0).contains("cell_side"));
        assert!(message(&[row("a", vec![cell(0, None)])], 8).contains("no empty image"));
        for side in [20_000, u32::MAX] {
            assert!(message(&one(), side).contains("smaller cell_side"));
        }
        let none = render(&one(), &Layout { columns: 0, ..Layout::new(8) }).unwrap_err().to_string();
        assert!(none.contains("columns"));
    }
}
