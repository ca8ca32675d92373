//! KID against its golden value and closed form; pair distance against closed forms.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic as its body does")]
use candle_core::{Device, Tensor};
use drgan_metrics::{kernel_distance, pair_distance};
use drgan_tensor::testing::golden;

fn tensor<const N: usize>(v: &[[f64; 1]; N]) -> Tensor {
    Tensor::new(v, &Device::Cpu).unwrap()
}

#[test]
fn kid_golden() {
    let g = golden(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/metrics.safetensors")).unwrap();
    // `kid_ab` of tests/golden/metrics.json.
    let want = 22.977844358013193;
    let got = kernel_distance(&g["features_a"], &g["features_b"]).unwrap();
    assert!((got - want).abs() < 1e-6 * want, "{got}");
    let back = kernel_distance(&g["features_b"], &g["features_a"]).unwrap();
    assert!((got - back).abs() < 1e-9 * want);
}

#[test]
fn kid_closed_form() {
    // All zeros against all ones: 1 + 8 - 2.
    let got = kernel_distance(&tensor(&[[0.], [0.]]), &tensor(&[[1.], [1.], [1.]])).unwrap();
    assert!((got - 7.).abs() < 1e-12);
    assert!(kernel_distance(&tensor(&[[0.]]), &tensor(&[[1.], [1.]])).is_err());
}

#[test]
fn pairs_closed_form() {
    // Distances between groups: 3 and 4; the pair inside group 0 does not count.
    assert!((pair_distance(&tensor(&[[0.], [1.], [4.]]), &[0, 0, 1]).unwrap() - 3.5).abs() < 1e-12);
    assert!(pair_distance(&tensor(&[[0.], [1.]]), &[5, 5]).is_err());
    assert!(pair_distance(&tensor(&[[0.]]), &[0, 1]).is_err());
}
