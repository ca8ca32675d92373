//! Judges the 27 real pictures, then the same with noise, with other colours, and with other shapes.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]
use candle_core::{Device, Tensor};
use drgan_metrics::obedience::{Obedience, Reference, captions};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

const SIDE: usize = 64;

/// Caption `(colour, shape)`'s picture of the sheet: colours are columns, shapes rows.
fn cut(sheet: &image::RgbImage, colour: usize, shape: usize) -> candle_core::Result<Tensor> {
    let (x, y) = ((colour * SIDE) as u32, (shape * SIDE) as u32);
    let picture = image::imageops::crop_imm(sheet, x, y, SIDE as u32, SIDE as u32).to_image();
    let pixels = picture.into_raw().into_iter().map(|v| f32::from(v) / 127.5 - 1.);
    Tensor::from_iter(pixels, &Device::Cpu)?.reshape((SIDE, SIDE, 3))?.permute((2, 0, 1))?.contiguous()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sheet = image::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/shapes.png"))?.to_rgb8();
    let mut references = Vec::new();
    for (colour, shape, _) in captions() {
        references.push(Reference { colour, shape, image: cut(&sheet, colour, shape)? });
    }
    let judge = Obedience::from_references(&references)?;
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let mut noise = |sigma: f32| {
        let v = (0..3 * SIDE * SIDE).map(|_| {
            let z: f32 = StandardNormal.sample(&mut rng);
            sigma * z
        });
        Tensor::from_iter(v, &Device::Cpu)?.reshape((3, SIDE, SIDE))
    };
    let real = |colour: usize, shape: usize| references[colour * 3 + shape].image.clone();
    let report = |name: &str, change: &mut dyn FnMut(usize, usize) -> candle_core::Result<Tensor>| {
        let samples = captions()
            .enumerate()
            .map(|(i, (c, s, _))| Ok((i, change(c, s)?)))
            .collect::<candle_core::Result<Vec<_>>>()?;
        let s = judge.score(&samples)?;
        println!("{name:12} hue {:.2}  lab {:.2}  shape {:.2}", s.hue, s.lab, s.shape);
        Ok::<_, drgan_tensor::Error>(())
    };
    report("as they are", &mut |c, s| Ok(real(c, s)))?;
    report("noise 0.1", &mut |c, s| real(c, s) + noise(0.1)?)?;
    report("noise 0.3", &mut |c, s| real(c, s) + noise(0.3)?)?;
    report("next colour", &mut |c, s| Ok(real((c + 1) % 9, s)))?;
    report("next shape", &mut |c, s| Ok(real(c, (s + 1) % 3)))?;
    Ok(())
}
