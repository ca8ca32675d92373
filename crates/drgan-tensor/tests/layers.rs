//! The shared layers and the resizing operations: gradients against finite differences, statistics against closed
//! forms.
#![cfg(feature = "testing")]
use candle_core::{DType, Device, Tensor, Var};
use drgan_tensor::nn::{
    BatchNorm, ConditionNet, Conv2d, Linear, ResidualBlock, SpectralConv2d, UpBlock, VectorToMap,
};
use drgan_tensor::ops::{self, Activation};
use drgan_tensor::testing::{Tol, assert_close, assert_grad};
use drgan_tensor::{Ctx, Mode, ParamKind, ParamStore, Result, VarBuilder, builder_over};

const CPU: Device = Device::Cpu;

fn random(seed: u64, shape: &[usize]) -> Result<Tensor> {
    Ok(Ctx::new(Mode::Eval, seed).randn(shape, DType::F32, &CPU)?.to_dtype(DType::F64)?)
}

fn frozen() -> Ctx {
    Ctx::new(Mode::Frozen, 0)
}

/// A random weighting of `y`, so that no gradient cancels.
fn score(y: &Tensor) -> Result<Tensor> {
    Ok((y * random(99, y.dims())?)?.sum_all()?)
}

/// Gradients of a layer to its input, with the input also used beside the layer, and to every parameter.
fn check_layer<M>(
    what: &str,
    x: &Tensor,
    build: impl Fn(VarBuilder<'_>) -> Result<M>,
    forward: impl Fn(&M, &Tensor) -> Result<Tensor>,
) -> Result<()> {
    let store = ParamStore::seeded(3);
    build(store.builder(DType::F64, &CPU))?;
    let with = |name: &str, value: &Tensor| -> Result<M> {
        let mut values = store.views();
        values.insert(name.to_owned(), value.clone());
        build(builder_over(values, DType::F64, &CPU))
    };
    let constant = build(store.frozen(DType::F64, &CPU))?;
    let shared = |x: &Tensor| Ok((score(&forward(&constant, x)?)? + score(&x.sqr()?)?)?);
    assert_grad(&format!("{what}: input"), x, shared, Tol::LAYER)?;
    for (name, var) in store.vars(ParamKind::Param) {
        // Off the initial point: biases of zero and scales of one hide mistakes.
        let value = (var.as_detached_tensor() + (random(7, var.dims())? * 0.3)?)?;
        let f = |p: &Tensor| score(&forward(&with(&name, p)?, x)?);
        assert_grad(&format!("{what}: {name}"), &value, f, Tol::LAYER)?;
    }
    Ok(())
}

#[test]
fn linear_layers() -> Result<()> {
    let x = random(1, &[3, 5])?;
    check_layer("linear", &x, |vb| Linear::new(5, 4, vb), |m, x| m.forward(x))?;
    check_layer("no bias", &x, |vb| Linear::no_bias(5, 4, vb), |m, x| m.forward(x))?;
    let both = |m: &ConditionNet, x: &Tensor| {
        let g = m.forward(x)?;
        Ok(Tensor::cat(&[g.mu, g.logvar], 1)?)
    };
    check_layer("conditioning", &x, |vb| ConditionNet::new(5, 2, vb), both)?;
    check_layer("expand", &x, |vb| VectorToMap::new(5, 1, vb), |m, x| m.forward(x, &frozen()))
}

#[test]
fn convolutions() -> Result<()> {
    let x = random(2, &[2, 3, 5, 7])?;
    let strided = |vb: VarBuilder<'_>| Conv2d::biased((3, 2), 4, 2, 1, vb);
    check_layer("4x4, stride 2", &x, strided, |m, x| m.forward(x))?;
    check_layer("3x3", &x, |vb| Conv2d::same3x3(3, 2, vb), |m, x| m.forward(x))?;
    check_layer("1x1", &x, |vb| Conv2d::pointwise(3, 2, vb), |m, x| m.forward(x))
}

#[test]
fn batch_norm_with_every_activation() -> Result<()> {
    let x = random(3, &[2, 4, 3, 5])?;
    for act in [Activation::Identity, Activation::Relu, Activation::LeakyRelu(0.2), Activation::Glu] {
        for mode in [Mode::Frozen, Mode::Eval] {
            let what = format!("batch norm, {act:?}, {mode:?}");
            let forward = |m: &BatchNorm, x: &Tensor| m.forward(x, act, &Ctx::new(mode, 0));
            check_layer(&what, &x, |vb| BatchNorm::new(4, vb), forward)?;
        }
    }
    Ok(())
}

#[test]
fn blocks() -> Result<()> {
    let x = random(4, &[2, 2, 3, 3])?;
    check_layer("up-block", &x, |vb| UpBlock::new(2, 1, vb), |m, x| m.forward(x, &frozen()))?;
    check_layer("residual block", &x, |vb| ResidualBlock::new(2, vb), |m, x| m.forward(x, &frozen()))
}

#[test]
fn resizing() -> Result<()> {
    let x = random(5, &[2, 2, 3, 5])?;
    for (h, w, corners) in [(7, 4, true), (7, 4, false), (1, 1, true), (2, 9, false)] {
        let f = |x: &Tensor| Ok((score(&ops::resize_bilinear(x, h, w, corners)?)? + score(&x.sqr()?)?)?);
        assert_grad(&format!("bilinear to {h}x{w}, {corners}"), &x, f, Tol::LAYER)?;
    }
    let f = |x: &Tensor| Ok((score(&ops::upsample_nearest2x(x)?)? + score(&x.sqr()?)?)?);
    assert_grad("nearest x2", &x, f, Tol::LAYER)?;
    let x = random(6, &[2, 1, 6, 9])?;
    let f = |x: &Tensor| Ok((score(&ops::resize_area(x, 2, 3)?)? + score(&x.sqr()?)?)?);
    assert_grad("area", &x, f, Tol::LAYER)?;
    assert!(ops::resize_area(&x, 4, 3).is_err(), "6 rows are no multiple of 4");
    assert!(ops::resize_bilinear(&x, 0, 3, true).is_err(), "nothing has no rows");
    Ok(())
}

#[test]
fn resizing_has_the_values_of_its_definition() -> Result<()> {
    let x = Tensor::new(&[[[[0f64, 1.], [2., 3.]]]], &CPU)?;
    let corners = Tensor::new(&[[[[0f64, 0.5, 1.], [1., 1.5, 2.], [2., 2.5, 3.]]]], &CPU)?;
    assert_close("aligned corners", &ops::resize_bilinear(&x, 3, 3, true)?, &corners, Tol::LAYER)?;
    let row = Tensor::new(&[[[[0f64, 0.25, 0.75, 1.]]]], &CPU)?;
    let wide = ops::resize_bilinear(&x.narrow(2, 0, 1)?, 1, 4, false)?;
    assert_close("half-pixel centres", &wide, &row, Tol::LAYER)?;
    assert_close("area", &ops::resize_area(&x, 1, 1)?, &Tensor::new(&[[[[1.5f64]]]], &CPU)?, Tol::LAYER)?;
    let upsampled: Vec<f64> = ops::upsample_nearest2x(&x)?.flatten_all()?.to_vec1()?;
    assert_eq!(upsampled, [0., 0., 1., 1., 0., 0., 1., 1., 2., 2., 3., 3., 2., 2., 3., 3.]);
    Ok(())
}

#[test]
fn running_statistics_are_pytorchs() -> Result<()> {
    let store = ParamStore::seeded(0);
    let bn = BatchNorm::new(1, store.builder(DType::F64, &CPU))?;
    let train = Ctx::new(Mode::Train, 0);
    // Mean 3, population variance 5, unbiased 20 / 3.
    let x = Tensor::new(&[[0f64], [2.], [4.], [6.]], &CPU)?;
    let y = bn.forward(&x, Activation::Identity, &train)?.flatten_all()?.to_vec1::<f64>()?;
    let want = [-3f64, -1., 1., 3.].map(|d| d / (5f64 + 1e-5).sqrt());
    assert!(y.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12), "{y:?}");
    let read = |name: &str| -> Result<f64> { Ok(store.views()[name].to_vec1::<f64>()?[0]) };
    assert!((read("running_mean")? - 0.3).abs() < 1e-12, "0.9 * 0 + 0.1 * 3");
    assert!((read("running_var")? - (0.9 + 0.1 * 20. / 3.)).abs() < 1e-12, "the unbiased variance is kept");
    bn.forward(&x, Activation::Identity, &train)?;
    assert!((read("running_mean")? - 0.57).abs() < 1e-12, "0.9 * 0.3 + 0.1 * 3");

    let eval = bn.forward(&x, Activation::Identity, &Ctx::new(Mode::Eval, 0))?;
    let (mean, var) = (read("running_mean")?, read("running_var")?);
    let want = ((x - mean)? / (var + 1e-5).sqrt())?;
    assert_close("evaluation uses the running statistics", &eval, &want, Tol { rtol: 1e-12, atol: 1e-12 })
}

