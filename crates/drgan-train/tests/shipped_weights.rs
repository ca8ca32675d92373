//! The EfficientNet-Lite0 that is shipped in f16 is the network of the golden file, to f16's precision.
use candle_core::{DType, Device, Tensor};
use drgan_tensor::testing::golden;
use drgan_text::{Backbone, EfficientNetLite0, load_backbone_weights};

#[test]
fn features_of_the_golden_photographs() -> drgan_tensor::Result<()> {
    let here = env!("CARGO_MANIFEST_DIR");
    let weights = format!("{here}/assets/efficientnet_lite0_imagenet_f16.safetensors");
    let net = EfficientNetLite0::new(None, load_backbone_weights(weights, DType::F32, &Device::Cpu)?)?;
    let file = golden(format!("{here}/../drgan-text/tests/golden/efficientnet_lite0.safetensors"))?;
    let pixels = file["image_u8_hwc"].to_dtype(DType::F32)?.permute((0, 3, 1, 2))?.contiguous()?;
    let images = ((pixels - 127.5)? / 127.5)?;
    let got = net.features(&images)?.pooled;
    let (got, want) = (rows(&got)?, rows(&file["features"])?);
    for (i, (g, w)) in got.iter().zip(&want).enumerate() {
        let norm = w.iter().map(|v| v * v).sum::<f32>().sqrt();
        let error = g.iter().zip(w).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt() / norm;
        // Fifty layers of weights with eleven bits each: 0.6 % measured.
        assert!(error < 1e-2, "photograph {i}: relative error {error}");
    }
    // The photographs differ far more than f16 does.
    let apart = got[0].iter().zip(&want[1]).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
    assert!(apart > 1., "{apart}");
    Ok(())
}

fn rows(t: &Tensor) -> drgan_tensor::Result<Vec<Vec<f32>>> {
    Ok(t.to_vec2::<f32>()?)
}
