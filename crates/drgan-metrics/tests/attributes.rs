//! Attribute accuracy of real images, and of images changed in known ways.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic as its body does")]
use candle_core::{DType, Device, Tensor};
use drgan_metrics::attributes::{AttributeAccuracy, AttributeScores, Color, Prompt, Reference, Shape};
use rand::SeedableRng;
use rand_distr::{Distribution, Normal};

const SIDE: usize = 64;

/// The 27 real images in the prompts' order.
fn real() -> Vec<Tensor> {
    let sheet = image::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/shapes.png")).unwrap().to_rgb8();
    let crop = |c: usize, s: usize| {
        let mut v = Vec::with_capacity(3 * SIDE * SIDE);
        for k in 0..3 * SIDE * SIDE {
            let (ch, y, x) = (k / (SIDE * SIDE), k / SIDE % SIDE, k % SIDE);
            let p = sheet.get_pixel((c * SIDE + x) as u32, (s * SIDE + y) as u32);
            v.push(f32::from(p.0[ch]) / 127.5 - 1.);
        }
        Tensor::from_vec(v, (3, SIDE, SIDE), &Device::Cpu).unwrap()
    };
    Prompt::all().map(|p| crop(p.color.index(), p.shape.index())).collect()
}
fn references(images: &[Tensor]) -> Vec<Reference> {
    Prompt::all().zip(images).map(|(prompt, image)| Reference { prompt, image: image.clone() }).collect()
}
/// Scores of `change(prompt index, real images)` for every prompt.
fn score(change: impl Fn(usize, &[Tensor]) -> Tensor) -> AttributeScores {
    let real = real();
    let accuracy = AttributeAccuracy::from_references(&references(&real)).unwrap();
    let samples: Vec<_> = Prompt::all().map(|p| (p, change(p.index(), &real))).collect();
    accuracy.score(&samples).unwrap()
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
fn three(s: &AttributeScores) -> [f64; 3] {
    [s.hue, s.lab, s.shape]
}

#[test]
fn prompts_in_order() {
    let all: Vec<_> = Prompt::all().collect();
    assert_eq!((all.len(), Prompt::COUNT), (27, 27));
    assert_eq!(all[0], Prompt { color: Color::Red, shape: Shape::Circle });
    assert_eq!(all[0].to_string(), "a red circle");
    assert_eq!(all[3].to_string(), "an orange circle");
    assert_eq!(all[26], Prompt { color: Color::White, shape: Shape::Heart });
    assert_eq!(all[26].to_string(), "a white heart");
    assert!(all.iter().enumerate().all(|(i, p)| i == p.index()));
    assert!(Color::ALL.iter().enumerate().all(|(i, c)| i == c.index() && c.is_chromatic() == (i < 6)));
}

#[test]
fn real_images_score_one() {
    let s = score(|i, real| real[i].clone());
    assert_eq!(three(&s), [1.; 3]);
    assert_eq!(s.samples.len(), 27);
    for (sample, prompt) in s.samples.iter().zip(Prompt::all()) {
        assert_eq!(sample.prompt, prompt);
        assert_eq!((sample.color, sample.shape), (Some(prompt.color), Some(prompt.shape)));
        assert!(prompt.index() >= 18 || sample.hue_error == Some(0.));
    }
}

#[test]
fn half_as_many_pixels_score_one_too() {
    let half: Vec<_> =
        real().iter().map(|x| x.unsqueeze(0).unwrap().avg_pool2d(2).unwrap().squeeze(0).unwrap()).collect();
    let accuracy = AttributeAccuracy::from_references(&references(&half)).unwrap();
    let samples: Vec<_> = Prompt::all().zip(half).collect();
    assert_eq!(three(&accuracy.score(&samples).unwrap()), [1.; 3]);
}

#[test]
fn swapped_colors_fail_on_color_alone() {
    // The image of each chromatic color is more than 30 degrees away from it.
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
fn slightly_damaged_images_still_score_high() {
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
fn images_of_nothing_score_low() {
    let white = score(|_, _| flat(1.));
    assert_eq!(three(&white), [0.; 3]);
    assert!(white.samples.iter().all(|s| (s.hue_error, s.color, s.shape) == (None, None, None)));
    assert_eq!(three(&score(|_, _| flat(f32::NAN))), [0.; 3]);
    // One color and no silhouette: one in nine, one in three.
    let gray = score(|_, _| flat(0.));
    let random = score(|i, _| noise(0., 0.5, 100 + i as u64));
    for s in [gray, random] {
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
        AttributeAccuracy::from_references(&r).expect_err("refused").to_string()
    };
    let cases: [(&str, Change); 7] = [
        ("none given", &|r| r.clear()),
        ("no image of `a white heart`", &|r| drop(r.pop())),
        ("two images of `a red circle`", &|r| r[1].prompt.shape = Shape::Circle),
        ("(3, 64, 64)", &|r| r[2].image = Tensor::zeros((3, 32, 32), DType::F32, &Device::Cpu).unwrap()),
        ("(3, H, W)", &|r| r[0].image = Tensor::zeros((1, 3, 8, 8), DType::F32, &Device::Cpu).unwrap()),
        ("`a red heart` is white", &|r| r[2].image = flat(1.)),
        ("`a red heart` has no hue", &|r| r[2].image = flat(0.)),
    ];
    for (want, change) in cases {
        let got = refused(change);
        assert!(got.contains(want), "{got}: does not say {want}");
    }
    let accuracy = AttributeAccuracy::from_references(&references(&good)).unwrap();
    let err = |samples: &[(Prompt, Tensor)]| accuracy.score(samples).unwrap_err().to_string();
    assert!(err(&[]).contains("none given"));
    let black_circle = Prompt { color: Color::Black, shape: Shape::Circle };
    assert!(err(&[(black_circle, flat(0.).narrow(2, 0, 63).unwrap())]).contains("(3, 64, 64)"));
    // Without a chromatic color there is no hue to score.
    let black = accuracy.score(&[(black_circle, good[black_circle.index()].clone())]).unwrap();
    assert!(black.hue.is_nan() && black.lab == 1. && black.shape == 1.);
}
