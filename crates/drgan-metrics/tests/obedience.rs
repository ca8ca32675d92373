//! Obedience on real pictures, and on pictures spoilt in known ways.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic as its body does")]
use candle_core::{DType, Device, Tensor};
use drgan_metrics::obedience::{COLOURS, Obedience, ObedienceScores, Reference, SHAPES, captions};
use rand::SeedableRng;
use rand_distr::{Distribution, Normal};

const SIDE: usize = 64;

/// The 27 real pictures in the captions' order.
fn real() -> Vec<Tensor> {
    let sheet = image::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/shapes.png")).unwrap().to_rgb8();
    let cut = |c: usize, s: usize| {
        let mut v = Vec::with_capacity(3 * SIDE * SIDE);
        for k in 0..3 * SIDE * SIDE {
            let (ch, y, x) = (k / (SIDE * SIDE), k / SIDE % SIDE, k % SIDE);
            let p = sheet.get_pixel((c * SIDE + x) as u32, (s * SIDE + y) as u32);
            v.push(f32::from(p.0[ch]) / 127.5 - 1.);
        }
        Tensor::from_vec(v, (3, SIDE, SIDE), &Device::Cpu).unwrap()
    };
    captions().map(|(c, s, _)| cut(c, s)).collect()
}
fn references(pictures: &[Tensor]) -> Vec<Reference> {
    let of = |((colour, shape, _), image): (_, &Tensor)| Reference { colour, shape, image: image.clone() };
    captions().zip(pictures).map(of).collect()
}
/// Scores of `change(caption index, real pictures)` for every caption.
fn score(change: impl Fn(usize, &[Tensor]) -> Tensor) -> ObedienceScores {
    let real = real();
    let judge = Obedience::from_references(&references(&real)).unwrap();
    let samples: Vec<_> = (0..real.len()).map(|i| (i, change(i, &real))).collect();
    judge.score(&samples).unwrap()
}
fn noise(mean: f32, sigma: f32, seed: u64) -> Tensor {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let normal = Normal::new(mean, sigma).unwrap();
    let v: Vec<f32> = (0..3 * SIDE * SIDE).map(|_| normal.sample(&mut rng)).collect();
    Tensor::from_vec(v, (3, SIDE, SIDE), &Device::Cpu).unwrap()
}
fn flat(v: f32) -> Tensor {
    Tensor::full(v, (3, SIDE, SIDE), &Device::Cpu).unwrap()
}
fn three(s: &ObedienceScores) -> [f64; 3] {
    [s.hue, s.lab, s.shape]
}

#[test]
fn captions_in_order() {
    let all: Vec<_> = captions().collect();
    assert_eq!(all.len(), 27);
    assert_eq!(all[0], (0, 0, "a red circle".into()));
    assert_eq!(all[3], (1, 0, "an orange circle".into()));
    assert_eq!(all[26], (8, 2, "a white heart".into()));
    assert!(all.iter().enumerate().all(|(i, (c, s, _))| i == c * SHAPES.len() + s && *c < COLOURS.len()));
}

#[test]
fn real_pictures_obey() {
    let s = score(|i, real| real[i].clone());
    assert_eq!(three(&s), [1.; 3]);
    assert_eq!(s.details.len(), 27);
    for d in &s.details {
        assert_eq!((d.colour, d.shape), (Some(d.caption / 3), Some(d.caption % 3)));
        assert!(d.caption >= 18 || d.hue_error == Some(0.));
    }
}

#[test]
fn half_as_many_pixels_obey_too() {
    let half: Vec<_> =
        real().iter().map(|x| x.unsqueeze(0).unwrap().avg_pool2d(2).unwrap().squeeze(0).unwrap()).collect();
    let judge = Obedience::from_references(&references(&half)).unwrap();
    let samples: Vec<_> = half.into_iter().enumerate().collect();
    assert_eq!(three(&judge.score(&samples).unwrap()), [1.; 3]);
}

