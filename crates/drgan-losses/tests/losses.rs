//! Golden files, finite differences, closed forms and extremes.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic as its body does")]
use candle_core::{DType, Device, Tensor, Var};
use drgan_losses::{
    DisentangledFeatures, Logits, Reconstruction, adversarial, dal, damsm, dnm, kl, reconstruction, sdl,
};
use drgan_tensor::testing::{Tol, assert_close, assert_grad, golden};
use drgan_tensor::{Gaussian, ImageFeatures, Result, TextFeatures};
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
fn logits<'a>(unconditional: &'a Tensor, conditional: &'a Tensor) -> Logits<'a> {
    Logits { unconditional, conditional }
}
fn sdl_of(key: &Tensor, non_key: &Tensor, real: &Tensor) -> Result<Tensor> {
    sdl(DisentangledFeatures { key, non_key, real })
}
fn rebuilt<'a>(image: &'a Tensor, target: &'a Tensor, latent: &'a Gaussian) -> Reconstruction<'a> {
    Reconstruction { image, target, latent }
}
fn scalar(t: &Tensor) -> f64 {
    t.to_dtype(DType::F64).unwrap().to_scalar().unwrap()
}

#[test]
fn adversarial_golden() {
    let g = load("adversarial");
    let v = vars(&g, &["real_uncond", "real_cond", "fake_uncond", "fake_cond", "wrong_cond"]);
    let at = |n: &str| v[n].as_tensor();
    let real = logits(at("real_uncond"), at("real_cond"));
    let fake = logits(at("fake_uncond"), at("fake_cond"));
    let d = adversarial::discriminator_loss(real, fake, Some(at("wrong_cond"))).unwrap();
    check_loss(&g, "loss_d", &d);
    check_loss(&g, "loss_g", &adversarial::generator_loss(fake).unwrap());
    check_grads(&g, &v, &d);
}

#[test]
fn adversarial_extremes() {
    let x = Var::new(&[-1e6f32, 0., 1e6], &Device::Cpu).unwrap();
    let l = adversarial::generator_loss(logits(&x, &x.as_tensor().detach())).unwrap();
    let grad = l.backward().unwrap().get(&x).unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(grad.iter().map(|g| g * 3.).collect::<Vec<_>>(), [-1., -0.5, 0.]);
    assert!(scalar(&l).is_finite());
    let one = Tensor::zeros(1, DType::F64, &Device::Cpu).unwrap();
    let d = adversarial::discriminator_loss(logits(&one, &one), logits(&one, &one), None).unwrap();
    assert!((scalar(&d) - 2f64.ln() * (1. + 2. / 3.)).abs() < 1e-12);
    let none = Tensor::zeros(0, DType::F64, &Device::Cpu).unwrap();
    assert!(adversarial::generator_loss(logits(&none, &one)).is_err());
}

