//! What one step of the GAN reads.
use candle_core::Tensor;
use drgan_tensor::TextFeatures;

/// What one step reads.
#[derive(Clone, Debug)]
pub struct StepBatch {
    /// Real images, one tensor per stage, `(B, 3, side, side)` in `[-1, 1]`.
    pub images: Vec<Tensor>,
    /// Features of the images' captions, as constants.
    pub text: TextFeatures,
    /// Pairs with equal numbers are no mismatches of each other: class ids, or hashes of the records' keys.
    pub groups: Vec<i64>,
}