#[test]
fn only_training_changes_buffers() -> Result<()> {
    let store = ParamStore::seeded(1);
    let vb = store.builder(DType::F32, &CPU);
    let (bn, sn) = (BatchNorm::new(2, vb.pp("bn"))?, SpectralConv2d::new((2, 3), 3, 1, 1, vb.pp("sn"))?);
    let x = Ctx::new(Mode::Eval, 2).randn((2, 2, 4, 4), DType::F32, &CPU)?;
    let pass = |mode| -> Result<Vec<Vec<f32>>> {
        bn.forward(&x, Activation::Relu, &Ctx::new(mode, 0))?;
        sn.forward(&x, Activation::Identity, &Ctx::new(mode, 0))?;
        store.vars(ParamKind::Buffer).iter().map(|(_, v)| Ok(v.flatten_all()?.to_vec1()?)).collect()
    };
    let before = pass(Mode::Eval)?;
    assert_eq!(pass(Mode::Frozen)?, before);
    let after = pass(Mode::Train)?;
    assert!(before.iter().zip(&after).all(|(a, b)| a != b), "means, variances, u and v move in training");
    assert_eq!(pass(Mode::Eval)?, after);
    Ok(())
}

#[test]
fn a_batch_of_one_value_is_a_named_error() -> Result<()> {
    let store = ParamStore::seeded(0);
    let bn = BatchNorm::new(3, store.builder(DType::F32, &CPU))?;
    let x = Tensor::ones((1, 3), DType::F32, &CPU)?;
    let error = bn.forward(&x, Activation::Identity, &Ctx::new(Mode::Train, 0)).map(|_| ());
    assert!(
        error.is_err_and(|e| e.to_string().contains("at least two")),
        "the running variance stays finite"
    );
    assert!(bn.forward(&x, Activation::Identity, &Ctx::new(Mode::Eval, 0)).is_ok());
    Ok(())
}

