//! The released form: names and shapes, training, what it must share with the paper's form.
mod common;

use candle_core::DType;
use common::{CPU, captions};
use drgan_sdm::{GeneratorConfig, GeneratorNoise, RealImagePath, StageGenerator};
use drgan_tensor::testing::{Tol, assert_close};
use drgan_tensor::{
    Ctx, FromConfig, Generator, Mode, ParamKind, ParamStore, Result, TextFeatures, Variant, init,
    parameter_shapes,
};

fn config() -> GeneratorConfig {
    let form = Variant::Released;
    GeneratorConfig {
        base: 16,
        stages: 2,
        ngf: 8,
        text_dim: 6,
        form,
        mask_logit_scale: 0.25,
        ..Default::default()
    }
}

#[test]
fn parts_have_the_released_shapes() -> Result<()> {
    let shapes = parameter_shapes(|vb| StageGenerator::from_config(&config(), vb))?;
    assert_eq!(shapes["img_net1.img.0.weight"], [4, 8, 3, 3]);
    assert_eq!(shapes["img_net2.img.3.weight"], [2, 4, 3, 3]);
    assert_eq!(shapes["img_net2.img.6.weight"], [3, 2, 3, 3]);
    assert_eq!(shapes["h_net2.reduct_demension.4.running_var"], [8]);
    assert!(!shapes.contains_key("h_net2.reduct_demension.3.bias"));
    let shapes = parameter_shapes(|vb| RealImagePath::from_config(&config().real_image(), vb))?;
    assert_eq!(shapes["h_net2.img_code_sxx.0.weight"], [4, 3, 2, 2]);
    assert!(shapes.keys().all(|name| !name.contains(".6.")), "no residual block: {shapes:?}");
    Ok(())
}

#[test]
fn every_parameter_learns_and_an_image_does_not_depend_on_its_neighbors() -> Result<()> {
    let store = ParamStore::seeded(1);
    let generator = StageGenerator::from_config(&config(), store.builder(DType::F32, &CPU))?;
    init::gan(&store)?;
    let text = captions(&[2, 3, 1], 3, 6, DType::F32)?;
    let mut ctx = Ctx::new(Mode::Train, 0);
    let z = ctx.randn((3, config().nz), DType::F32, &CPU)?;
    let out = generator.generate(&z, &text, &mut ctx)?;
    let real = ctx.randn((3, 3, 16, 16), DType::F32, &CPU)?;
    let path = ParamStore::seeded(2);
    let encoder = RealImagePath::from_config(&config().real_image(), path.builder(DType::F32, &CPU))?;
    let reconstructed = generator.decode(0, &encoder.encode(1, &real, &ctx)?, &ctx)?;
    let images = out.stages.iter().map(|s| s.image.sqr()?.sum_all());
    let loss = images
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .try_fold(reconstructed.sqr()?.sum_all()?, |a, b| a + b)?;
    let gradients = loss.backward()?;
    for (name, var) in store.vars(ParamKind::Param).iter().chain(&path.vars(ParamKind::Param)) {
        assert!(gradients.get(var).is_some(), "{name}");
    }

    let ctx = Ctx::new(Mode::Eval, 0);
    let whole = generator.generate_with(GeneratorNoise::new(&z), &text, &ctx)?;
    let first = |t: &candle_core::Tensor| t.narrow(0, 0, 1);
    let (words, sentence, mask) = (first(&text.words)?, first(&text.sentence)?, first(&text.mask)?);
    let one = TextFeatures { words, sentence, mask, lens: vec![2] };
    let alone = generator.generate_with(GeneratorNoise::new(&z.narrow(0, 0, 1)?), &one, &ctx)?;
    let last = |out: &drgan_tensor::GeneratorOutput| out.stages[1].image.narrow(0, 0, 1);
    assert_close("alone", &last(&alone)?, &last(&whole)?, Tol { rtol: 1e-4, atol: 1e-5 })
}

#[test]
fn widths_and_scales_that_the_form_cannot_take_are_named() {
    let message = |cfg: &GeneratorConfig| {
        parameter_shapes(|vb| StageGenerator::from_config(cfg, vb)).expect_err("out of range").to_string()
    };
    assert!(message(&GeneratorConfig { ngf: 6, ..config() }).contains("generator.ngf"));
    assert!(
        message(&GeneratorConfig { mask_logit_scale: 0., ..config() }).contains("generator.mask_logit_scale")
    );
}
