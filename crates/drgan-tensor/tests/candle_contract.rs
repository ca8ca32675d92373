//! What is known of candle 0.11.1: what the project relies on, and the gaps (`gap_*`) it works around.
//!
//! When candle closes a gap its test fails and says which workaround can go.
#![cfg(feature = "testing")]
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{ModuleT, VarBuilder, VarMap};
use drgan_tensor::testing::{Tol, assert_grad};
use drgan_tensor::{Ctx, Mode, Result};

const CPU: Device = Device::Cpu;

fn random(shape: &[usize]) -> Result<Tensor> {
    Ok(Ctx::new(Mode::Eval, 11).randn(shape, DType::F32, &CPU)?.to_dtype(DType::F64)?)
}

fn var(values: &[f64]) -> Result<Var> {
    Ok(Var::new(values, &CPU)?)
}

/// The gradient of `f` at `v`, or nothing where candle lost it.
fn gradient(v: &Var, f: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<Option<Vec<f64>>> {
    let grads = f(v.as_tensor())?.sum_all()?.backward()?;
    Ok(grads.get(v).map(|g| g.flatten_all()?.to_vec1::<f64>()).transpose()?)
}

/// Whether `f` has no usable gradient at `v`: an error, or silence.
fn no_gradient(v: &Var, f: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<bool> {
    Ok(match f(v.as_tensor())?.sum_all()?.backward() {
        Ok(grads) => grads.get(v).is_none(),
        Err(_) => true,
    })
}

#[test]
fn gradients_the_reference_operations_are_built_from() -> Result<()> {
    let x = random(&[2, 3, 5, 4])?;
    let w = random(&[2, 3, 5, 4])?;
    let weighted = |y: Tensor| -> Result<Tensor> { Ok((y.sqr()? * &w)?.sum_all()?) };
    assert_grad("sigmoid", &x, |x| weighted(candle_nn::ops::sigmoid(x)?), Tol::LAYER)?;
    assert_grad("softmax", &x, |x| weighted(candle_nn::ops::softmax(x, 3)?), Tol::LAYER)?;
    assert_grad("tanh", &x, |x| weighted(x.tanh()?), Tol::LAYER)?;
    assert_grad("abs", &x, |x| weighted(x.abs()?), Tol::LAYER)?;
    assert_grad("exp", &x, |x| weighted(x.exp()?), Tol::LAYER)?;
    assert_grad("mean of axes", &x, |x| Ok(x.mean((0, 2, 3))?.sqr()?.sum_all()?), Tol::LAYER)?;
    assert_grad("narrow, pad", &x, |x| weighted(x.narrow(2, 1, 4)?.pad_with_zeros(2, 0, 1)?), Tol::LAYER)?;
    let m = random(&[4, 6])?;
    let flat = |x: &Tensor| x.reshape((30, 4));
    assert_grad("matmul", &x, |x| Ok(flat(x)?.matmul(&m)?.sqr()?.sum_all()?), Tol::LAYER)?;
    assert_grad("an input used twice", &x, |x| weighted((x.sqr()? + x.broadcast_mul(x)?)?), Tol::LAYER)
}

#[test]
fn gap_upsample_nearest_overwrites_an_accumulated_gradient() -> Result<()> {
    let v = Var::ones((1, 1, 2, 2), DType::F64, &CPU)?;
    let g = gradient(&v, |v| v.upsample_nearest2d(4, 4)?.sum_all()? + (v * 10.)?.sum_all()?)?;
    assert_eq!(g, Some(vec![4.; 4]), "the truth is 14: if candle says so, drop ops::upsample_nearest2x");
    Ok(())
}

#[test]
fn gap_resizing_and_pooling_have_no_gradient() -> Result<()> {
    let v = Var::from_tensor(&random(&[1, 2, 9, 9])?)?;
    assert!(no_gradient(&v, |v| v.upsample_bilinear2d(18, 18, true))?, "fixed: see ops::resize_bilinear");
    assert!(no_gradient(&v, |v| v.max_pool2d_with_stride(3, 2))?, "fixed: see ops::max_pool2d");
    assert!(no_gradient(&v, |v| v.avg_pool2d_with_stride(3, 1))?, "fixed: see ops::avg_pool2d");
    Ok(())
}

#[test]
fn gap_max_pool_2x2_passes_on_a_quarter_of_the_gradient() -> Result<()> {
    let v = Var::from_tensor(&Tensor::new(&[[[[1f64, 2.], [3., 4.]]]], &CPU)?)?;
    let g = gradient(&v, |v| v.max_pool2d(2))?;
    assert_eq!(g, Some(vec![0., 0., 0., 0.25]), "the truth is 1 at the maximum: if so, see ops::max_pool2d");
    Ok(())
}

#[test]
fn gap_fused_softmax_and_layer_norm_have_no_gradient() -> Result<()> {
    let v = Var::from_tensor(&random(&[2, 5])?.to_dtype(DType::F32)?)?;
    assert!(no_gradient(&v, candle_nn::ops::softmax_last_dim)?, "fixed: candle_nn::ops::softmax may go");
    let (one, zero) = (Tensor::ones(5, DType::F32, &CPU)?, Tensor::zeros(5, DType::F32, &CPU)?);
    assert!(no_gradient(&v, |v| candle_nn::ops::layer_norm(v, &one, &zero, 1e-5))?, "fixed: it may be used");
    Ok(())
}

#[test]
fn gap_relu_has_slope_one_at_zero() -> Result<()> {
    let g = gradient(&var(&[-1., 0., 1.])?, |v| v.relu())?;
    assert_eq!(g, Some(vec![0., 1., 1.]), "PyTorch's is 0 at 0: if candle's is too, see ops::activate");
    Ok(())
}

#[test]
fn gap_sqrt_at_zero_poisons_a_masked_gradient() -> Result<()> {
    // A norm of a zero vector: 0 * inf. Hence the epsilon inside every root of the losses.
    let g = gradient(&var(&[0., 0.])?, |v| v.sqr()?.sum_all()?.sqrt())?;
    assert!(g.is_some_and(|g| g.iter().all(|v| v.is_nan())), "fixed: the epsilons may go");
    Ok(())
}

#[test]
fn gap_binary_cross_entropy_of_a_large_logit_is_not_finite() -> Result<()> {
    let loss = |logit: f32, label: f32| -> Result<f32> {
        let (x, y) = (Tensor::new(&[logit], &CPU)?, Tensor::new(&[label], &CPU)?);
        Ok(candle_nn::loss::binary_cross_entropy_with_logit(&x, &y)?.to_scalar()?)
    };
    assert!((loss(0., 1.)? - 2f32.ln()).abs() < 1e-6);
    assert!(!loss(200., 1.)?.is_finite(), "the truth is 0: candle's loss is stable now");
    assert!(!loss(-200., 1.)?.is_finite(), "the truth is 200: candle's loss is stable now");
    Ok(())
}

#[test]
fn gap_random_numbers_of_the_cpu_have_no_seed() {
    assert!(CPU.set_seed(1).is_err(), "fixed: still, Ctx draws the same numbers on every device");
}

#[test]
fn gap_batch_norm_of_a_single_value_poisons_the_running_variance() -> Result<()> {
    let vb = VarBuilder::from_varmap(&VarMap::new(), DType::F32, &CPU);
    let bn = candle_nn::batch_norm(2, 1e-5, vb)?;
    bn.forward_t(&Tensor::ones((1, 2), DType::F32, &CPU)?, true)?;
    assert!(bn.running_var().to_vec1::<f32>()?.iter().all(|v| v.is_nan()), "ops::batch_norm names the error");
    Ok(())
}

#[test]
fn gap_gradients_of_constants_are_computed() -> Result<()> {
    let v = Var::from_tensor(&random(&[2, 3, 6, 6])?)?;
    let weight = random(&[4, 3, 3, 3])?;
    let grads = v.conv2d(&weight, 1, 1, 1, 1)?.sum_all()?.backward()?;
    assert!(grads.get(&weight).is_some(), "fixed: conv2d skips a constant weight, as ops::conv2d does");
    let (v, m) = (Var::from_tensor(&random(&[3, 4])?)?, random(&[4, 5])?);
    let grads = v.matmul(&m)?.sum_all()?.backward()?;
    assert!(grads.get(&m).is_some(), "fixed: matmul skips constants");
    Ok(())
}

#[test]
fn gap_legacy_torch_files_cannot_be_read() -> Result<()> {
    // A legacy .pth starts with a pickled magic number (protocol 2, long of ten bytes) and is not a zip archive.
    let path = tempfile::NamedTempFile::new().map_err(candle_core::Error::from)?;
    let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e";
    std::fs::write(path.path(), magic).map_err(candle_core::Error::from)?;
    assert!(candle_core::pickle::read_all(path.path()).is_err(), "fixed: candle reads legacy .pth");
    Ok(())
}

#[test]
fn default_linear_weights_are_not_pytorchs() -> Result<()> {
    let vb = VarBuilder::from_varmap(&VarMap::new(), DType::F32, &CPU);
    let w = candle_nn::linear(400, 400, vb)?.weight().flatten_all()?;
    let std = w.sqr()?.mean_all()?.to_scalar::<f32>()?.sqrt();
    let (he, pytorch) = ((2f32 / 400.).sqrt(), (1f32 / 1200.).sqrt());
    assert!((std / he - 1.).abs() < 0.02, "std {std}; He's {he}; PyTorch's {pytorch}");
    Ok(())
}

#[test]
fn a_view_of_a_variable_follows_its_updates() -> Result<()> {
    // ParamStore::frozen rests on this: a detached tensor shares the variable's storage.
    let v = var(&[1., 2.])?;
    let view = v.as_detached_tensor();
    v.set(&Tensor::new(&[3f64, 4.], &CPU)?)?;
    assert_eq!(view.to_vec1::<f64>()?, [3., 4.]);
    assert!(!view.track_op(), "and takes no part in backpropagation");
    Ok(())
}