#[test]
fn sdl_golden() {
    let g = load("sdl");
    let v = vars(&g, &["h", "q", "mask_h_logits", "mask_q_logits"]);
    let part = |x: &str, m: &str| -> Result<Tensor> {
        let x = v[x].as_tensor();
        let key = (x * candle_nn::ops::sigmoid(&v[m])?)?;
        sdl_of(&key, &(x - &key)?, &g["real_feature"])
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
    let l = sdl_of(&x, &x, &wave(&[2, 3, 3, 3], 1.)).unwrap();
    assert!((scalar(&l) - 2. * 2f64.ln()).abs() < 1e-12);
    let big = Var::from_tensor(&(x * 1e8).unwrap().to_dtype(DType::F32).unwrap()).unwrap();
    let zero = big.zeros_like().unwrap();
    let l = sdl_of(&big, &zero, &zero).unwrap();
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
    let l = dnm(rebuilt(&at("recon_fake"), &g["fake"], &lf), rebuilt(&at("recon_real"), &g["real"], &lr))
        .unwrap();
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
    let labels = [&ids[..]];
    let ids = if masked { &labels[..] } else { &[] };
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
    let (w, _) = damsm::words_loss(&wave(&[1, 5, 3, 1], 0.), &wave(&[1, 5, 4], 1.), &[2], &[], gm).unwrap();
    assert!(scalar(&w.image_to_text).abs() < 1e-12 && scalar(&w.text_to_image).abs() < 1e-12);
    assert!(damsm::words_loss(&wave(&[1, 5, 3, 1], 0.), &wave(&[1, 5, 4], 1.), &[5], &[], gm).is_err());
}

#[test]
fn finite_differences() {
    let x = wave(&[2, 3, 3, 1], 0.);
    let y = wave(&[2, 3, 3, 1], 2.);
    assert_grad("sdl", &x, |x| sdl_of(x, &(x * &y)?, &y), FD).unwrap();
    assert_grad("dal", &x, |x| dal(x, &y), FD).unwrap();
    let flat = wave(&[2, 3], 0.5);
    assert_grad("kl", &flat, |x| kl(&Gaussian { mu: x.clone(), logvar: x.clone() }), FD).unwrap();
    let values = wave(&[3], 0.5);
    assert_grad(
        "adversarial",
        &values,
        |x| adversarial::discriminator_loss(logits(x, x), logits(x, x), Some(x)),
        FD,
    )
    .unwrap();
    let words = wave(&[2, 3, 5], 0.3);
    let gm = damsm::Gammas::default();
    let w = |r: &Tensor, w: &Tensor| -> Result<Tensor> {
        Ok(damsm::words_loss(r, w, &[5, 2], &[], gm)?.0.image_to_text)
    };
    assert_grad("regions", &x, |x| w(x, &words), FD).unwrap();
    assert_grad("words", &words, |q| w(&x, q), FD).unwrap();
    let s = |x: &Tensor| Ok(damsm::sentence_loss(x, &x.sqr()?, &[], gm)?.text_to_image);
    assert_grad("sentence", &flat, s, FD).unwrap();
}

/// Features of `b` pairs; word counts 4, 2, 4, 2, ...
fn features(b: usize) -> (ImageFeatures, TextFeatures) {
    let image = ImageFeatures { regions: wave(&[b, 5, 3, 2], 0.), code: wave(&[b, 5], 0.4) };
    let (words, sentence) = (wave(&[b, 5, 4], 1.), wave(&[b, 5], 2.));
    let lens: Vec<usize> = (0..b).map(|i| 4 - i % 2 * 2).collect();
    let mask = lens.iter().flat_map(|&n| (0..4).map(move |t| u8::from(t >= n)));
    let mask = Tensor::from_iter(mask, &Device::Cpu).unwrap().reshape((b, 4)).unwrap();
    (image, TextFeatures { words, sentence, mask, lens })
}

#[test]
fn similarity_of_other_numbers() {
    let gm = damsm::Gammas::default();
    let (image, text) = (features(3).0, features(2).1);
    let all = damsm::similarity(&image, &text, gm).unwrap();
    assert_eq!((all.words.dims(), all.sentence.dims()), (&[3, 2][..], &[3, 2][..]));
    let (codes, sentences) = (image.code.to_vec2::<f64>().unwrap(), text.sentence.to_vec2::<f64>().unwrap());
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let words = text.words.to_vec3::<f64>().unwrap();
    let regions = image.regions.flatten_from(2).unwrap().to_vec3::<f64>().unwrap();
    for (i, j) in (0..3).flat_map(|i| (0..2).map(move |j| (i, j))) {
        let cosine = dot(&codes[i], &sentences[j])
            / (dot(&codes[i], &codes[i]) * dot(&sentences[j], &sentences[j])).sqrt();
        let got = all.sentence.to_vec2::<f64>().unwrap()[i][j];
        assert!((got - cosine).abs() < 1e-6, "sentence {i} {j}: {got}, want {cosine}");
        // The formulas, pair by pair: s[t][r], softmax over words, then over regions, then the context's cosine.
        let len = text.lens[j];
        let column = |m: &[Vec<f64>], k: usize| m.iter().map(|row| row[k]).collect::<Vec<_>>();
        let s: Vec<Vec<f64>> = (0..len)
            .map(|t| (0..6).map(|r| dot(&column(&words[j], t), &column(&regions[i], r))).collect())
            .collect();
        let total: f64 = (0..len)
            .map(|t| {
                let share = |r: usize| s[t][r].exp() / (0..len).map(|u| s[u][r].exp()).sum::<f64>();
                let e: Vec<f64> = (0..6).map(|r| (gm.attention * share(r)).exp()).collect();
                let a: Vec<f64> = e.iter().map(|v| v / e.iter().sum::<f64>()).collect();
                let context: Vec<f64> = regions[i].iter().map(|channel| dot(channel, &a)).collect();
                let word = column(&words[j], t);
                let norm = (dot(&context, &context) * dot(&word, &word)).sqrt();
                (gm.words * dot(&context, &word) / norm).exp()
            })
            .sum();
        let got = all.words.to_vec2::<f64>().unwrap()[i][j];
        assert!((got - total.ln()).abs() < 1e-6, "words {i} {j}: {got}, want {}", total.ln());
    }
}

#[test]
fn loss_is_the_sum_of_its_parts() {
    let gm = damsm::Gammas { attention: 2., words: 3., batch: 7. };
    let (image, text) = features(4);
    for ids in [&[][..], &[&[1i64, 2, 1, 3][..]]] {
        let (w, _) = damsm::words_loss(&image.regions, &text.words, &text.lens, ids, gm).unwrap();
        let s = damsm::sentence_loss(&image.code, &text.sentence, ids, gm).unwrap();
        let parts = [w.image_to_text, w.text_to_image, s.image_to_text, s.text_to_image];
        let want: f64 = parts.iter().map(scalar).sum();
        let got = scalar(&damsm::damsm(&image, &text, ids, gm).unwrap());
        assert!(want > 0.1 && (got - want).abs() < 1e-12, "{got}, want {want}");
    }
    let err = damsm::damsm(&features(3).0, &text, &[], gm).unwrap_err().to_string();
    assert!(err.contains("damsm: batch"), "{err}");
    assert!(damsm::damsm(&image, &text, &[&[1, 2]], gm).is_err());
    let with = |regions: &Tensor, code: &Tensor, words: &Tensor, sentence: &Tensor| {
        let image = ImageFeatures { regions: regions.clone(), code: code.clone() };
        let text = TextFeatures { words: words.clone(), sentence: sentence.clone(), ..text.clone() };
        damsm::damsm(&image, &text, &[&[1, 2, 1, 3]], gm)
    };
    let (r, c, w, s) = (&image.regions, &image.code, &text.words, &text.sentence);
    assert_grad("loss: regions", r, |x| with(x, c, w, s), FD).unwrap();
    assert_grad("loss: code", c, |x| with(r, x, w, s), FD).unwrap();
    assert_grad("loss: words", w, |x| with(r, c, x, s), FD).unwrap();
    assert_grad("loss: sentence", s, |x| with(r, c, w, x), FD).unwrap();
}

#[test]
fn labels_of_several_kinds_are_not_joined() {
    let gm = damsm::Gammas::default();
    let code = wave(&[3, 4], 0.);
    let sentence = wave(&[3, 4], 1.);
    let loss = |labels: &[&[i64]]| {
        let found = damsm::sentence_loss(&code, &sentence, labels, gm).unwrap();
        scalar(&found.image_to_text)
    };
    // Pairs 0 and 1 have one class, 1 and 2 one caption; 0 and 2 stay negatives of each other.
    let (classes, captions) = ([7, 7, 8], [4, 5, 5]);
    let scores = |i: usize, j: usize| {
        let of = |t: &Tensor, i: usize| t.to_vec2::<f64>().unwrap()[i].clone();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (a, b) = (of(&code, i), of(&sentence, j));
        gm.batch * dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
    };
    let row = |i: usize, negatives: &[usize]| {
        let own = scores(i, i).exp();
        -(own / (own + negatives.iter().map(|j| scores(i, *j).exp()).sum::<f64>())).ln()
    };
    let want = (row(0, &[2]) + row(1, &[]) + row(2, &[0])) / 3.;
    assert!((loss(&[&classes, &captions]) - want).abs() < 1e-6, "{}", loss(&[&classes, &captions]));
    assert!((loss(&[&classes]) - (row(0, &[2]) + row(1, &[2]) + row(2, &[0, 1])) / 3.).abs() < 1e-6);
}

#[test]
fn without_a_negative_the_loss_is_zero_and_so_is_its_gradient() {
    let (image, text) = features(4);
    let all_alike: &[&[i64]] = &[&[1, 2, 3, 4], &[9; 4]];
    for dtype in [DType::F32, DType::F64] {
        let var = |t: &Tensor| Var::from_tensor(&t.to_dtype(dtype).unwrap()).unwrap();
        let vars = [&image.regions, &image.code, &text.words, &text.sentence].map(var);
        let image = ImageFeatures { regions: vars[0].as_tensor().clone(), code: vars[1].as_tensor().clone() };
        let (words, sentence) = (vars[2].as_tensor().clone(), vars[3].as_tensor().clone());
        let text = TextFeatures { words, sentence, ..text.clone() };
        let loss = damsm::damsm(&image, &text, all_alike, damsm::Gammas::default()).unwrap();
        assert_eq!(loss.to_dtype(DType::F64).unwrap().to_scalar::<f64>().unwrap(), 0.);
        let gradients = loss.backward().unwrap();
        for (i, var) in vars.iter().enumerate() {
            let found = gradients.get(var).expect("it is in the graph").abs().unwrap().sum_all().unwrap();
            let found = found.to_dtype(DType::F64).unwrap().to_scalar::<f64>().unwrap();
            assert_eq!(found, 0., "gradient {i}, {dtype:?}");
        }
    }
}

#[test]
fn dnm_finite_differences() {
    let (x, target) = (wave(&[2, 3, 3, 3], 0.), wave(&[2, 3, 3, 3], 2.));
    let (mu, logvar) = (wave(&[2, 4], 0.2), wave(&[2, 4], 0.9));
    let g = Gaussian { mu: mu.clone(), logvar: logvar.clone() };
    let at = |mu: &Tensor, logvar: &Tensor| Gaussian { mu: mu.clone(), logvar: logvar.clone() };
    let right = rebuilt(&x, &target, &g);
    assert_grad("recon_fake", &x, |v| dnm(rebuilt(v, &target, &g), right), FD).unwrap();
    assert_grad("recon_real", &x, |v| dnm(right, rebuilt(v, &target, &g)), FD).unwrap();
    assert_grad("mu fake", &mu, |v| dnm(rebuilt(&x, &target, &at(v, &logvar)), right), FD).unwrap();
    assert_grad("mu real", &mu, |v| dnm(right, rebuilt(&x, &target, &at(v, &logvar))), FD).unwrap();
    assert_grad("logvar fake", &logvar, |v| dnm(rebuilt(&x, &target, &at(&mu, v)), right), FD).unwrap();
    assert_grad("logvar real", &logvar, |v| dnm(right, rebuilt(&x, &target, &at(&mu, v))), FD).unwrap();
    // The targets are constants.
    let fake = Var::from_tensor(&target).unwrap();
    let recon = Var::from_tensor(&x).unwrap();
    let grads = dnm(rebuilt(&recon, &fake, &g), rebuilt(&recon, &fake, &g)).unwrap().backward().unwrap();
    assert!(grads.get(&fake).is_none() && grads.get(&recon).is_some());
}

#[test]
fn kl_closed_form() {
    let z = Tensor::zeros((1, 3), DType::F64, &Device::Cpu).unwrap();
    assert_eq!(scalar(&kl(&Gaussian { mu: z.clone(), logvar: z.clone() }).unwrap()), 0.);
    assert!((scalar(&kl(&Gaussian { mu: (&z + 2.).unwrap(), logvar: z }).unwrap()) - 2.).abs() < 1e-12);
}
