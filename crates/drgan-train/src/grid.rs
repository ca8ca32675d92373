//! One PNG that compares samples: captions down, pictures across.
//!
//! Pixels are `round(127.5 x + 127.5)`, never normalised over the grid, so that two grids can be compared.
use candle_core::{DType, Tensor};
use drgan_tensor::weights::file::write_atomic;
use drgan_tensor::{Error, Result, expect_shape};
use font8x8::legacy::BASIC_LEGACY;
use image::{ImageFormat, Rgb, RgbImage};
use std::path::Path;

/// White space around the whole picture.
const MARGIN: u32 = 10;
/// White space between cells, and between a cell and its label.
const GAP: u32 = 6;
/// Side of an unscaled glyph.
const GLYPH: u32 = 8;
/// Captions are drawn this many times the size of the font.
const CAPTION_SCALE: u32 = 2;
/// White space under a line of a caption.
const LEADING: u32 = 4;
/// Captions are wrapped to this many characters.
const CAPTION_CHARS: usize = 20;
/// Largest picture drawn: a mistyped size is refused before it takes all memory (768 MiB at this size).
const MAX_PIXELS: u64 = 1 << 28;

const PAPER: Rgb<u8> = Rgb([255; 3]);
const INK: Rgb<u8> = Rgb([0; 3]);
/// Around every cell, for pictures that are white at the edge themselves.
const FRAME: Rgb<u8> = Rgb([208; 3]);

/// One picture of a [`Row`].
#[derive(Clone, Debug)]
pub struct Cell {
    /// The picture, of any size but an empty one.
    pub image: RgbImage,
    /// Shown under the picture, cut (`..`) where it is wider than the cell.
    pub label: Option<String>,
}

/// The pictures of one caption.
#[derive(Clone, Debug)]
pub struct Row {
    /// Shown at the left, wrapped; what is not ASCII is shown as `?`.
    pub caption: String,
    /// From left to right, at least one; rows may differ in number.
    pub cells: Vec<Cell>,
}

/// A generated picture as bytes: `round(127.5 x + 127.5)`, clamped to 0..=255.
///
/// # Shapes
/// `image` `(3, H, W)`, any float type, range \[-1, 1\].
///
/// # Errors
/// [`Error::Shape`]; a value that is not a number.
pub fn to_rgb(image: &Tensor) -> Result<RgbImage> {
    const DOCUMENTED: &str = "(3, H, W)";
    expect_shape("grid::to_rgb: image", image, &[Some(3), None, None], DOCUMENTED)?;
    let (_, h, w) = image.dims3()?;
    let values = image.to_dtype(DType::F32)?.permute((1, 2, 0))?.flatten_all()?.to_vec1::<f32>()?;
    if values.iter().any(|x| x.is_nan()) {
        let reason = "grid::to_rgb: image: holds values that are not numbers (NaN); the network has diverged";
        return Err(candle_core::Error::msg(reason).into());
    }
    // The cast saturates, which is the clamp.
    let bytes = values.iter().map(|x| (127.5 * x + 127.5).round() as u8).collect();
    let sides = u32::try_from(w).ok().zip(u32::try_from(h).ok());
    sides.and_then(|(w, h)| RgbImage::from_raw(w, h, bytes)).ok_or_else(|| Error::Shape {
        what: "grid::to_rgb: image",
        expected: format!("{DOCUMENTED} with sides below 2^32"),
        got: image.dims().to_vec(),
    })
}

/// A good `cell_side` for pictures whose finest side is `side`: the first multiple that reaches 128, so
/// that every pixel shows as a square of the same size (16 and 64 give 128, 256 gives 256).
pub fn default_cell_side(side: usize) -> u32 {
    let side = u32::try_from(side).unwrap_or(u32::MAX).max(1);
    side.saturating_mul(128u32.div_ceil(side))
}

