//! One training step, and what is compared of it.
use crate::image::named;
use crate::{Named, Row};
use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use drgan_benches::Step;
use drgan_tensor::{Ctx, ParamStore};
use drgan_train::gan::Networks;
use drgan_train::optim::Optimizer;

/// What the first steps are compared by, gradients near each end of every network, and the update of the first of each;
/// the same lists as in benches/pytorch/step.py.
const GENERATOR: [&str; 4] = [
    "img_net3.img.0.weight",
    "ca_net.fc.weight",
    "h_net1.upsample1.1.weight",
    "h_net2.att.conv_context.weight",
];
const REAL_IMAGE: [&str; 1] = ["h_net3.img_code_sxx.0.weight"];
const DISCRIMINATOR: [&str; 3] =
    ["img_code_s16.0.module.weight_bar", "COND_DNET.outlogits.0.weight", "h_net1.fc.0.weight"];

/// A network, and those of its parameters that are compared.
struct Watched<'a> {
    kind: String,
    store: &'a ParamStore,
    opt: &'a dyn Optimizer,
    b1: f64,
    gradients: &'static [&'static str],
    moved: &'static str,
}

fn watched(step: &Step) -> Vec<Watched<'_>> {
    let (n, g, d) = (&step.networks, step.cfg.generator_opt.betas.0, step.cfg.discriminator_opt.betas.0);
    let (generator, real_image) = (&n.generator, &n.real_image);
    let generating = [
        ("generator", &generator.store, &*generator.optimizer, &GENERATOR[..], GENERATOR[0]),
        ("real_image", &real_image.store, &*real_image.optimizer, &REAL_IMAGE[..], REAL_IMAGE[0]),
        ("average", n.ema.average(), &*generator.optimizer, &[], GENERATOR[0]),
    ];
    let mut all: Vec<_> = generating
        .map(|(kind, store, opt, gradients, moved)| Watched {
            kind: kind.into(),
            store,
            opt,
            b1: g,
            gradients,
            moved,
        })
        .into();
    for discriminator in &n.discriminators {
        let kind = format!("discriminator{}", discriminator.network.side());
        let (store, opt, moved) = (&discriminator.store, &*discriminator.optimizer, DISCRIMINATOR[0]);
        all.push(Watched { kind, store, opt, b1: d, gradients: &DISCRIMINATOR, moved });
    }
    all
}

fn streams(step: &mut Step) -> impl Iterator<Item = &mut Ctx> {
    let Networks { generator, discriminators, .. } = &mut step.networks;
    std::iter::once(&mut generator.ctx).chain(discriminators.iter_mut().map(|d| &mut d.ctx))
}

impl Row for Step {
    /// Images and captions, and the noise that the first step is going to draw.
    fn inputs(&self) -> Result<Named> {
        let mut all = named(&self.batch.text);
        let b = self.cfg.loader.batch;
        let mut generator = self.networks.generator.ctx.clone();
        all.insert("z".into(), generator.randn((b, self.cfg.generator.nz), DType::F32, &Device::Cpu)?);
        all.insert("eps".into(), generator.randn((b, self.cfg.generator.nc), DType::F32, &Device::Cpu)?);
        for (image, discriminator) in self.batch.images.iter().zip(&self.networks.discriminators) {
            let side = discriminator.network.side();
            all.insert(format!("real{side}"), image.clone());
            let mut ctx = discriminator.ctx.clone();
            for pass in ["real", "fake", "frozen"] {
                let eps = ctx.randn((b, self.cfg.discriminator.latent), DType::F32, &Device::Cpu)?;
                all.insert(format!("d{side}.{pass}"), eps);
            }
        }
        Ok(all)
    }

    /// Two steps of the same noise. The first has learning rates of 0: its losses and gradients are those of the weights
    /// as filled, though each discriminator's optimizer stands in front of the generator's. The second moves the weights.
    fn first(&mut self) -> Result<Named> {
        let mut found = Named::new();
        let before: Vec<u128> = streams(self).map(|ctx| ctx.position()).collect();
        for (name, value) in Step::run(self, 0.)? {
            found.insert(format!("loss.{name}"), Tensor::new(&[value], &Device::Cpu)?);
        }
        for network in watched(self) {
            let (state, b1) = (network.opt.state()?, network.b1);
            for name in network.gradients {
                // The first moment is (1 - b1) times the first gradient.
                let moment = state.get(&format!("m.{name}")).with_context(|| format!("no {name}"))?;
                found.insert(format!("gradient.{}.{name}", network.kind), (moment / (1. - b1))?);
            }
        }
        streams(self).zip(before).for_each(|(ctx, position)| ctx.seek(position));
        let weights = |watched: &[Watched<'_>]| -> Result<Vec<Tensor>> {
            let first = |w: &Watched<'_>| {
                let view = w.store.views().remove(w.moved).with_context(|| format!("no {}", w.moved))?;
                Ok(view.copy()?)
            };
            watched.iter().map(first).collect()
        };
        let old = weights(&watched(self))?;
        for (name, value) in Step::run(self, 1.)? {
            found.insert(format!("second.{name}"), Tensor::new(&[value], &Device::Cpu)?);
        }
        let watched = watched(self);
        for ((network, old), new) in watched.iter().zip(old).zip(weights(&watched)?) {
            found.insert(format!("update.{}.{}", network.kind, network.moved), (new - old)?);
        }
        Ok(found)
    }

    fn run(&mut self) -> Result<()> {
        Step::run(self, 1.).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drgan_tensor::device::HOST;
    use drgan_train::config::{Overrides, RunConfig};

    #[test]
    fn both_compared_steps_have_the_noise_that_was_given_away() -> Result<()> {
        let cfg = RunConfig::resolve("tiny", &Overrides::default())?;
        let mut step = Step::new(&cfg, &HOST)?;
        let (given, side) = (step.inputs()?, cfg.sides()[0]);
        assert_eq!(given[&format!("d{side}.frozen")].dims(), [cfg.loader.batch, cfg.discriminator.latent]);
        let found = step.first()?;
        let value = |name: &str| found[name].to_vec1::<f32>();
        // The generator of both is the same; a reconstruction also depends on the noise, and its discriminator has learnt.
        assert_eq!(value(&format!("loss.rirm{side}"))?, value(&format!("second.rirm{side}"))?);
        let dal = format!("dal{side}");
        let (first, second) = (value(&format!("loss.{dal}"))?[0], value(&format!("second.{dal}"))?[0]);
        assert!(first != second && (first - second).abs() < 0.01 * first, "{first}, {second}");
        for name in ["update.generator.img_net3.img.0.weight", "update.average.img_net3.img.0.weight"] {
            let moved = found[name].abs()?.max_all()?.to_scalar::<f32>()?;
            // Adam's second update with b1 = 1/2 is at most sqrt(10) / 3 of the learning rate.
            assert!(moved > 0. && f64::from(moved) <= 1.055 * cfg.generator_opt.lr, "{name}: {moved}");
        }
        Ok(())
    }
}
