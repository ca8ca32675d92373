//! Eight images and eight captions without any network: their features alone are moved until each finds its match.
//!
//! `cargo run --release --example align -- --device cpu`; without a device on the fastest there is.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]
use candle_core::{DType, Tensor, Var};
use drgan_losses::damsm::{self, Gammas};
use drgan_tensor::device::DeviceRequest;
use drgan_tensor::{ImageFeatures, Result, TextFeatures};

const PAIRS: usize = 8;
const WORDS: usize = 5;

/// Share of rows whose largest score is on the diagonal.
fn hits(scores: &Tensor) -> Result<f64> {
    let best = scores.argmax(1)?.to_vec1::<u32>()?;
    Ok(best.iter().enumerate().filter(|(i, b)| *i == **b as usize).count() as f64 / best.len() as f64)
}

fn main() -> Result<()> {
    let dev = DeviceRequest::of_arguments(std::env::args().skip(1))?.open()?;
    let wave = |dims: &[usize], phase: f32| -> Result<Tensor> {
        let n = dims.iter().product::<usize>();
        Ok(Tensor::from_iter((0..n).map(|i| ((i * i) as f32 * 0.37 + phase).sin()), &dev)?.reshape(dims)?)
    };
    let regions = Var::from_tensor(&wave(&[PAIRS, 16, 3, 3], 0.)?)?;
    let code = Var::from_tensor(&wave(&[PAIRS, 16], 1.)?)?;
    let text = TextFeatures {
        words: wave(&[PAIRS, 16, WORDS], 2.)?,
        sentence: wave(&[PAIRS, 16], 3.)?,
        mask: Tensor::zeros((PAIRS, WORDS), DType::U8, &dev)?,
        lens: vec![WORDS; PAIRS],
    };
    // Images 0 and 1 are of one class: neither is the other's mismatch.
    let classes = [0, 0, 2, 3, 4, 5, 6, 7];
    for step in 0..=60 {
        let image = ImageFeatures { regions: regions.as_tensor().clone(), code: code.as_tensor().clone() };
        let loss = damsm::damsm(&image, &text, &[&classes], Gammas::default())?;
        if step % 20 == 0 {
            let found = damsm::similarity(&image, &text, Gammas::default())?;
            let (value, words, sentence) =
                (loss.to_scalar::<f32>()?, hits(&found.words)?, hits(&found.sentence)?);
            println!("step {step:2}: loss {value:6.3}, found by words {words:.2}, by sentence {sentence:.2}");
        }
        let grads = loss.backward()?;
        for var in [&regions, &code] {
            if let Some(g) = grads.get(var) {
                var.set(&(var.as_tensor() - (g * 0.5)?)?.detach())?;
            }
        }
    }
    Ok(())
}