#[test]
fn swapped_colours_fail_on_colour_alone() {
    // Each chromatic name's picture is more than 30 degrees away from it.
    let other = [3, 4, 5, 0, 1, 2, 7, 8, 6];
    assert_eq!(three(&score(|i, real| real[other[i / 3] * 3 + i % 3].clone())), [0., 0., 1.]);
}

#[test]
fn swapped_shapes_fail_on_shape_alone() {
    let s = score(|i, real| real[i / 3 * 3 + (i + 1) % 3].clone());
    assert_eq!(s.shape, 0.);
    assert_eq!(s.hue, 1.);
    assert!(s.lab >= 0.7, "{}", s.lab);
}

#[test]
fn slightly_spoilt_pictures_still_obey() {
    let noisy = score(|i, real| (&real[i] + noise(0., 0.1, i as u64)).unwrap());
    let blurred = score(|i, real| {
        // Means of 5x5: four pixels are lost at the border, which is white.
        let x = real[i].unsqueeze(0).unwrap().avg_pool2d_with_stride(5, 1).unwrap();
        let x = (x - 1.).unwrap().pad_with_zeros(2, 2, 2).unwrap().pad_with_zeros(3, 2, 2).unwrap();
        (x + 1.).unwrap().squeeze(0).unwrap()
    });
    for s in [noisy, blurred] {
        assert!(three(&s).iter().all(|v| *v > 0.9), "{:?}", three(&s));
    }
}

#[test]
fn pictures_of_nothing_score_low() {
    let white = score(|_, _| flat(1.));
    assert_eq!(three(&white), [0.; 3]);
    assert!(white.details.iter().all(|d| (d.hue_error, d.colour, d.shape) == (None, None, None)));
    assert_eq!(three(&score(|_, _| flat(f32::NAN))), [0.; 3]);
    // One colour and no silhouette: one in nine, one in three.
    let grey = score(|_, _| flat(0.));
    let random = score(|i, _| noise(0., 0.5, 100 + i as u64));
    for s in [grey, random] {
        assert_eq!(s.hue, 0.);
        assert!(s.lab <= 0.25 && s.shape <= 0.4, "{:?}", three(&s));
    }
}

#[test]
fn mistakes_are_named() {
    type Change<'a> = &'a dyn Fn(&mut Vec<Reference>);
    let good = real();
    let refused = |change: Change| {
        let mut r = references(&good);
        change(&mut r);
        Obedience::from_references(&r).err().expect("refused").to_string()
    };
    let cases: [(&str, Change); 9] = [
        ("none given", &|r| r.clear()),
        ("no picture of `a white heart`", &|r| drop(r.pop())),
        ("two pictures of `a red circle`", &|r| r[1].shape = 0),
        ("out of range", &|r| r[4].colour = 9),
        ("out of range", &|r| r[4].shape = 3),
        ("(3, 64, 64)", &|r| r[2].image = Tensor::zeros((3, 32, 32), DType::F32, &Device::Cpu).unwrap()),
        ("(3, H, W)", &|r| r[0].image = Tensor::zeros((1, 3, 8, 8), DType::F32, &Device::Cpu).unwrap()),
        ("`a red heart` is white", &|r| r[2].image = flat(1.)),
        ("`a red heart` has no hue", &|r| r[2].image = flat(0.)),
    ];
    for (want, change) in cases {
        let got = refused(change);
        assert!(got.contains(want), "{got}: does not say {want}");
    }
    let judge = Obedience::from_references(&references(&good)).unwrap();
    let err = |samples: &[(usize, Tensor)]| judge.score(samples).unwrap_err().to_string();
    assert!(err(&[]).contains("none given"));
    assert!(err(&[(27, good[0].clone())]).contains("caption index 27"));
    assert!(err(&[(0, flat(0.).narrow(2, 0, 63).unwrap())]).contains("(3, 64, 64)"));
    // Without a chromatic name there is no hue to speak of.
    let black = judge.score(&[(21, good[21].clone())]).unwrap();
    assert!(black.hue.is_nan() && black.lab == 1. && black.shape == 1.);
}
