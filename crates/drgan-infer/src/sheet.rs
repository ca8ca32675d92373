//! What captions' samples look like, as a grid: a caption per row, or a sample with all that is known of it.
use crate::grid::{self, Cell, Layout, Row};
use crate::heat::{self, Legend, Scale};
use crate::{Sampler, rgb};
use candle_core::{DType, Tensor};
use drgan_tensor::internal::agreeing;
use drgan_tensor::{GeneratorOutput, MaskedSplit, Result};
use image::RgbImage;

/// Words of a caption whose attention is shown.
const WORDS: usize = 30;

/// What is shown beside the finest image. Where anything is, a row is one sample, and what is not a number is striped in magenta
/// and black; a plain sheet has a row per caption and refuses images that hold NaN.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether every stage's image is shown, not the finest alone.
    pub stages: bool,
    /// Over the image: the last stage's attention of each of the first 30 words, on [`Scale::ATTENTION`], and the masks of every
    /// stage that has them, as means over their channels, on [`Scale::MASK`].
    pub attention: bool,
}

impl Options {
    fn inspects(self) -> bool {
        self.stages || self.attention
    }
}

/// Draws every caption under every noise number: one caption per row with its samples across, or, with any of `options`, one
/// sample per row with its images, attention and masks across. One sample of each of more than ten captions makes a gallery: ten side by
/// side, each with its caption below.
///
/// # Errors
/// A caption without a known word; no caption or no noise number; more of them than a grid holds, before anything is drawn.
pub fn draw(
    sampler: &Sampler,
    captions: &[impl AsRef<str>],
    noise: &[u64],
    seed: u64,
    options: Options,
) -> Result<RgbImage> {
    let side = sampler.model().config().side();
    let mut layout = Layout::new(grid::default_cell_side(side));
    let (rows, cells) = match options.inspects() {
        true => (captions.len().saturating_mul(noise.len()), 1),
        false => (captions.len(), noise.len()),
    };
    let gallery = !options.inspects() && noise.len() == 1 && captions.len() > layout.columns;
    let (rows, cells) = if gallery { (cells, rows) } else { (rows, cells) };
    grid::check_cells(rows, cells, &layout)?;
    let mut rows = Vec::new();
    let mut nan = false;
    for caption in captions.iter().map(AsRef::as_ref) {
        let words = sampler.model().captions().words(caption)?;
        let mut plain = Row { caption: caption.to_owned(), ..Row::default() };
        for numbers in noise.chunks(chunk(side)) {
            let made = sampler.draw(&vec![caption; numbers.len()], numbers, seed)?;
            if !options.inspects() {
                plain.cells.extend(plain_cells(&made, numbers.len())?);
                continue;
            }
            for (i, number) in numbers.iter().enumerate() {
                let sample = Sample::new(&made, i, &words, options)?;
                nan |= sample.nan;
                let mut note = format!("sample {number}");
                if options.attention && words.len() > WORDS {
                    let left_out = words.len() - WORDS;
                    let are = agreeing(left_out, "[is|are]");
                    note += &format!("; the last {left_out} of {} words {are} not shown", words.len());
                }
                rows.push(Row { caption: caption.to_owned(), note: Some(note), cells: sample.cells });
            }
        }
        if !options.inspects() {
            rows.push(plain);
        }
    }
    if gallery {
        let labelled = rows.into_iter().flat_map(|row: Row| {
            row.cells.into_iter().map(move |cell| Cell { label: Some(row.caption.clone()), ..cell })
        });
        rows = vec![Row { cells: labelled.collect(), ..Row::default() }];
    }
    if options.attention {
        layout.legends = vec![Legend::Scale(Scale::ATTENTION), Legend::Scale(Scale::MASK)];
    }
    if nan {
        layout.legends.push(Legend::NotANumber);
    }
    grid::render(&rows, &layout)
}

/// Samples of `side` pixels that are drawn at once, so that what the generator holds is bounded.
fn chunk(side: usize) -> usize {
    ((1 << 19) / side.saturating_mul(side).max(1)).clamp(1, 32)
}

/// The finest images of all samples.
fn plain_cells(made: &GeneratorOutput, samples: usize) -> Result<Vec<Cell>> {
    let Some(finest) = made.stages.last() else { return Ok(Vec::new()) };
    (0..samples).map(|i| Ok(Cell { image: rgb::to_rgb(&finest.image.get(i)?)?, label: None })).collect()
}

/// The cells of one sample.
struct Sample<'a> {
    made: &'a GeneratorOutput,
    i: usize,
    /// Its finest image.
    image: RgbImage,
    cells: Vec<Cell>,
    /// Whether a value is not a number.
    nan: bool,
}

