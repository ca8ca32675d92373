use crate::{EfficientNetLite0, InceptionV3, fail};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use drgan_tensor::nn::{Conv2d, Linear};
use drgan_tensor::weights;
use drgan_tensor::{Error, ImageEncoder, ImageFeatures, Result, expect_shape};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What a backbone sees in images. Without a gradient to the image it can be computed once and kept.
#[derive(Clone, Debug)]
pub struct BackboneFeatures {
    /// `(B, Cm, h, w)`.
    pub map: Tensor,
    /// `(B, Cp)`.
    pub pooled: Tensor,
}

/// A frozen image network: no parameter of it is trained, gradients pass through it to the image.
pub trait Backbone {
    /// `images` `(B, 3, H, W)` in `[-1, 1]`.
    ///
    /// # Errors
    /// Another shape.
    fn features(&self, images: &Tensor) -> Result<BackboneFeatures>;

    /// Cm.
    fn map_channels(&self) -> usize;

    /// Cp.
    fn pooled_channels(&self) -> usize;
}

/// Which [`Backbone`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackboneKind {
    /// [`EfficientNetLite0`], `"efficientnet-lite0"`: the default for small runs.
    #[default]
    #[serde(rename = "efficientnet-lite0")]
    EfficientNetLite0,
    /// [`InceptionV3`], `"inception-v3"`: AttnGAN's.
    InceptionV3,
}

/// A [`DamsmImageEncoder`]'s shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageEncoderConfig {
    /// See [`BackboneKind`].
    pub backbone: BackboneKind,
    /// Side that images are resized to first; none: as they come. Inception-v3 has its own, 299.
    pub side: Option<usize>,
    /// Width D of the features, as the text encoder's.
    pub words_dim: usize,
}

impl Default for ImageEncoderConfig {
    fn default() -> Self {
        Self { backbone: BackboneKind::default(), side: None, words_dim: 256 }
    }
}

/// From a backbone's features to the space shared with text; the trained part.
///
/// Names as in AttnGAN: `emb_features.weight` `(D, Cm, 1, 1)`, `emb_cnn_code.{weight,bias}` `(D, Cp)`.
#[derive(Clone, Debug)]
pub struct Projection {
    regions: Conv2d,
    code: Linear,
    channels: (usize, usize),
}

impl Projection {
    /// From maps of `map_channels` and vectors of `pooled_channels` to `dims`.
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

    /// Regions `(B, D, h, w)` and code `(B, D)`.
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

    /// Code `(B, D)` of pooled features `(B, Cp)` alone.
    ///
    /// # Errors
    /// Features of another backbone.
    pub fn code(&self, pooled: &Tensor) -> Result<Tensor> {
        expect_shape("Projection::code: pooled", pooled, &[None, Some(self.channels.1)], "(B, Cp)")?;
        self.code.forward(pooled)
    }
}

/// The image encoder of DAMSM: a frozen backbone and a trained projection.
pub struct DamsmImageEncoder {
    backbone: Box<dyn Backbone + Send + Sync>,
    projection: Projection,
}

impl DamsmImageEncoder {
    /// Of its parts.
    pub fn new(backbone: Box<dyn Backbone + Send + Sync>, projection: Projection) -> Self {
        Self { backbone, projection }
    }

    /// `backbone` gives the frozen weights, `projection` the trained ones.
    ///
    /// # Errors
    /// A configuration value out of range, a parameter missing or of another shape.
    pub fn from_config(
        cfg: &ImageEncoderConfig,
        backbone: VarBuilder<'_>,
        projection: VarBuilder<'_>,
    ) -> Result<Self> {
        if cfg.words_dim == 0 {
            return Err(Error::Config {
                field: "image.words_dim",
                reason: "expected 1 or more, got 0".into(),
            });
        }
        let backbone: Box<dyn Backbone + Send + Sync> = match (cfg.backbone, cfg.side) {
            (BackboneKind::EfficientNetLite0, side) => Box::new(EfficientNetLite0::new(side, backbone)?),
            (BackboneKind::InceptionV3, None) => Box::new(InceptionV3::new(backbone)?),
            (BackboneKind::InceptionV3, Some(side)) => {
                let reason = format!("Inception-v3 resizes to 299 itself; leave it out, got {side}");
                return Err(Error::Config { field: "image.side", reason });
            }
        };
        let (map, pooled) = (backbone.map_channels(), backbone.pooled_channels());
        Ok(Self { projection: Projection::new(map, pooled, cfg.words_dim, projection)?, backbone })
    }

    /// The frozen part, for features to keep.
    pub fn backbone(&self) -> &(dyn Backbone + Send + Sync) {
        self.backbone.as_ref()
    }

    /// The trained part alone, on kept features.
    ///
    /// # Errors
    /// Features of another backbone.
    pub fn project(&self, features: &BackboneFeatures) -> Result<ImageFeatures> {
        self.projection.project(features)
    }

    /// [`Projection::code`]: what ranking needs of a picture, without its regions.
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

/// A builder over a weight file of any float type, as `f32`: safetensors, or a PyTorch checkpoint such as torchvision's.
///
/// # Errors
/// The file is missing or no weight file; the message names it.
pub fn load_backbone_weights(path: impl AsRef<Path>, device: &Device) -> Result<VarBuilder<'static>> {
    floats(weights::open(path.as_ref(), device)?.tensors, device)
}

/// [`load_backbone_weights`] of a file's bytes.
///
/// # Errors
/// Not safetensors.
pub fn backbone_weights_from_bytes(bytes: &[u8], device: &Device) -> Result<VarBuilder<'static>> {
    let tensors = candle_core::safetensors::load_buffer(bytes, device)
        .map_err(|e| fail(format!("backbone weights: {e}")))?;
    floats(tensors, device)
}

fn floats(
    tensors: impl IntoIterator<Item = (String, Tensor)>,
    device: &Device,
) -> Result<VarBuilder<'static>> {
    let as_f32 = |(name, t): (String, Tensor)| Ok((name, t.to_dtype(DType::F32)?));
    let kept = tensors.into_iter().filter(|(_, t)| t.dtype().is_float()); // leaves batch counters out
    Ok(VarBuilder::from_tensors(kept.map(as_f32).collect::<Result<_>>()?, DType::F32, device))
}
