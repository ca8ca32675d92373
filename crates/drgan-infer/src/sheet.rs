//! What one caption's samples look like, as a grid: captions down, samples across.
use crate::grid::{self, Cell, Row};
use crate::{Sampler, rgb};
use candle_core::{DType, Tensor};
use drgan_tensor::{GeneratorOutput, Result, StageOutput};
use image::RgbImage;

/// What is shown beside the finest image.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether every stage's image is shown, not the finest alone.
    pub stages: bool,
    /// Word attention and both masks of the last stage, over the image.
    pub attention: bool,
}

/// Draws every caption under every noise number, one caption per row.
///
/// # Errors
/// A caption without a known word; no caption or no noise number.
pub fn draw(
    sampler: &Sampler,
    captions: &[impl AsRef<str>],
    noise: &[u64],
    seed: u64,
    options: Options,
) -> Result<RgbImage> {
    let mut rows = Vec::with_capacity(captions.len());
    for caption in captions.iter().map(AsRef::as_ref) {
        let made = sampler.draw(&vec![caption; noise.len()], noise, seed)?;
        let words = sampler.model().captions().words(caption)?;
        let mut cells = Vec::new();
        for i in 0..noise.len() {
            sample_cells(&made, i, &words, options, &mut cells)?;
        }
        rows.push(Row { caption: caption.to_owned(), cells });
    }
    grid::render(&rows, grid::default_cell_side(sampler.model().config().side()))
}

/// The cells of one sample.
fn sample_cells(
    made: &GeneratorOutput,
    i: usize,
    words: &[String],
    options: Options,
    cells: &mut Vec<Cell>,
) -> Result<()> {
    let Some((finest, coarser)) = made.stages.split_last() else { return Ok(()) };
    let label = |stage: &StageOutput| -> Result<Option<String>> {
        let side = stage.image.dim(2)?;
        Ok(options.stages.then(|| format!("{side} px")))
    };
    if options.stages {
        for stage in coarser {
            cells.push(Cell { image: rgb::to_rgb(&stage.image.get(i)?)?, label: label(stage)? });
        }
    }
    let image = rgb::to_rgb(&finest.image.get(i)?)?;
    cells.push(Cell { image: image.clone(), label: label(finest)? });
    if !options.attention {
        return Ok(());
    }
    if let Some(attention) = &finest.attention {
        for (t, word) in words.iter().enumerate().take(attention.dim(1)?) {
            let image = rgb::heat_overlay(&image, &attention.get(i)?.get(t)?.to_dtype(DType::F32)?)?;
            cells.push(Cell { image, label: Some(word.clone()) });
        }
    }
    if let Some(split) = &finest.disentangled {
        for (division, name) in [(&split.image, "image mask"), (&split.context, "text mask")] {
            let image = rgb::heat_overlay(&image, &channel_mean(&division.mask()?.get(i)?)?)?;
            cells.push(Cell { image, label: Some(name.to_owned()) });
        }
    }
    Ok(())
}

/// A mask `(C, H, W)` as one map `(H, W)`.
fn channel_mean(mask: &Tensor) -> Result<Tensor> {
    Ok(mask.mean(0)?.to_dtype(DType::F32)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::small_model;
    use drgan_tensor::ops::Precision;

    #[test]
    fn stages_attention_and_masks_stand_beside_each_sample() -> Result<()> {
        let sampler = Sampler::new(&small_model()?, Precision::F32)?;
        let width =
            |options| -> Result<u32> { Ok(draw(&sampler, &["a red heart"], &[0, 1], 0, options)?.width()) };
        let plain = width(Options::default())?;
        let cell = 128 + 6; // 32 pixels four times, and the gap
        assert_eq!(width(Options { stages: true, attention: false })?, plain + 2 * cell);
        // Three words and two masks per sample.
        assert_eq!(width(Options { stages: false, attention: true })?, plain + 10 * cell);
        let two = draw(&sampler, &["a red heart", "a blue square"], &[0], 0, Options::default())?;
        assert!(two.height() > 2 * 128);
        Ok(())
    }
}