impl<'a> Sample<'a> {
    /// The images of sample `i`, and what `options` ask for beside them; `words` are its caption's.
    fn new(made: &'a GeneratorOutput, i: usize, words: &[String], options: Options) -> Result<Self> {
        let mut sample = Self { made, i, image: RgbImage::default(), cells: Vec::new(), nan: false };
        let first = if options.stages { 0 } else { made.stages.len().saturating_sub(1) };
        for stage in &made.stages[first..] {
            let (image, nan) = rgb::to_rgb_striped(&stage.image.get(i)?)?;
            let label = format!("{} px", image.width());
            sample.nan |= nan;
            sample.image.clone_from(&image);
            sample.cells.push(Cell { image, label: Some(label) });
        }
        if options.attention {
            sample.add_attention(words)?;
            sample.add_masks()?;
        }
        Ok(sample)
    }

    /// A cell per word: where the last stage attends to it. Padding after the words has none.
    fn add_attention(&mut self, words: &[String]) -> Result<()> {
        let Some(attention) = self.made.stages.last().and_then(|s| s.attention.as_ref()) else {
            return Ok(());
        };
        let attention = (attention.get(self.i)? * words.len() as f64)?;
        for (t, word) in words.iter().enumerate().take(WORDS.min(attention.dim(0)?)) {
            self.add(&attention.get(t)?, &Scale::ATTENTION, word.clone())?;
        }
        Ok(())
    }

    /// Two cells per stage that splits its features: the part of the image, and of the words, that the caption describes.
    fn add_masks(&mut self) -> Result<()> {
        for stage in &self.made.stages {
            let Some(split) = &stage.disentangled else { continue };
            let side = stage.image.dim(3)?;
            self.add(&mask(&split.image, self.i)?, &Scale::MASK, format!("image mask, {side}"))?;
            self.add(&mask(&split.context, self.i)?, &Scale::MASK, format!("text mask, {side}"))?;
        }
        Ok(())
    }

    fn add(&mut self, map: &Tensor, scale: &Scale, label: String) -> Result<()> {
        self.nan |= map.to_dtype(DType::F32)?.sum_all()?.to_scalar::<f32>()?.is_nan();
        let image = heat::overlay(&self.image, map, scale)?;
        self.cells.push(Cell { image, label: Some(label) });
        Ok(())
    }
}

