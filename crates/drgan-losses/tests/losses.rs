//! Golden files, finite differences, closed forms and extremes.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic as its body does")]
use candle_core::{DType, Device, Tensor, Var};
use drgan_losses::{adversarial, dal, damsm, dnm, kl, reconstruction, sdl};
use drgan_tensor::testing::{Tol, assert_close, assert_grad, golden};
use drgan_tensor::{Gaussian, Result};
use std::collections::HashMap;

const GRAD: Tol = Tol { rtol: 1e-3, atol: 1e-6 };
const FD: Tol = Tol { rtol: 1e-5, atol: 1e-8 };

fn load(name: &str) -> HashMap<String, Tensor> {
    golden(format!("{}/tests/golden/{name}.safetensors", env!("CARGO_MANIFEST_DIR"))).unwrap()
}
fn vars(g: &HashMap<String, Tensor>, names: &[&str]) -> HashMap<String, Var> {
    names.iter().map(|n| ((*n).to_owned(), Var::from_tensor(&g[*n]).unwrap())).collect()
}
fn check_loss(g: &HashMap<String, Tensor>, name: &str, got: &Tensor) {
    assert_close(name, &got.reshape(1).unwrap(), &g[name], Tol::LAYER).unwrap();
}
fn check_grads(g: &HashMap<String, Tensor>, v: &HashMap<String, Var>, loss: &Tensor) {
    let grads = loss.backward().unwrap();
    for (n, var) in v {
        let key = format!("grad_{}", n.trim_end_matches("_logits"));
        assert_close(&key, grads.get(var).unwrap(), &g[&key], GRAD).unwrap();
    }
}
/// Reproducible, spread over `[-1, 1]`, no two alike.
fn wave(dims: &[usize], phase: f64) -> Tensor {
    let n: usize = dims.iter().product();
    let v: Vec<f64> = (0..n).map(|i| (i as f64 * 1.7 + phase).sin()).collect();
    Tensor::from_vec(v, dims, &Device::Cpu).unwrap()
}
fn scalar(t: &Tensor) -> f64 {
    t.to_dtype(DType::F64).unwrap().to_scalar().unwrap()
}

#[test]
fn adversarial_golden() {
    let g = load("adversarial");
    let v = vars(&g, &["real_uncond", "real_cond", "fake_uncond", "fake_cond", "wrong_cond"]);
    let at = |n: &str| v[n].as_tensor();
    let d = adversarial::discriminator_loss(
        at("real_uncond"),
        at("real_cond"),
        at("fake_uncond"),
        at("fake_cond"),
        Some(at("wrong_cond")),
    )
    .unwrap();
    check_loss(&g, "loss_d", &d);
    check_loss(&g, "loss_g", &adversarial::generator_loss(at("fake_uncond"), at("fake_cond")).unwrap());
    check_grads(&g, &v, &d);
}

#[test]
fn adversarial_extremes() {
    let x = Var::new(&[-1e6f32, 0., 1e6], &Device::Cpu).unwrap();
    let l = adversarial::generator_loss(&x, &x.as_tensor().detach()).unwrap();
    let grad = l.backward().unwrap().get(&x).unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(grad.iter().map(|g| g * 3.).collect::<Vec<_>>(), [-1., -0.5, 0.]);
    assert!(scalar(&l).is_finite());
    let one = Tensor::zeros(1, DType::F64, &Device::Cpu).unwrap();
    let d = adversarial::discriminator_loss(&one, &one, &one, &one, None).unwrap();
    assert!((scalar(&d) - 2f64.ln() * (1. + 2. / 3.)).abs() < 1e-12);
    let none = Tensor::zeros(0, DType::F64, &Device::Cpu).unwrap();
    assert!(adversarial::generator_loss(&none, &one).is_err());
}

#[test]
fn sdl_golden() {
    let g = load("sdl");
    let v = vars(&g, &["h", "q", "mask_h_logits", "mask_q_logits"]);
    let part = |x: &str, m: &str| -> Result<Tensor> {
        let x = v[x].as_tensor();
        let key = (x * candle_nn::ops::sigmoid(&v[m])?)?;
        sdl::semantic_disentangling(&key, &(x - &key)?, &g["real_feature"])
    };
    let (h, q) = (part("h", "mask_h_logits").unwrap(), part("q", "mask_q_logits").unwrap());
    check_loss(&g, "loss_h", &h);
    check_loss(&g, "loss_q", &q);
    check_grads(&g, &v, &(h + q).unwrap());
}

#[test]
fn sdl_closed_form_and_extremes() {
    let x = wave(&[1, 3, 1, 5], 0.);
    // Alike halves: both differences are 0, so the loss is 2 ln 2.
    let l = sdl::semantic_disentangling(&x, &x, &wave(&[2, 3, 3, 3], 1.)).unwrap();
    assert!((scalar(&l) - 2. * 2f64.ln()).abs() < 1e-12);
    let big = Var::from_tensor(&(x * 1e8).unwrap().to_dtype(DType::F32).unwrap()).unwrap();
    let zero = big.zeros_like().unwrap();
    let l = sdl::semantic_disentangling(&big, &zero, &zero).unwrap();
    let grad = l.backward().unwrap().get(&big).unwrap().sqr().unwrap().sum_all().unwrap();
    assert!(scalar(&l).is_finite() && scalar(&grad).is_finite());
}

