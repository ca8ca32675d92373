//! Layers that several model crates share. Parameter names are PyTorch's, so that state dicts load as they are.
pub mod batch_norm;
pub mod blocks;
pub mod conv;
pub mod conv_layer;
pub mod linear;
pub mod spectral_norm;

pub use batch_norm::BatchNorm;
pub use blocks::{ResidualBlock, UpBlock};
pub use conv::Conv2d;
pub use conv_layer::ConvLayer;
pub use linear::{ConditionNet, Linear, VectorToMap};
pub use spectral_norm::SpectralConv2d;

/// Negative slope of every LeakyReLU of the generator and the discriminators: `max(x, 0.2 x)`.
pub const LEAKY_RELU_SLOPE: f64 = 0.2;
