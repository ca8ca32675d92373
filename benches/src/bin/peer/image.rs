//! Features of captions to the finest picture.
use crate::{Named, Row, fill};
use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use drgan_sdm::StageGenerator;
use drgan_tensor::ops::Precision;
use drgan_tensor::{Ctx, FromConfig, Mode, ParamStore, TextFeatures};
use drgan_train::config::RunConfig;

/// What one picture is made of.
pub(crate) struct Inputs {
    z: Tensor,
    eps: Tensor,
    text: TextFeatures,
}

pub(crate) struct Picture {
    generator: StageGenerator,
    inputs: Inputs,
}

impl Picture {
    pub(crate) fn new(cfg: &RunConfig, batch: usize, precision: Precision) -> Result<Self> {
        let store = ParamStore::default();
        // Registers the names; what draws is built from constants, as inference should be.
        StageGenerator::from_config(&cfg.generator, store.builder(DType::F32, &Device::Cpu))?;
        fill(&store, "generator.")?;
        let generator = StageGenerator::from_config(&cfg.generator, store.frozen(DType::F32, &Device::Cpu))?
            .pack(precision)?;
        let mut ctx = Ctx::new(Mode::Eval, 1);
        let text = captions(cfg, batch, &mut ctx)?;
        let z = ctx.randn((batch, cfg.generator.nz), &Device::Cpu)?;
        let eps = ctx.randn((batch, cfg.generator.nc), &Device::Cpu)?;
        Ok(Self { generator, inputs: Inputs { z, eps, text } })
    }

    /// The finest pictures.
    fn draw(&self) -> Result<Tensor> {
        let (inputs, ctx) = (&self.inputs, Ctx::new(Mode::Eval, 0));
        let made = self.generator.generate_with(&inputs.z, Some(&inputs.eps), &inputs.text, &ctx)?;
        Ok(made.stages.into_iter().next_back().context("a generator has a stage")?.image)
    }
}

/// Made-up captions of full length and shorter.
pub(crate) fn captions(cfg: &RunConfig, batch: usize, ctx: &mut Ctx) -> Result<TextFeatures> {
    let (dims, t) = (cfg.text.words_dim, cfg.damsm.max_words);
    let lens: Vec<usize> = (0..batch).map(|i| t - i % 4 * 2).collect();
    let mask = lens.iter().flat_map(|&len| (0..t).map(move |i| u8::from(i >= len)));
    let mask = Tensor::from_iter(mask, &Device::Cpu)?.reshape((batch, t))?;
    let real = mask.to_dtype(DType::F32)?.affine(-1., 1.)?.unsqueeze(1)?; // (B, 1, T)
    Ok(TextFeatures {
        words: ctx.randn((batch, dims, t), &Device::Cpu)?.tanh()?.broadcast_mul(&real)?,
        sentence: ctx.randn((batch, dims), &Device::Cpu)?.tanh()?,
        mask,
        lens,
    })
}

/// Captions under the names that the other side knows.
pub(crate) fn named(text: &TextFeatures) -> Named {
    let tensors = [("words", &text.words), ("sentence", &text.sentence), ("padding", &text.mask)];
    tensors.into_iter().map(|(name, t)| (name.to_owned(), t.clone())).collect()
}

impl Row for Picture {
    fn inputs(&self) -> Result<Named> {
        let mut all = named(&self.inputs.text);
        all.insert("z".into(), self.inputs.z.clone());
        all.insert("eps".into(), self.inputs.eps.clone());
        Ok(all)
    }

    fn first(&mut self) -> Result<Named> {
        Ok(Named::from([("image".into(), self.draw()?)]))
    }

    fn run(&mut self) -> Result<()> {
        std::hint::black_box(self.draw()?);
        Ok(())
    }
}
