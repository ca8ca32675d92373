use crate::Result;
use candle_core::{Device, Shape, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Which statistics a pass uses, and whether it leaves anything behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Use the batch's statistics, update the remembered ones, sample.
    Train,
    /// As [`Mode::Train`], but remember nothing: a network that is a constant of somebody else's step.
    Frozen,
    /// Use the remembered statistics; no state changes.
    Eval,
}

impl Mode {
    /// Whether batch statistics are used.
    pub fn batch_statistics(self) -> bool {
        self != Self::Eval
    }

    /// Whether running statistics and power-iteration vectors are written.
    pub fn remembers(self) -> bool {
        self == Self::Train
    }
}

/// What a forward pass may know about its surroundings: the mode and a random source.
#[derive(Clone, Debug)]
pub struct Ctx {
    /// See [`Mode`].
    pub mode: Mode,
    rng: ChaCha8Rng,
}

impl Ctx {
    /// Same seed, same numbers, on every device.
    pub fn new(mode: Mode, seed: u64) -> Self {
        Self { mode, rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// Another stream of the same seed: what draws from it does not move what draws from this one.
    pub fn with_stream(mode: Mode, seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self { mode, rng }
    }

    /// Standard normal noise, drawn on the host so that every device agrees.
    ///
    /// # Errors
    /// Whatever the device reports.
    pub fn randn(&mut self, shape: impl Into<Shape>, device: &Device) -> Result<Tensor> {
        let shape = shape.into();
        let values: Vec<f32> = StandardNormal.sample_iter(&mut self.rng).take(shape.elem_count()).collect();
        Ok(Tensor::from_vec(values, shape, device)?)
    }

    /// The generator itself, for draws that are not tensors.
    pub fn rng(&mut self) -> &mut ChaCha8Rng {
        &mut self.rng
    }

    /// Where the random stream stands, in words drawn; with the seed and stream it is the whole random state.
    pub fn position(&self) -> u128 {
        self.rng.get_word_pos()
    }

    /// Goes to where [`Ctx::position`] was taken.
    pub fn seek(&mut self, position: u128) {
        self.rng.set_word_pos(position);
    }
}
