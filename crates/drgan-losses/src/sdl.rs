//! Semantic Disentangling Loss (SDL): key features should resemble real ones more than non-key features do (docs/model.md,
//! Objectives).
use candle_core::Tensor;
use drgan_tensor::{Error, Result, expect_shape, ops};

/// Both parts of a stage's features and the features of real images, each `(B, C, H, W)`.
#[derive(Clone, Copy, Debug)]
pub struct DisentangledFeatures<'a> {
    /// The key part (+): what the caption speaks of.
    pub key: &'a Tensor,
    /// The non-key part (-): the rest.
    pub non_key: &'a Tensor,
    /// Features of real images (*), a constant of the objective; they may differ in all dimensions but C.
    pub real: &'a Tensor,
}

/// `SP(|mu(+) - mu(*)| - |mu(-) - mu(*)|) + SP(|sigma(+) - sigma(*)| - |sigma(-) - sigma(*)|)`, for the generator, where SP is the
/// softplus and mu and sigma are each channel's mean and standard deviation over batch and space: the statistics of the key
/// features should be nearer to those of the real features than those of the non-key features are.
///
/// # Paper
/// Section III (docs/divergences.md, SDL).
///
/// # Shapes
/// See [`DisentangledFeatures`]; the result is a scalar.
///
/// # Errors
/// Features of another rank, with other channels, or without elements.
pub fn sdl(features: DisentangledFeatures<'_>) -> Result<Tensor> {
    let DisentangledFeatures { key, non_key, real } = features;
    const DOC: &str = "(B, C, H, W), C alike in key, non_key and real";
    expect_shape("sdl: key", key, &[None; 4], DOC)?;
    let c = key.dim(1)?;
    expect_shape("sdl: non_key", non_key, &[None, Some(c), None, None], DOC)?;
    expect_shape("sdl: real", real, &[None, Some(c), None, None], DOC)?;
    if let Some(x) = [key, non_key, real].into_iter().find(|x| x.elem_count() == 0) {
        let expected = format!("{DOC}, none empty");
        return Err(Error::Shape { what: "sdl", expected, got: x.dims().to_vec() });
    }
    Ok(ops::moments_contrast(key, non_key, &real.detach())?)
}