/// The largest singular value of `w` `(m, n)`, by many power iterations from ones.
fn largest_singular_value(w: &Tensor) -> Result<f64> {
    let mut v = Tensor::ones((w.dim(1)?, 1), DType::F64, &CPU)?;
    let mut sigma = 0.;
    for _ in 0..2000 {
        v = w.t()?.matmul(&w.matmul(&v)?)?;
        let norm = v.sqr()?.sum_all()?.to_scalar::<f64>()?.sqrt();
        v = (v / norm)?;
        sigma = norm.sqrt();
    }
    Ok(sigma)
}

#[test]
fn spectral_norm_divides_by_the_largest_singular_value() -> Result<()> {
    let store = ParamStore::seeded(4);
    let layer = SpectralConv2d::new((2, 3), 2, 1, 0, store.builder(DType::F64, &CPU))?;
    let x = random(8, &[2, 2, 3, 3])?;
    let ctx = Ctx::new(Mode::Train, 0);
    for _ in 0..500 {
        layer.forward(&x, Activation::Identity, &ctx)?;
    }
    let w = &store.views()["weight_bar"];
    let sigma = largest_singular_value(&w.reshape((3, 8))?)?;
    let want = ops::conv2d(&x, &(w / sigma)?, None, ops::Conv2dSpec::new(1, 0))?; // the bias starts at 0
    assert_close(
        "W / sigma",
        &layer.forward(&x, Activation::Identity, &frozen())?,
        &want,
        Tol { rtol: 1e-6, atol: 1e-8 },
    )
}

#[test]
fn spectral_norms_gradient_flows_through_the_weight_alone() -> Result<()> {
    let store = ParamStore::seeded(5);
    let build = |vb: VarBuilder<'_>| SpectralConv2d::new((2, 3), 3, 2, 1, vb);
    let layer = build(store.builder(DType::F64, &CPU))?;
    let x = random(9, &[2, 2, 5, 3])?;
    layer.forward(&x, Activation::Identity, &Ctx::new(Mode::Train, 0))?; // one power iteration, so that u and v are unit vectors
    let grads = score(&layer.forward(&x, Activation::Identity, &frozen())?)?.backward()?;
    for (name, buffer) in store.vars(ParamKind::Buffer) {
        assert!(grads.get(&buffer).is_none(), "{name} must carry no gradient");
    }
    check_layer_at(&store, "weight_bar", |vb| {
        score(&build(vb)?.forward(&x, Activation::Identity, &frozen())?)
    })?;
    check_layer_at(&store, "bias", |vb| score(&build(vb)?.forward(&x, Activation::Identity, &frozen())?))?;
    let constant = build(store.frozen(DType::F64, &CPU))?;
    let shared = |x: &Tensor| {
        Ok((score(&constant.forward(x, Activation::Identity, &frozen())?)? + score(&x.sqr()?)?)?)
    };
    assert_grad("spectral norm: input", &x, shared, Tol::LAYER)
}

/// The gradient to the parameter `name` at its present value.
fn check_layer_at(
    store: &ParamStore,
    name: &str,
    f: impl Fn(VarBuilder<'_>) -> Result<Tensor>,
) -> Result<()> {
    let views = store.views();
    let at = |p: &Tensor| {
        let mut values = views.clone();
        values.insert(name.to_owned(), p.clone());
        f(builder_over(values, DType::F64, &CPU))
    };
    assert_grad(name, &views[name], at, Tol::LAYER)
}

#[test]
fn a_constant_weight_gets_no_gradient() -> Result<()> {
    let store = ParamStore::seeded(6);
    Conv2d::same3x3(2, 2, store.builder(DType::F64, &CPU))?;
    let constant = Conv2d::same3x3(2, 2, store.frozen(DType::F64, &CPU))?;
    let x = Var::from_tensor(&random(1, &[2, 2, 3, 3])?)?;
    let grads = score(&constant.forward(&x)?)?.backward()?;
    assert!(grads.get(&x).is_some());
    assert!(store.vars(ParamKind::Param).iter().all(|(_, v)| grads.get(v).is_none()));
    Ok(())
}
