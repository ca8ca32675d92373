//! The trained part of the image encoder: linear maps to the space shared with text.
use super::backbone::BackboneFeatures;
use candle_core::Tensor;
use drgan_tensor::nn::{Conv2d, Linear};
use drgan_tensor::{ImageFeatures, Result, VarBuilder, expect_shape};

/// Linear maps from a backbone's features to the space that images share with text: the trained part of the image encoder.
///
/// Names as in AttnGAN: `emb_features.weight` `(D, Cm, 1, 1)`, `emb_cnn_code.{weight,bias}` `(D, Cp)`.
#[derive(Clone, Debug)]
pub struct Projection {
    regions: Conv2d,
    code: Linear,
    channels: (usize, usize),
}

impl Projection {
    /// Maps from `map_channels` (Cm) and `pooled_channels` (Cp) to `dims` (D).
    ///
    /// # Errors
    /// A parameter is missing or of another shape.
    pub fn new(map_channels: usize, pooled_channels: usize, dims: usize, vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            regions: Conv2d::pointwise(map_channels, dims, vb.pp("emb_features"))?,
            code: Linear::new(pooled_channels, dims, vb.pp("emb_cnn_code"))?,
            channels: (map_channels, pooled_channels),
        })
    }

    /// Region features and code of images, from their backbone features.
    ///
    /// # Shapes
    /// Regions `(B, D, h, w)` and code `(B, D)` of a map `(B, Cm, h, w)` and pooled features `(B, Cp)`.
    ///
    /// # Errors
    /// Features of another backbone.
    pub fn project(&self, features: &BackboneFeatures) -> Result<ImageFeatures> {
        let (cm, cp) = self.channels;
        expect_shape(
            "Projection::project: map",
            &features.map,
            &[None, Some(cm), None, None],
            "(B, Cm, h, w)",
        )?;
        let b = features.map.dim(0)?;
        expect_shape("Projection::project: pooled", &features.pooled, &[Some(b), Some(cp)], "(B, Cp)")?;
        Ok(ImageFeatures {
            regions: self.regions.forward(&features.map)?,
            code: self.code.forward(&features.pooled)?,
        })
    }

    /// The code `(B, D)` alone, of pooled features `(B, Cp)`.
    ///
    /// # Errors
    /// Features of another backbone.
    pub fn code(&self, pooled: &Tensor) -> Result<Tensor> {
        expect_shape("Projection::code: pooled", pooled, &[None, Some(self.channels.1)], "(B, Cp)")?;
        self.code.forward(pooled)
    }
}