/// Draws rows below each other on white: the caption at the left, its cells to the right, each scaled to
/// `cell_side` pixels square by nearest neighbour, so that pictures of several stages show at one size.
///
/// # Errors
/// [`Error::Shape`] for no rows, a row without cells, an empty picture, `cell_side` 0 and for a
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
            what: "grid::render: picture",
            expected: "at most 2^28 pixels; draw fewer rows or cells, or a smaller cell_side".to_owned(),
            got: vec![height as usize, width as usize],
        });
    }

    let mut out = RgbImage::from_pixel(width as u32, height as u32, PAPER);
    let mut y = MARGIN;
    for ((row, lines), h) in rows.iter().zip(&captions).zip(heights) {
        // In the middle of the pictures, or from their top where it is taller than they are.
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

/// Shows where a map is high: the picture in dimmed grey, under red (middle values) to yellow (the maximum).
///
/// The map is resized to the picture bilinearly (half-pixel centres, clamped at the edge) and divided by its
/// maximum; with `m` the result, a pixel is `(1 - 0.8 m) 0.6 grey + 0.8 m (255, 255 m^2, 0)`. A map of zeros
/// leaves the dimmed picture.
///
/// # Shapes
/// `map` `(h, w)`, not empty, any float type, finite and at least 0.
///
/// # Errors
/// [`Error::Shape`]; a value that is negative or not finite.
pub fn heat_overlay(image: &RgbImage, map: &Tensor) -> Result<RgbImage> {
    const WHAT: &str = "grid::heat_overlay: map";
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
            let grey = 0.6 * (0.299 * red + 0.587 * green + 0.114 * blue);
            let heat = [255., 255. * m * m, 0.];
            pixel.0 = heat.map(|v| ((1. - 0.8 * m) * grey + 0.8 * m * v).round() as u8);
        }
    }
    Ok(out)
}

/// Writes a PNG, and its folder where there is none; a reader sees the old file or the new one.
///
/// # Errors
/// [`Error::File`] that names `path`: an extension other than `.png`, or what the file system reports.
pub fn save_png(picture: &RgbImage, path: &Path) -> Result<()> {
    if !path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) {
        return Err(Error::file(path, "pictures are written as PNG only; end the name in .png"));
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|e| Error::file(path, format!("its folder cannot be made: {e}")))?;
    }
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|e| Error::file(path, format!("cannot be encoded: {e}")))?;
    write_atomic(path, bytes.get_ref())
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
            let expected = format!("no empty picture in row {i} ({:?})", row.caption);
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

/// What the font can show: one byte a character.
fn to_ascii(text: &str) -> String {
    text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect()
}

/// Lines of at most `width` characters, broken at white space; a longer word is broken where it must be.
fn wrap(text: &str, width: usize) -> Vec<String> {
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
fn cut(text: &str, width: usize) -> String {
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
fn draw_text(out: &mut RgbImage, text: &str, x: u32, y: u32, scale: u32) {
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
    use candle_core::Device;

    const RED: Rgb<u8> = Rgb([200, 0, 0]);

    fn cell(side: u32, label: Option<&str>) -> Cell {
        Cell { image: RgbImage::from_pixel(side, side, RED), label: label.map(str::to_owned) }
    }

    fn row(caption: &str, cells: Vec<Cell>) -> Row {
        Row { caption: caption.to_owned(), cells }
    }

    fn count(picture: &RgbImage, colour: Rgb<u8>) -> usize {
        picture.pixels().filter(|p| **p == colour).count()
    }

    /// Pixels that a text has when none of them is cut off or drawn over.
    fn ink(text: &str, scale: usize) -> usize {
        let bits =
            |c: u8| BASIC_LEGACY[usize::from(c)].iter().map(|r| r.count_ones() as usize).sum::<usize>();
        text.bytes().map(bits).sum::<usize>() * scale * scale
    }

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
        let grey = Tensor::zeros((1, 4, 4), DType::F32, &Device::Cpu)?;
        assert!(to_rgb(&grey).unwrap_err().to_string().contains("(3, H, W)"));
        Ok(())
    }

    #[test]
    fn cells_are_multiples_of_the_picture() {
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
        let lines = wrap(&caption, 20).join("|").replace(&"x".repeat(20), "X");
        assert_eq!(lines, "a caption ? of|words,|X|X|xxxxxxx and more|words than a small|cell is high");
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
        assert!(message(&[row("a", vec![cell(0, None)])], 8).contains("no empty picture"));
        for side in [20_000, u32::MAX] {
            assert!(message(&[row("a", vec![cell(1, None)])], side).contains("smaller cell_side"));
        }
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

    #[test]
    fn files_come_back_and_errors_name_them() -> Result<()> {
        let dir = tempfile::tempdir().unwrap();
        let picture = RgbImage::from_fn(5, 3, |x, y| Rgb([x as u8 * 50, y as u8 * 80, 77]));
        let path = dir.path().join("new/folder/grid.PNG");
        for p in [&RgbImage::new(1, 1), &picture] {
            save_png(p, &path)?;
            assert_eq!(&image::open(&path).unwrap().into_rgb8(), p);
        }
        assert_eq!(std::fs::read_dir(dir.path().join("new/folder")).unwrap().count(), 1);
        for name in ["grid.jpg", "grid", "png"] {
            let error = save_png(&picture, &dir.path().join(name)).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("end the name in .png"), "{error}");
        }
        let error = save_png(&picture, &path.join("under.png")).unwrap_err().to_string();
        assert!(error.contains("under.png") && error.contains("folder"), "{error}");
        Ok(())
    }
}
