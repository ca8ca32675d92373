//! The objectives, at the sizes of the default run.
use candle_core::Tensor;
use criterion::{Criterion, criterion_group, criterion_main};
use drgan_benches::{forward_and_backward, text, values};
use drgan_losses::damsm::{Gammas, sentence_loss, words_loss};
use drgan_losses::{adversarial, dal, kl, sdl};
use drgan_tensor::{Gaussian, Result};

const B: usize = 16;
const D: usize = 128;

fn matching(c: &mut Criterion) {
    let captions = text(B, D, 12).expect("captions");
    forward_and_backward(c, "losses/damsm_words", &[B, D, 7, 7], |regions| -> Result<Tensor> {
        let (loss, _) = words_loss(regions, &captions.words, &captions.lens, None, Gammas::default())?;
        Ok((loss.image_to_text + loss.text_to_image)?)
    });
    forward_and_backward(c, "losses/damsm_sentence", &[B, D], |code| -> Result<Tensor> {
        let loss = sentence_loss(code, &captions.sentence, None, Gammas::default())?;
        Ok((loss.image_to_text + loss.text_to_image)?)
    });
}

fn distributions(c: &mut Criterion) {
    let maps = [B, 32, 32, 32];
    let real = values(&maps).expect("features");
    let non_key = (&real * 0.3).expect("features");
    forward_and_backward(c, "losses/sdl", &maps, |key| sdl::semantic_disentangling(key, &non_key, &real));
    let logvar = values(&[B, 100]).expect("a latent");
    forward_and_backward(c, "losses/kl", &[B, 100], |mu| {
        kl(&Gaussian { mu: mu.clone(), logvar: logvar.clone() })
    });
    let images = values(&[B, 3, 64, 64]).expect("images");
    forward_and_backward(c, "losses/dal", &[B, 3, 64, 64], |x| dal(x, &images));
    let logits = values(&[B]).expect("logits");
    forward_and_backward(c, "losses/adversarial", &[B], |x| adversarial::generator_loss(x, &logits));
}

criterion_group!(benches, matching, distributions);
criterion_main!(benches);
