//! The objectives.
use candle_core::Tensor;
use criterion::Criterion;
use drgan_benches::{Preset, values};
use drgan_losses::damsm::{sentence_loss, words_loss};
use drgan_losses::{
    DisentangledFeatures, Logits, Reconstruction, dal, damsm, discriminator_loss, dnm, generator_loss, kl,
    reconstruction, sdl,
};
use drgan_tensor::{Gaussian, ImageFeatures, Result};
use drgan_text::BackboneKind;

/// Side of the map of regions: of Inception-v3, whatever the image; of EfficientNet-Lite0, a sixteenth of the image's.
fn regions(preset: &Preset) -> usize {
    match preset.cfg.image_encoder.backbone {
        BackboneKind::InceptionV3 => 17,
        _ => preset.cfg.image_encoder.side / 16,
    }
}

fn matching(c: &mut Criterion, preset: &Preset) {
    let (captions, d, r) = (preset.captions(), preset.cfg.text.words_dim, regions(preset));
    let (gammas, code) = (preset.cfg.damsm.gammas, values(&preset.shape(&[d])).expect("codes"));
    preset.both(c, "losses/damsm_words", &[d, r, r], |regions| -> Result<Tensor> {
        let (loss, _) = words_loss(regions, &captions.words, &captions.lens, &[], gammas)?;
        Ok((loss.image_to_text + loss.text_to_image)?)
    });
    preset.both(c, "losses/damsm_sentence", &[d], |code| -> Result<Tensor> {
        let loss = sentence_loss(code, &captions.sentence, &[], gammas)?;
        Ok((loss.image_to_text + loss.text_to_image)?)
    });
    preset.both(c, "losses/damsm", &[d, r, r], |regions| {
        let image = ImageFeatures { regions: regions.clone(), code: code.clone() };
        damsm(&image, &captions, &[], gammas)
    });
}

fn distributions(c: &mut Criterion, preset: &Preset) {
    let constant = |rest: &[usize]| values(&preset.shape(rest)).expect("a constant");
    let cfg = &preset.cfg;
    // The last disentangling stands in front of the finest image; the VAEs rebuild the coarsest.
    let (side, base) = (cfg.generator.side(cfg.generator.stages - 2), cfg.generator.base);
    let maps = [cfg.generator.ngf, side, side];
    let real = constant(&maps);
    let non_key = (&real * 0.3).expect("features");
    preset.both(c, "losses/sdl", &maps, |key| {
        sdl(DisentangledFeatures { key, non_key: &non_key, real: &real })
    });

    let latent = cfg.discriminator.latent;
    let gaussian = Gaussian { mu: constant(&[latent]), logvar: constant(&[latent]) };
    preset.both(c, "losses/kl", &[latent], |mu| kl(&Gaussian { mu: mu.clone(), ..gaussian.clone() }));

    let (coarse, image) = ([3, base, base], constant(&[3, base, base]));
    preset.both(c, "losses/dnm", &coarse, |x| {
        let one = Reconstruction { image: x, target: &image, latent: &gaussian };
        dnm(one, one)
    });
    preset.both(c, "losses/dal", &coarse, |x| dal(x, &image));
    let real = constant(&[3, side, side]);
    preset.both(c, "losses/rirm", &[3, side, side], |x| reconstruction(x, &real));

    let logits = constant(&[]);
    preset.both(c, "losses/adversarial_generator", &[], |x| {
        generator_loss(Logits { unconditional: x, conditional: &logits })
    });
    preset.both(c, "losses/adversarial_discriminator", &[], |x| {
        let real = Logits { unconditional: x, conditional: &logits };
        let fake = Logits { unconditional: &logits, conditional: x };
        discriminator_loss(real, fake, Some(&logits))
    });
}

fn main() {
    drgan_benches::run(&[matching, distributions]);
}