#[test]
fn dnm_and_dal_golden() {
    let g = load("dnm");
    let v = vars(&g, &["recon_fake", "recon_real", "mu_fake", "mu_real", "logvar_fake", "logvar_real"]);
    let at = |n: &str| v[n].as_tensor().clone();
    let (lf, lr) = (
        Gaussian { mu: at("mu_fake"), logvar: at("logvar_fake") },
        Gaussian { mu: at("mu_real"), logvar: at("logvar_real") },
    );
    let l = dnm(&at("recon_fake"), &g["fake"], &lf, &at("recon_real"), &g["real"], &lr).unwrap();
    check_loss(&g, "loss", &l);
    check_grads(&g, &v, &l);
    let g = load("dal");
    let v = vars(&g, &["recon_fake"]);
    let l = dal(&v["recon_fake"], &g["real"]).unwrap();
    check_loss(&g, "loss", &l);
    check_grads(&g, &v, &l);
}

#[test]
fn reconstruction_is_flat_where_equal() {
    let x = Var::new(&[1f32, -2., 3e30], &Device::Cpu).unwrap();
    let y = Tensor::new(&[1f32, 1., 0.], &Device::Cpu).unwrap();
    let l = reconstruction(&x, &y).unwrap();
    let grad = l.backward().unwrap().get(&x).unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(grad.iter().map(|g| (g * 3.).round()).collect::<Vec<_>>(), [0., -1., 1.]);
    assert!(reconstruction(&x, &y.narrow(0, 0, 2).unwrap()).is_err());
}

fn damsm_golden(name: &str, masked: bool) {
    let g = load(name);
    let v = vars(&g, &["regions", "code", "words", "sentence"]);
    let lens: Vec<usize> = g["lengths"].to_vec1::<i64>().unwrap().iter().map(|n| *n as usize).collect();
    let ids = g["class_ids"].to_vec1::<i64>().unwrap();
    let ids = masked.then_some(&ids[..]);
    let gm = damsm::Gammas::default();
    let (w, maps) = damsm::words_loss(&v["regions"], &v["words"], &lens, ids, gm).unwrap();
    let s = damsm::sentence_loss(&v["code"], &v["sentence"], ids, gm).unwrap();
    check_loss(&g, "w_loss0", &w.image_to_text);
    check_loss(&g, "w_loss1", &w.text_to_image);
    check_loss(&g, "s_loss0", &s.image_to_text);
    check_loss(&g, "s_loss1", &s.text_to_image);
    assert_close("attention", &maps[0].unsqueeze(0).unwrap(), &g["attention_0"], Tol::LAYER).unwrap();
    let total = (((w.image_to_text + w.text_to_image).unwrap() + s.image_to_text).unwrap() + s.text_to_image)
        .unwrap();
    check_grads(&g, &v, &total);
}

#[test]
fn damsm_golden_masked() {
    damsm_golden("damsm_loss_masked", true);
}

#[test]
fn damsm_golden_unmasked() {
    damsm_golden("damsm_loss_unmasked", false);
}

#[test]
fn batch_of_one_matches_itself() {
    let gm = damsm::Gammas::default();
    let (w, _) = damsm::words_loss(&wave(&[1, 5, 3, 1], 0.), &wave(&[1, 5, 4], 1.), &[2], None, gm).unwrap();
    assert!(scalar(&w.image_to_text).abs() < 1e-12 && scalar(&w.text_to_image).abs() < 1e-12);
    assert!(damsm::words_loss(&wave(&[1, 5, 3, 1], 0.), &wave(&[1, 5, 4], 1.), &[5], None, gm).is_err());
}

#[test]
fn finite_differences() {
    let x = wave(&[2, 3, 3, 1], 0.);
    let y = wave(&[2, 3, 3, 1], 2.);
    assert_grad("sdl", &x, |x| sdl::semantic_disentangling(x, &(x * &y)?, &y), FD).unwrap();
    assert_grad("dal", &x, |x| dal(x, &y), FD).unwrap();
    let flat = wave(&[2, 3], 0.5);
    assert_grad("kl", &flat, |x| kl(&Gaussian { mu: x.clone(), logvar: x.clone() }), FD).unwrap();
    let logits = wave(&[3], 0.5);
    assert_grad("adversarial", &logits, |x| adversarial::discriminator_loss(x, x, x, x, Some(x)), FD)
        .unwrap();
    let words = wave(&[2, 3, 5], 0.3);
    let gm = damsm::Gammas::default();
    let w = |r: &Tensor, w: &Tensor| -> Result<Tensor> {
        Ok(damsm::words_loss(r, w, &[5, 2], None, gm)?.0.image_to_text)
    };
    assert_grad("regions", &x, |x| w(x, &words), FD).unwrap();
    assert_grad("words", &words, |q| w(&x, q), FD).unwrap();
    let s = |x: &Tensor| Ok(damsm::sentence_loss(x, &x.sqr()?, None, gm)?.text_to_image);
    assert_grad("sentence", &flat, s, FD).unwrap();
}

#[test]
fn kl_closed_form() {
    let z = Tensor::zeros((1, 3), DType::F64, &Device::Cpu).unwrap();
    assert_eq!(scalar(&kl(&Gaussian { mu: z.clone(), logvar: z.clone() }).unwrap()), 0.);
    assert!((scalar(&kl(&Gaussian { mu: (&z + 2.).unwrap(), logvar: z }).unwrap()) - 2.).abs() < 1e-12);
}
