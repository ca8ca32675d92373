//! R-precision against cases whose answer is known.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic as its body does")]
use candle_core::{DType, Device, Tensor};
use drgan_metrics::RPrecision;

/// R-precision of texts that are not all the same.
fn r_precision(
    i: &Tensor,
    s: &Tensor,
    texts: &[String],
    candidates: usize,
    seed: u64,
) -> drgan_tensor::Result<RPrecision> {
    drgan_metrics::r_precision(i, s, texts, candidates, seed).map(|found| found.expect("texts differ"))
}

fn eye(n: usize) -> Tensor {
    Tensor::eye(n, DType::F32, &Device::Cpu).unwrap()
}
fn texts(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("caption {i}")).collect()
}
fn rows<const N: usize, const D: usize>(v: &[[f64; D]; N]) -> Tensor {
    Tensor::new(v, &Device::Cpu).unwrap()
}

#[test]
fn perfect_whatever_the_scale() {
    let scales = Tensor::arange(1f32, 13., &Device::Cpu).unwrap().reshape((12, 1)).unwrap();
    let r = r_precision(&eye(12), &eye(12).broadcast_mul(&scales).unwrap(), &texts(12), 5, 0).unwrap();
    assert_eq!((r.image_to_text, r.text_to_image, r.queries, r.candidates), (1., 1., 12, 5));
    // More asked for than there are.
    let r = r_precision(&eye(12), &eye(12), &texts(12), 100, 0).unwrap();
    assert_eq!((r.queries, r.candidates), (12, 12));
}

#[test]
fn the_two_directions_differ() {
    // Image 0 prefers sentence 1; every sentence finds its image.
    let images = rows(&[[1., 1.], [0., 1.]]);
    let sentences = rows(&[[1., 0.], [0.4, 1.]]);
    let r = r_precision(&images, &sentences, &texts(2), 2, 0).unwrap();
    assert_eq!((r.image_to_text, r.text_to_image), (0.5, 1.));
    // Sentence 1 prefers image 0; every image finds its sentence.
    let images = rows(&[[1., 0.2], [0., 1.]]);
    let sentences = rows(&[[1., 1.], [0.9, 1.]]);
    let r = r_precision(&images, &sentences, &texts(2), 2, 0).unwrap();
    assert_eq!((r.image_to_text, r.text_to_image), (1., 0.5));
}

#[test]
fn ties_and_zeros_count_against() {
    for v in [1., 0.] {
        let same = rows(&[[v, v], [v, v], [v, v]]);
        let r = r_precision(&same, &same, &texts(3), 3, 0).unwrap();
        assert_eq!((r.image_to_text, r.text_to_image, r.queries), (0., 0., 3));
    }
}

#[test]
fn codes_that_are_not_finite_are_refused() {
    for v in [f64::NAN, f64::INFINITY] {
        let bad = rows(&[[1., 0.], [v, 0.], [0., 1.]]);
        let good = rows(&[[1., 0.], [0.5, 0.5], [0., 1.]]);
        let e = r_precision(&bad, &good, &texts(3), 3, 0).unwrap_err().to_string();
        assert!(e.contains("images: row 1") && e.contains("not finite"), "{e}");
        let e = r_precision(&good, &bad, &texts(3), 3, 0).unwrap_err().to_string();
        assert!(e.contains("sentences: row 1"), "{e}");
    }
}

#[test]
fn identical_texts_are_no_mismatches() {
    // Records 0 and 1 share text and codes: a tie if they met.
    let codes = rows(&[[1., 0.], [1., 0.], [0., 1.]]);
    let t = ["a", "a", "b"].map(String::from);
    let r = r_precision(&codes, &codes, &t, 3, 0).unwrap();
    assert_eq!((r.image_to_text, r.text_to_image, r.queries, r.candidates), (1., 1., 3, 3));
    // Nothing to tell apart is no figure.
    let same = ["a", "a", "a"].map(String::from);
    assert_eq!(drgan_metrics::r_precision(&codes, &codes, &same, 3, 0).unwrap(), None);
}

#[test]
fn chance_level_and_seed() {
    let codes = |phase: f64| {
        let v: Vec<f64> = (0..400 * 8).map(|i| (f64::from(i) * f64::from(i) * 0.37 + phase).sin()).collect();
        Tensor::from_vec(v, (400, 8), &Device::Cpu).unwrap()
    };
    let (a, b) = (codes(0.), codes(1.3).flip(&[0]).unwrap());
    let at = |seed| r_precision(&a, &b, &texts(400), 4, seed).unwrap();
    let r = at(7);
    assert_eq!(r, at(7));
    assert!((1..20).any(|s| at(s) != r));
    assert!((r.image_to_text - 0.25).abs() < 0.1 && (r.text_to_image - 0.25).abs() < 0.1, "{r:?}");
}

#[test]
fn mistakes_are_named() {
    let err = |i: &Tensor, s: &Tensor, n: usize, c: usize| {
        r_precision(i, s, &texts(n), c, 0).unwrap_err().to_string()
    };
    assert!(err(&eye(3), &eye(3), 3, 1).contains("candidates"));
    assert!(err(&eye(3), &eye(3), 2, 2).contains("r_precision: images"));
    assert!(err(&eye(3), &eye(4), 3, 2).contains("r_precision: sentences"));
    assert!(err(&eye(1), &eye(1), 1, 2).contains("at least 2"));
    let none = Tensor::zeros((2, 0), DType::F32, &Device::Cpu).unwrap();
    assert!(err(&none, &none, 2, 2).contains("(N, D)"));
}
