//! `drgan sample --interpolate`: an animation from caption to caption and from noise to noise.
use super::super::common::report;
use crate::cli::SampleArgs;
use crate::signals::Stop;
use anyhow::{Result, bail};
use drgan_infer::animation::{self, Format};
use drgan_infer::grid::{self, Cell, Layout, Row};
use drgan_infer::interpolate::{self, Keyframe};
use drgan_infer::{RgbImage, Sampler, rgb};
use drgan_tensor::internal::{counted, shown};
use std::path::PathBuf;

/// How long a frame is shown.
const MILLISECONDS: u16 = 60;
/// Images of the strip from one keyframe to the next.
const SHOWN: usize = 9;

/// Writes the animation, and beside it a strip of what it shows.
pub(super) fn draw(
    args: &SampleArgs,
    sampler: &Sampler,
    captions: &[String],
    noise: &[u64],
    name: &str,
    stop: &Stop,
) -> Result<()> {
    let keyframes: Vec<Keyframe> = captions
        .iter()
        .flat_map(|caption| noise.iter().map(|noise| Keyframe { caption: caption.clone(), noise: *noise }))
        .collect();
    if keyframes.len() < 2 {
        bail!(
            "--interpolate: one picture leads nowhere; give another caption, or --count 2 or more for that many noise seeds"
        )
    }
    let frames = usize::from(args.frames);
    let images = interpolate::walk(sampler, &keyframes, frames, args.seed)?;
    let strip = strip(&keyframes, &images, frames)?;
    let scaled = |image: &RgbImage| grid::scaled(image, grid::default_cell_side(image.width() as usize));
    let larger: Vec<RgbImage> = images.iter().map(scaled).collect();
    let bytes = animation::encode(&larger, Format::of(&args.out)?, MILLISECONDS)?;
    let beside = beside(args);
    let _whole = stop.hold();
    if let Some(folder) = args.out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    drgan_tensor::file::write_atomic(&args.out, &bytes)?;
    rgb::save_png(&strip, &beside)?;
    report(&format!(
        "{} and {} ({name}, seed {}, {})",
        shown(&args.out),
        shown(&beside),
        args.seed,
        counted(images.len(), "frame[|s]")
    ));
    Ok(())
}

/// `hearts.gif` has its strip in `hearts-strip.png`.
fn beside(args: &SampleArgs) -> PathBuf {
    let mut name = args.out.file_stem().unwrap_or_default().to_owned();
    name.push("-strip.png");
    args.out.with_file_name(name)
}

/// A row per keyframe: on the way to the next one.
fn strip(keyframes: &[Keyframe], images: &[RgbImage], frames: usize) -> Result<RgbImage> {
    let n = frames.min(SHOWN);
    let rows: Vec<Row> = keyframes
        .iter()
        .enumerate()
        .map(|(k, keyframe)| {
            let cells =
                (0..n).map(|i| Cell { image: images[k * frames + i * frames / n].clone(), label: None });
            let note = Some(format!("sample {}", keyframe.noise));
            Row { caption: keyframe.caption.clone(), note, cells: cells.collect() }
        })
        .collect();
    let side = images.first().map_or(1, RgbImage::width) as usize;
    Ok(grid::render(&rows, &Layout::new(grid::default_cell_side(side)))?)
}
