//! Layers that several model crates share. Parameter names are PyTorch's, so that state dicts load as they are.
mod batch_norm;
mod blocks;
mod conv;
mod conv_layer;
mod linear;
mod spectral_norm;

pub use batch_norm::BatchNorm;
pub use blocks::{ResidualBlock, UpBlock};
pub use conv::Conv2d;
pub use conv_layer::ConvLayer;
pub use linear::{ConditionNet, Linear, VectorToMap};
pub use spectral_norm::SpectralConv2d;

/// Negative slope of every LeakyReLU of the generator and the discriminators: `max(x, 0.2 x)`.
pub const LEAKY_RELU_SLOPE: f64 = 0.2;
