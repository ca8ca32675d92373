//! FID, KID and inception score against golden values and closed forms; diversity against closed forms.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic as its body does")]
use candle_core::{Device, Tensor};
use drgan_metrics::{diversity, fid, inception_score, kid};
use drgan_tensor::testing::golden;

fn tensor<const N: usize>(v: &[[f64; 1]; N]) -> Tensor {
    Tensor::new(v, &Device::Cpu).unwrap()
}

#[test]
fn kid_golden() {
    let g = golden(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/metrics.safetensors")).unwrap();
    // `kid_ab` of tests/golden/metrics.json.
    let want = 22.977844358013193;
    let got = kid(&g["features_a"], &g["features_b"]).unwrap();
    assert!((got - want).abs() < 1e-6 * want, "{got}");
    let back = kid(&g["features_b"], &g["features_a"]).unwrap();
    assert!((got - back).abs() < 1e-9 * want);
}

#[test]
fn kid_closed_form() {
    // All zeros against all ones: 1 + 8 - 2.
    let got = kid(&tensor(&[[0.], [0.]]), &tensor(&[[1.], [1.], [1.]])).unwrap();
    assert!((got - 7.).abs() < 1e-12);
    assert!(kid(&tensor(&[[0.]]), &tensor(&[[1.], [1.]])).is_err());
}

#[test]
fn fid_golden() {
    let g = golden(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/metrics.safetensors")).unwrap();
    let (a, b) = (&g["features_a"], &g["features_b"]);
    // `fid_ab`, `fid_few` (20 rows of 64 columns) and `fid_aa` of tests/golden/metrics.json.
    let close = |got: f64, want: f64| assert!((got - want).abs() < 1e-6 * want, "{got} {want}");
    close(fid(a, b).unwrap(), 323.1525063262194);
    close(fid(b, a).unwrap(), 323.1525063262194);
    close(fid(&a.narrow(0, 0, 20).unwrap(), b).unwrap(), 505.34271757813167);
    assert!(fid(a, a).unwrap().abs() < 1e-6);
}

#[test]
fn fid_closed_form() {
    // One column: (mean difference)^2 + (difference of the deviations)^2 = 100 + 2^2.
    let got = fid(&tensor(&[[-1.], [0.], [1.]]), &tensor(&[[7.], [10.], [13.]])).unwrap();
    assert!((got - 104.).abs() < 1e-9, "{got}");
    assert!(fid(&tensor(&[[0.]]), &tensor(&[[1.], [1.]])).is_err());
    let nan = tensor(&[[f64::NAN], [0.]]);
    assert!(fid(&nan, &tensor(&[[1.], [1.]])).unwrap_err().to_string().contains("finite"));
}

#[test]
fn inception_score_golden() {
    let g = golden(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/metrics.safetensors")).unwrap();
    let got = inception_score(&g["logits"], 10).unwrap();
    assert!(
        (got.mean - 3.7242585372319197).abs() < 1e-6 && (got.std - 0.206266550560897).abs() < 1e-6,
        "{got:?}"
    );
}

#[test]
fn inception_score_closed_form() {
    // Sure of one class each, all classes equally often: the number of classes. All alike: 1.
    let sure = Tensor::new(&[[1e4f32, 0.], [0., 1e4]], &Device::Cpu).unwrap();
    assert!((inception_score(&sure, 1).unwrap().mean - 2.).abs() < 1e-12);
    let split = inception_score(&sure, 2).unwrap();
    assert!((split.mean - 1.).abs() < 1e-12 && split.std < 1e-12, "{split:?}");
    assert!(inception_score(&sure, 3).is_err() && inception_score(&sure, 0).is_err());
}

#[test]
fn diversity_closed_form() {
    // Distances between groups: 3 and 4; the pair inside group 0 does not count.
    assert!((diversity(&tensor(&[[0.], [1.], [4.]]), &[0, 0, 1]).unwrap() - 3.5).abs() < 1e-12);
    assert!(diversity(&tensor(&[[0.], [1.]]), &[5, 5]).is_err());
    assert!(diversity(&tensor(&[[0.]]), &[0, 1]).is_err());
}
