//! Draws captions with a model file, one caption per row.
//!
//! `cargo run --release --example draw MODEL.safetensors OUT.png CAPTION...`
#![allow(clippy::print_stdout, reason = "an example shows what it did")]
use drgan_infer::{Device, Model, Precision, Sampler, rgb, sheet};
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, out, captions @ ..] = args.as_slice() else {
        return Err("expected MODEL.safetensors OUT.png CAPTION...".into());
    };
    let model = Model::load(Path::new(model), &Device::Cpu)?;
    let sampler = Sampler::new(&model, Precision::F32)?;
    let image = sheet::draw(&sampler, captions, &[0, 1, 2, 3], 0, sheet::Options::default())?;
    rgb::save_png(&image, Path::new(out))?;
    println!("{out}: {} captions by {}", captions.len(), model.config().name);
    Ok(())
}
