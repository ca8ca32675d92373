//! The activations there are.
use candle_core::{Result, Shape, bail};

/// What is applied to the result of a convolution or a normalization.
///
/// NaN stays NaN in all of them, and infinities give what the formula says: a network that has diverged stays visibly so.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// No activation: `x` itself.
    Identity,
    /// `max(x, 0)`, with gradient 0 at 0.
    Relu,
    /// `min(max(x, 0), 6)`, with gradient 0 at 0 and at 6.
    Relu6,
    /// `x` above 0, `slope * x` elsewhere.
    LeakyRelu(f64),
    /// Gated linear unit over channels: `a * sigmoid(b)`, `a` the first half of axis 1 and `b` the second.
    Glu,
}

impl Activation {
    /// Channels that come out when `channels` go in.
    pub fn channels_out(self, channels: usize) -> usize {
        if self == Self::Glu { channels / 2 } else { channels }
    }

    /// Whether the gradient follows from the output, so that the input need not be kept.
    pub(crate) fn gradient_from_output(self) -> bool {
        match self {
            Self::Identity | Self::Relu | Self::Relu6 => true,
            Self::LeakyRelu(slope) => slope >= 0.,
            Self::Glu => false,
        }
    }

    /// The output's shape for an input of `dims`.
    pub(crate) fn shape_out(self, dims: &[usize]) -> Shape {
        let mut dims = dims.to_vec();
        dims[1] = self.channels_out(dims[1]);
        Shape::from(dims)
    }

    /// Refuses an odd number of channels for a gated linear unit. `what` is the operation and its argument.
    pub(crate) fn check_channels(self, what: &str, channels: usize) -> Result<()> {
        if self == Self::Glu && !channels.is_multiple_of(2) {
            bail!("{what}: a gated linear unit needs an even number of channels, got {channels}")
        }
        Ok(())
    }
}