/// The mask of sample `i`, `(C, H, W)`, as its mean over channels, `(H, W)`.
fn mask(split: &MaskedSplit, i: usize) -> Result<Tensor> {
    Ok(split.mask()?.get(i)?.mean(0)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::small_model;
    use drgan_tensor::ops::Precision;
    use image::Rgb;

    const ALL: Options = Options { stages: true, attention: true };

    fn labels(sample: &Sample<'_>) -> Vec<String> {
        sample.cells.iter().filter_map(|c| c.label.clone()).collect()
    }

    fn words(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("w{i}")).collect()
    }

    #[test]
    fn a_caption_is_a_row_of_samples_and_an_inspected_sample_a_row_of_its_own() -> Result<()> {
        let sampler = Sampler::new(&small_model()?, Precision::F32)?;
        let captions = ["a red heart", "a blue square"];
        let size = |captions: &[&str], options| -> Result<(u32, u32)> {
            Ok(draw(&sampler, captions, &[0, 1], 0, options)?.dimensions())
        };
        let plain = size(&captions[..1], Options::default())?;
        let cell = 128 + 6; // 32 pixels four times, and the gap
        assert_eq!(size(&captions, Options::default())?.1, plain.1 + 128 + 12);
        let stages = size(&captions[..1], Options { stages: true, attention: false })?;
        let label = 16 + 6;
        assert_eq!(stages.1, plain.1 + 128 + 12 + 2 * label, "two samples, two rows");
        assert_eq!(size(&captions[..1], Options { stages: false, attention: true })?.0, plain.0 + 4 * cell);
        Ok(())
    }

    #[test]
    fn a_sample_of_each_of_many_captions_is_a_gallery() -> Result<()> {
        let sampler = Sampler::new(&small_model()?, Precision::F32)?;
        let size = |captions: usize, noise: &[u64]| -> Result<(u32, u32)> {
            Ok(draw(&sampler, &vec!["a red heart"; captions], noise, 0, Options::default())?.dimensions())
        };
        let (width, height) = size(21, &[0])?;
        assert!(width > height && width < 1400 && height < 500, "three lines of ten: {width} x {height}");
        assert!(size(21, &[0, 1])?.1 > 2000, "a caption per row");
        Ok(())
    }

    #[test]
    fn a_sample_shows_stages_words_and_masks() -> Result<()> {
        let sampler = Sampler::new(&small_model()?, Precision::F32)?;
        let made = sampler.draw(&["a red heart", "a green cat face"], &[0, 1], 0)?;
        let first = Sample::new(&made, 0, &sampler.model().captions().words("a red heart")?, ALL)?;
        assert_eq!(
            labels(&first),
            ["16 px", "32 px", "a", "red", "heart", "image mask, 32", "text mask, 32"]
        );
        assert!(!first.nan);
        let plain = Sample::new(&made, 1, &words(4), Options { stages: true, attention: false })?;
        assert_eq!(labels(&plain), ["16 px", "32 px"]);
        Ok(())
    }

    #[test]
    fn sheets_that_cannot_be_are_refused_before_anything_is_drawn() -> Result<()> {
        let sampler = Sampler::new(&small_model()?, Precision::F32)?;
        let noise: Vec<u64> = (0..20_000).collect();
        for options in [Options::default(), ALL] {
            let e = draw(&sampler, &["a red heart"], &noise, 0, options).unwrap_err();
            assert!(matches!(e, drgan_tensor::Error::Shape { what: grid::SIZE, .. }), "{e}");
        }
        assert!(draw(&sampler, &["a red heart"], &[], 0, Options::default()).is_err());
        assert!(draw(&sampler, &[""; 0], &[0], 0, Options::default()).is_err());
        Ok(())
    }

    #[test]
    fn many_samples_are_drawn_in_parts_and_are_the_same() -> Result<()> {
        assert_eq!([16, 64, 128, 256, 512, 1024, 8192].map(chunk), [32, 32, 32, 8, 2, 1, 1]);
        let sampler = Sampler::new(&small_model()?, Precision::F32)?;
        let noise: Vec<u64> = (0..33).collect();
        let sheet = draw(&sampler, &["a red heart"], &noise, 3, Options::default())?;
        let images = sampler.images(&["a red heart"], &noise[32..], 3)?;
        let last = rgb::to_rgb(&images.get(0)?)?;
        // The third cell of the fourth line, each pixel of it four times as large.
        let (x, y) = (sheet.width() - 10 * 134 - 4 + 2 * 134, 10 + 3 * 134);
        for (at, want) in last.enumerate_pixels().map(|(u, v, p)| ((x + 4 * u + 1, y + 4 * v + 1), p)) {
            let got = sheet.get_pixel(at.0, at.1);
            assert!((0..3).all(|c| got[c].abs_diff(want[c]) <= 1), "{at:?}: {got:?}, not {want:?}");
        }
        Ok(())
    }

    #[test]
    fn padding_has_no_attention_and_the_words_share_all_of_it() -> Result<()> {
        let sampler = Sampler::new(&small_model()?, Precision::F32)?;
        let made = sampler.draw(&["a red heart", "a green cat face"], &[0, 1], 0)?;
        let Some(attention) = made.stages.last().and_then(|s| s.attention.clone()) else { panic!("attends") };
        for (i, words) in [(0, 3), (1, 4)] {
            let of = attention.get(i)?;
            assert_eq!(of.narrow(0, words, 6 - words)?.max_all()?.to_scalar::<f32>()?, 0., "padding");
            let sums = of.narrow(0, 0, words)?.sum(0)?.flatten_all()?.to_vec1::<f32>()?;
            assert!(sums.iter().all(|s| (s - 1.).abs() < 1e-5));
        }
        Ok(())
    }

    #[test]
    fn attention_of_many_words_is_limited() -> Result<()> {
        let mut made = Sampler::new(&small_model()?, Precision::F32)?.draw(&["a red heart"], &[0], 0)?;
        if let Some(finest) = made.stages.last_mut() {
            finest.attention = Some(Tensor::full(1f32 / 40., (1, 40, 16, 16), finest.image.device())?);
        }
        let sample = Sample::new(&made, 0, &words(40), Options { stages: false, attention: true })?;
        assert_eq!(sample.cells.len(), 1 + WORDS + 2);
        // Uniform attention has no color.
        assert!(sample.cells[1].image.pixels().all(|p| p[0] == p[1] && p[1] == p[2]));
        Ok(())
    }

    #[test]
    fn what_is_not_a_number_shows_in_inspected_samples_and_stops_plain_ones() -> Result<()> {
        let mut made = Sampler::new(&small_model()?, Precision::F32)?.draw(&["a red heart"], &[0], 0)?;
        let magenta = |cell: &Cell| cell.image.pixels().any(|p| *p == Rgb([255, 0, 255]));
        if let Some(finest) = made.stages.last_mut() {
            finest.attention = Some(Tensor::full(f32::NAN, (1, 6, 16, 16), finest.image.device())?);
        }
        let sample = Sample::new(&made, 0, &words(3), ALL)?;
        assert!(sample.nan);
        let shown: Vec<bool> = sample.cells.iter().map(magenta).collect();
        assert_eq!(shown, [false, false, true, true, true, false, false]);
        assert!(plain_cells(&made, 1).is_ok());
        if let Some(finest) = made.stages.last_mut() {
            finest.image = (&finest.image * f64::NAN)?;
        }
        let sample = Sample::new(&made, 0, &words(3), Options { stages: true, attention: false })?;
        assert_eq!(sample.cells.iter().map(magenta).collect::<Vec<_>>(), [false, true]);
        assert!(plain_cells(&made, 1).unwrap_err().to_string().contains("diverged"));
        Ok(())
    }
}
