//! The role of a frozen image network, which network plays it, and its weight files.
use candle_core::{DType, Device, Tensor};
use drgan_tensor::weights::{self, Tensors};
use drgan_tensor::{Error, Result, VarBuilder, builder_over};
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::path::Path;

/// Features that a backbone finds in images. They do not depend on trained parameters, so they can be computed once and kept.
#[derive(Clone, Debug)]
pub struct BackboneFeatures {
    /// A feature map, `(B, Cm, h, w)`: what the regions of [`ImageFeatures`](drgan_tensor::ImageFeatures) are made of.
    pub map: Tensor,
    /// Features of the whole image, `(B, Cp)`.
    pub pooled: Tensor,
}

/// A frozen image network: none of its parameters is trained, and gradients pass through it to the image.
pub trait Backbone: Debug + Send + Sync {
    /// The features of `images`.
    ///
    /// # Shapes
    /// `images` `(B, 3, H, W)` in `[-1, 1]`.
    ///
    /// # Errors
    /// Images of another shape.
    fn features(&self, images: &Tensor) -> Result<BackboneFeatures>;

    /// Channels Cm of [`BackboneFeatures::map`].
    fn map_channels(&self) -> usize;

    /// Length Cp of [`BackboneFeatures::pooled`].
    fn pooled_channels(&self) -> usize;
}

/// Which network is the [`Backbone`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BackboneKind {
    /// [`EfficientNetLite0`](crate::EfficientNetLite0), written `"efficientnet-lite0"`: the default, for small runs.
    #[default]
    #[serde(rename = "efficientnet-lite0")]
    EfficientNetLite0,
    /// [`InceptionV3`](crate::InceptionV3), written `"inception-v3"`: the network of AttnGAN.
    InceptionV3,
}

impl BackboneKind {
    /// The name in configuration files.
    pub fn name(self) -> &'static str {
        match self {
            Self::EfficientNetLite0 => "efficientnet-lite0",
            Self::InceptionV3 => "inception-v3",
        }
    }
}

/// A builder over a weight file of any float type, its tensors brought to `dtype`: safetensors, or a PyTorch checkpoint such
/// as torchvision's.
///
/// # Errors
/// The file is missing or is not a weight file; the message names it.
pub fn load_backbone_weights(
    path: impl AsRef<Path>,
    dtype: DType,
    device: &Device,
) -> Result<VarBuilder<'static>> {
    floats(weights::open(path.as_ref(), device)?.tensors, dtype, device)
}

/// A builder over the bytes of a safetensors file, its tensors brought to `dtype`.
///
/// # Errors
/// The bytes are not safetensors.
pub fn backbone_weights_from_bytes(
    bytes: &[u8],
    dtype: DType,
    device: &Device,
) -> Result<VarBuilder<'static>> {
    let tensors = candle_core::safetensors::load_buffer(bytes, device)
        .map_err(|e| Error::input_because("backbone weights", e))?;
    floats(tensors, dtype, device)
}

fn floats(
    tensors: impl IntoIterator<Item = (String, Tensor)>,
    dtype: DType,
    device: &Device,
) -> Result<VarBuilder<'static>> {
    let cast = |(name, t): (String, Tensor)| Ok((name, t.to_dtype(dtype)?));
    let kept = tensors.into_iter().filter(|(_, t)| t.dtype().is_float()); // leaves batch counters out
    Ok(builder_over(kept.map(cast).collect::<Result<Tensors>>()?, dtype, device))
}
