//! Draws captions with the embedded model, four samples each.
//!
//! `cargo run --release --example hearts -- OUT.png "a red heart" "a blue square"`
#![allow(clippy::print_stdout, reason = "an example shows what it did")]
use drgan_infer::{Device, Precision, Sampler, rgb, sheet};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [out, captions @ ..] = args.as_slice() else {
        return Err("expected OUT.png CAPTION...".into());
    };
    let model = drgan_pretrained::emoji_64(&Device::Cpu)?;
    let sampler = Sampler::new(&model, Precision::F32)?;
    let image = sheet::draw(&sampler, captions, &[0, 1, 2, 3], 0, sheet::Options::default())?;
    std::fs::write(out, rgb::encode_png(&image)?)?;
    println!("{out}\n\n{}", model.card());
    Ok(())
}
