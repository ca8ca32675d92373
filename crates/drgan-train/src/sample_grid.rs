//! What `sample` and the training loop show: captions down, samples across.
use crate::error::TrainError;
use crate::grid::{self, Cell, Row};
use crate::sampler::Sampler;
use candle_core::{DType, Tensor};
use drgan_tensor::{GeneratorOutput, StageOutput};
use std::path::Path;

/// What is shown beside the finest picture.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Every stage's picture.
    pub stages: bool,
    /// Word attention and both masks of the last stage, over the picture.
    pub attention: bool,
}

/// Draws every caption under every noise number and writes one picture.
///
/// # Errors
/// A caption without a known word; the file cannot be written.
pub fn save(
    sampler: &Sampler<'_>,
    captions: &[&str],
    noise: &[u64],
    seed: u64,
    options: Options,
    path: &Path,
) -> Result<(), TrainError> {
    let mut rows = Vec::with_capacity(captions.len());
    for caption in captions {
        let made = sampler.draw(&vec![*caption; noise.len()], noise, seed)?;
        let words = sampler.encoders().words(caption)?;
        let mut cells = Vec::new();
        for i in 0..noise.len() {
            sample_cells(&made, i, &words, options, &mut cells)?;
        }
        rows.push(Row { caption: (*caption).to_owned(), cells });
    }
    let side = sampler.config().sides().last().copied().unwrap_or(64);
    grid::save_png(&grid::render(&rows, grid::default_cell_side(side))?, path)?;
    Ok(())
}

/// The cells of one sample.
fn sample_cells(
    made: &GeneratorOutput,
    i: usize,
    words: &[String],
    options: Options,
    cells: &mut Vec<Cell>,
) -> Result<(), TrainError> {
    let Some((finest, coarser)) = made.stages.split_last() else { return Ok(()) };
    let label = |stage: &StageOutput| -> Result<Option<String>, TrainError> {
        let side = stage.image.dim(2)?;
        Ok(options.stages.then(|| format!("{side} px")))
    };
    if options.stages {
        for stage in coarser {
            cells.push(Cell { image: grid::to_rgb(&stage.image.get(i)?)?, label: label(stage)? });
        }
    }
    let picture = grid::to_rgb(&finest.image.get(i)?)?;
    cells.push(Cell { image: picture.clone(), label: label(finest)? });
    if !options.attention {
        return Ok(());
    }
    if let Some(attention) = &finest.attention {
        for (t, word) in words.iter().enumerate().take(attention.dim(1)?) {
            let image = grid::heat_overlay(&picture, &attention.get(i)?.get(t)?.to_dtype(DType::F32)?)?;
            cells.push(Cell { image, label: Some(word.clone()) });
        }
    }
    if let Some(split) = &finest.disentangled {
        for (division, name) in [(&split.image, "image mask"), (&split.context, "text mask")] {
            let image = grid::heat_overlay(&picture, &channel_mean(&division.mask()?.get(i)?)?)?;
            cells.push(Cell { image, label: Some(name.to_owned()) });
        }
    }
    Ok(())
}

/// A mask `(C, H, W)` as one map.
fn channel_mean(mask: &Tensor) -> Result<Tensor, TrainError> {
    Ok(mask.mean(0)?.to_dtype(DType::F32)?)
}
