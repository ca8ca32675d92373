//! Attribute accuracy of the 27 real images, then of the same with noise, with other colors, and with other shapes.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]
use candle_core::{Device, Tensor};
use drgan_metrics::attributes::{AttributeAccuracy, Color, Prompt, Reference, Shape};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

const SIDE: usize = 64;

/// The image of `prompt` on the sheet: colors are columns, shapes rows.
fn crop(sheet: &image::RgbImage, prompt: Prompt) -> candle_core::Result<Tensor> {
    let (x, y) = ((prompt.color.index() * SIDE) as u32, (prompt.shape.index() * SIDE) as u32);
    let image = image::imageops::crop_imm(sheet, x, y, SIDE as u32, SIDE as u32).to_image();
    let pixels = image.into_raw().into_iter().map(|v| f32::from(v) / 127.5 - 1.);
    Tensor::from_iter(pixels, &Device::Cpu)?.reshape((SIDE, SIDE, 3))?.permute((2, 0, 1))?.contiguous()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sheet = image::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/shapes.png"))?.to_rgb8();
    let mut references = Vec::new();
    for prompt in Prompt::all() {
        references.push(Reference { prompt, image: crop(&sheet, prompt)? });
    }
    let accuracy = AttributeAccuracy::from_references(&references)?;
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let mut noise = |sigma: f32| {
        let v = (0..3 * SIDE * SIDE).map(|_| {
            let z: f32 = StandardNormal.sample(&mut rng);
            sigma * z
        });
        Tensor::from_iter(v, &Device::Cpu)?.reshape((3, SIDE, SIDE))
    };
    let real = |prompt: Prompt| references[prompt.index()].image.clone();
    let report = |name: &str, change: &mut dyn FnMut(Prompt) -> candle_core::Result<Tensor>| {
        let samples = Prompt::all()
            .map(|prompt| Ok((prompt, change(prompt)?)))
            .collect::<candle_core::Result<Vec<_>>>()?;
        let s = accuracy.score(&samples)?;
        println!("{name:12} hue {:.2}  lab {:.2}  shape {:.2}", s.hue, s.lab, s.shape);
        Ok::<_, drgan_tensor::Error>(())
    };
    report("as they are", &mut |p| Ok(real(p)))?;
    report("noise 0.1", &mut |p| real(p) + noise(0.1)?)?;
    report("noise 0.3", &mut |p| real(p) + noise(0.3)?)?;
    let next_color = |p: Prompt| Prompt { color: Color::ALL[(p.color.index() + 1) % 9], ..p };
    let next_shape = |p: Prompt| Prompt { shape: Shape::ALL[(p.shape.index() + 1) % 3], ..p };
    report("next color", &mut |p| Ok(real(next_color(p))))?;
    report("next shape", &mut |p| Ok(real(next_shape(p))))?;
    Ok(())
}
