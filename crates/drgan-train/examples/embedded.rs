//! Looks into the embedded data set: five captions, and one image as a PNG.
//!
//! `cargo run --release --example embedded [FILE.png]`
#![allow(clippy::print_stdout, reason = "an example shows what it did")]
use candle_core::Device;
use drgan_data::{Dataset, Split};
use drgan_infer::grid::{self, Cell, Layout, Row};
use drgan_infer::rgb;
use std::path::PathBuf;

const SIDES: [usize; 3] = [16, 32, 64];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("target/embedded.png"), PathBuf::from);
    let data = Dataset::embedded()?;
    println!("{} images, {} of them held out", data.records().len(), data.split(Split::HeldOut).len());
    for record in data.records().iter().step_by(data.records().len() / 5).take(5) {
        println!("  {:<24} {}", record.key, record.captions[0]);
    }

    let caption = "a red heart";
    let index = data.find_caption(caption).ok_or("no image has this caption")?;
    let cells = SIDES.map(|side| -> Result<Cell, Box<dyn std::error::Error>> {
        let image = data.load_image(index, side)?.to_tensor(&Device::Cpu)?;
        Ok(Cell { image: rgb::to_rgb(&image)?, label: Some(format!("{side} px")) })
    });
    let row =
        Row { caption: caption.to_owned(), note: None, cells: cells.into_iter().collect::<Result<_, _>>()? };
    rgb::save_png(&grid::render(&[row], &Layout::new(grid::default_cell_side(SIDES[2])))?, &out)?;
    println!("{caption}, as the three stages see it: {}", out.display());
    Ok(())
}
