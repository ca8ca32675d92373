//! What one step of the GAN reads.
use super::labels::PairLabels;
use candle_core::Tensor;
use drgan_tensor::TextFeatures;

/// What one step reads.
#[derive(Clone, Debug)]
pub struct StepBatch {
    /// Real images, one tensor per stage, `(B, 3, side, side)` in `[-1, 1]`.
    pub images: Vec<Tensor>,
    /// Features of the images' captions, as constants.
    pub text: TextFeatures,
    /// Which pairs of image and caption are no mismatches of each other.
    pub labels: PairLabels,
}
