//! How a forward pass is made: its mode and its source of random numbers.
use crate::Result;
use candle_core::{DType, Device, Shape, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Which statistics a forward pass normalizes by, and whether it changes the network's buffers.
///
/// | mode | batch norm uses | running statistics, spectral-norm vectors | latents are sampled | dropout |
/// |---|---|---|---|---|
/// | `Train` | the batch's statistics | updated | yes | yes |
/// | `Frozen` | the batch's statistics | left alone | yes | no |
/// | `Eval` | running statistics | left alone | no, the mean is taken | no |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// A training step of this network: batch statistics, buffers updated.
    Train,
    /// A pass of this network within the training step of another: as [`Mode::Train`], with buffers left alone.
    Frozen,
    /// Inference: running statistics, nothing changes.
    Eval,
}

impl Mode {
    /// Whether batch norm uses the batch's own statistics.
    pub fn batch_statistics(self) -> bool {
        self != Self::Eval
    }

    /// Whether a pass updates running statistics and the vectors of spectral norm's power iteration.
    pub fn updates_running_stats(self) -> bool {
        self == Self::Train
    }
}

/// What a forward pass knows of its surroundings: the mode and a source of random numbers.
///
/// ```
/// use candle_core::{DType, Device};
/// use drgan_tensor::{Ctx, Mode};
///
/// let draw = |dtype| -> drgan_tensor::Result<Vec<f64>> {
///     let noise = Ctx::new(Mode::Train, 7).randn(3, dtype, &Device::Cpu)?;
///     Ok(noise.to_dtype(DType::F64)?.to_vec1()?)
/// };
/// assert_eq!(draw(DType::F32)?, draw(DType::F64)?, "the same numbers in every type");
/// # Ok::<(), drgan_tensor::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ctx {
    /// Which statistics are used and whether buffers are updated.
    pub mode: Mode,
    rng: ChaCha8Rng,
}

impl Ctx {
    /// A source of random numbers that depend on `seed` only, not on the device.
    pub fn new(mode: Mode, seed: u64) -> Self {
        Self { mode, rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// Stream number `stream` of `seed`: streams are independent, and drawing from one does not advance another.
    pub fn with_stream(mode: Mode, seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self { mode, rng }
    }

    /// Standard normal noise of the given shape, type and device.
    ///
    /// Drawn on the host with the precision of f32, then converted and moved, so that every device and type gets the same
    /// numbers.
    ///
    /// # Errors
    /// A type that does not hold floating-point numbers; what the device reports.
    pub fn randn(&mut self, shape: impl Into<Shape>, dtype: DType, device: &Device) -> Result<Tensor> {
        let shape = shape.into();
        let values: Vec<f32> = StandardNormal.sample_iter(&mut self.rng).take(shape.elem_count()).collect();
        Ok(Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?)
    }

    /// The generator itself, for draws that are not tensors.
    pub fn rng(&mut self) -> &mut ChaCha8Rng {
        &mut self.rng
    }

    /// How many 32-bit words were drawn: together with seed and stream the whole state of the generator.
    pub fn position(&self) -> u128 {
        self.rng.get_word_pos()
    }

    /// Continues from `position`, which [`Ctx::position`] gave for the same seed and stream.
    pub fn seek(&mut self, position: u128) {
        self.rng.set_word_pos(position);
    }
}
