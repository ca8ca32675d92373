//! One training step: every discriminator, the generator, the optimizers, the running average.
use crate::image::{captions, named};
use crate::{Named, Row, SALT, fill};
use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use drgan_tensor::testing::Fill;
use drgan_tensor::{Ctx, Mode};
use drgan_text::{BackboneKind, DamsmImageEncoder, ImageEncoderConfig};
use drgan_train::adam::Adam;
use drgan_train::config::RunConfig;
use drgan_train::networks::Networks;
use drgan_train::step::{self, Judge, Scalar, StepBatch};

/// Gradients that the first step is compared by, near each end of every network; the same list as in benches/peer/step.py.
const GENERATOR: [&str; 4] = [
    "ca_net.fc.weight",
    "h_net1.upsample1.1.weight",
    "h_net2.att.conv_context.weight",
    "img_net3.img.0.weight",
];
const REAL_IMAGE: [&str; 1] = ["h_net3.img_code_sxx.0.weight"];
const DISCRIMINATOR: [&str; 3] =
    ["img_code_s16.0.module.weight_bar", "COND_DNET.outlogits.0.weight", "h_net1.fc.0.weight"];

pub(crate) struct Step {
    cfg: RunConfig,
    networks: Networks,
    encoder: DamsmImageEncoder,
    batch: StepBatch,
    done: u64,
}

impl Step {
    pub(crate) fn new(cfg: &RunConfig) -> Result<Self> {
        let networks = Networks::new(cfg)?;
        fill(&networks.generator, "generator.")?;
        fill(&networks.average.store, "generator.")?;
        fill(&networks.real_image, "real_image.")?;
        for (side, store) in cfg.sides().into_iter().zip(&networks.discriminators) {
            fill(store, &format!("discriminator{side}."))?;
        }
        let image = &cfg.image_encoder;
        let image = ImageEncoderConfig {
            backbone: image.backbone,
            side: (image.backbone == BackboneKind::EfficientNetLite0).then_some(image.side),
            words_dim: cfg.text.words_dim,
        };
        let [backbone, projection] = ["backbone.", "projection."].map(|p| Fill::new(SALT, p).builder());
        let encoder = DamsmImageEncoder::from_config(&image, backbone, projection)?;
        let (b, mut ctx) = (cfg.loader.batch, Ctx::new(Mode::Eval, 1));
        let mut picture = |side: usize| -> Result<Tensor> {
            Ok(ctx.randn((b, 3, side, side), &Device::Cpu)?.tanh()?) // in [-1, 1]
        };
        let images = cfg.sides().into_iter().map(&mut picture).collect::<Result<_>>()?;
        let text = captions(cfg, b, &mut ctx)?;
        let batch = StepBatch { images, text, groups: (0..b as i64).collect() };
        Ok(Self { cfg: cfg.clone(), networks, encoder, batch, done: 0 })
    }

    fn step(&mut self) -> Result<Vec<Scalar>> {
        let Self { cfg, networks, encoder, batch, done } = self;
        let judge = Judge { encoder, gammas: cfg.damsm.gammas, loss: &cfg.loss };
        let scalars = step::step(&mut networks.hero, &mut networks.adversaries, &judge, batch, 1.)?;
        networks.ema.update(*done)?;
        *done += 1;
        Ok(scalars)
    }
}

impl Row for Step {
    /// Pictures and captions, and the noise that the first step is going to draw.
    fn inputs(&self) -> Result<Named> {
        let mut all = named(&self.batch.text);
        let b = self.cfg.loader.batch;
        let mut hero = self.networks.hero.ctx.clone();
        all.insert("z".into(), hero.randn((b, self.cfg.generator.nz), &Device::Cpu)?);
        all.insert("eps".into(), hero.randn((b, self.cfg.generator.nc), &Device::Cpu)?);
        for ((side, picture), adversary) in
            self.cfg.sides().into_iter().zip(&self.batch.images).zip(&self.networks.adversaries)
        {
            all.insert(format!("real{side}"), picture.clone());
            let mut ctx = adversary.ctx.clone();
            for pass in ["real", "fake", "frozen"] {
                let eps = ctx.randn((b, self.cfg.discriminator.latent), &Device::Cpu)?;
                all.insert(format!("d{side}.{pass}"), eps);
            }
        }
        Ok(all)
    }

    fn first(&mut self) -> Result<Named> {
        let mut found = Named::new();
        for (name, value) in self.step()? {
            found.insert(format!("loss.{name}"), Tensor::new(&[value], &Device::Cpu)?);
        }
        let n = &self.networks;
        watch("generator", &n.hero.opt, &self.cfg.generator_opt.betas, &GENERATOR, &mut found)?;
        watch("real_image", &n.hero.real_image_opt, &self.cfg.generator_opt.betas, &REAL_IMAGE, &mut found)?;
        for (side, adversary) in self.cfg.sides().into_iter().zip(&n.adversaries) {
            let kind = format!("discriminator{side}");
            watch(&kind, &adversary.opt, &self.cfg.discriminator_opt.betas, &DISCRIMINATOR, &mut found)?;
        }
        Ok(found)
    }

    fn run(&mut self) -> Result<()> {
        self.step().map(drop)
    }
}

/// Gradients of the first step, as the optimizer remembers them: its first moment is `(1 - b1)` times them.
fn watch(kind: &str, opt: &Adam, betas: &(f64, f64), names: &[&str], found: &mut Named) -> Result<()> {
    let state = opt.state()?;
    for name in names {
        let moment = state.get(&format!("m.{name}")).with_context(|| format!("{kind} has no {name}"))?;
        found.insert(format!("gradient.{kind}.{name}"), (moment * (1. / (1. - betas.0)))?);
    }
    Ok(())
}
