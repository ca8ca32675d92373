//! The DAMSM's image encoder: a frozen backbone followed by the trained projection.
use super::backbone::{Backbone, BackboneFeatures, BackboneKind};
use super::efficientnet::EfficientNetLite0;
use super::inception::InceptionV3;
use super::projection::Projection;
use candle_core::Tensor;
use drgan_tensor::{Error, ImageEncoder, ImageFeatures, Result, VarBuilder};
use serde::{Deserialize, Serialize};

/// Which backbone a [`DamsmImageEncoder`] has, and at which size it sees images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageEncoderConfig {
    /// Which network is the frozen backbone.
    pub backbone: BackboneKind,
    /// Side in pixels to which images are resized before EfficientNet-Lite0. Inception-v3 does not read it: its side is 299.
    pub side: usize,
}

impl Default for ImageEncoderConfig {
    fn default() -> Self {
        Self { backbone: BackboneKind::default(), side: 64 }
    }
}

impl ImageEncoderConfig {
    /// Builds the backbone from its weights.
    ///
    /// # Errors
    /// A side of 0; a parameter missing or of another shape.
    pub fn backbone(&self, vb: VarBuilder<'_>) -> Result<Box<dyn Backbone>> {
        Ok(match self.backbone {
            BackboneKind::EfficientNetLite0 => Box::new(EfficientNetLite0::new(Some(self.side), vb)?),
            BackboneKind::InceptionV3 => Box::new(InceptionV3::new(vb)?),
        })
    }
}

/// The image encoder of the DAMSM: a frozen backbone and a trained projection.
#[derive(Debug)]
pub struct DamsmImageEncoder {
    backbone: Box<dyn Backbone>,
    projection: Projection,
}

impl DamsmImageEncoder {
    /// Joins a backbone and the projection of its features.
    pub fn new(backbone: Box<dyn Backbone>, projection: Projection) -> Self {
        Self { backbone, projection }
    }

    /// Builds both parts: `backbone` gives the frozen weights, `projection` the trained ones. Features are `dims` (D) wide,
    /// as the text encoder's.
    ///
    /// # Errors
    /// A configuration value out of range; a parameter missing or of another shape.
    pub fn from_config(
        cfg: &ImageEncoderConfig,
        dims: usize,
        backbone: VarBuilder<'_>,
        projection: VarBuilder<'_>,
    ) -> Result<Self> {
        if dims == 0 {
            return Err(Error::Config {
                field: "text.words_dim",
                reason: "expected 1 or more, got 0".into(),
            });
        }
        let backbone = cfg.backbone(backbone)?;
        let (map, pooled) = (backbone.map_channels(), backbone.pooled_channels());
        Ok(Self { projection: Projection::new(map, pooled, dims, projection)?, backbone })
    }

    /// The frozen part, whose features can be kept.
    pub fn backbone(&self) -> &dyn Backbone {
        self.backbone.as_ref()
    }

    /// The trained part alone, on features that were kept.
    ///
    /// # Errors
    /// Features of another backbone.
    pub fn project(&self, features: &BackboneFeatures) -> Result<ImageFeatures> {
        self.projection.project(features)
    }

    /// The code `(B, D)` of pooled features `(B, Cp)`: all that ranking needs of an image.
    ///
    /// # Errors
    /// Features of another backbone.
    pub fn code(&self, pooled: &Tensor) -> Result<Tensor> {
        self.projection.code(pooled)
    }
}

impl ImageEncoder for DamsmImageEncoder {
    fn encode_image(&self, images: &Tensor) -> Result<ImageFeatures> {
        self.project(&self.backbone.features(images)?)
    }
}
