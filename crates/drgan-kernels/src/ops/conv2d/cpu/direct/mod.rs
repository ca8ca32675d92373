//! Direct convolution: sums of shifted rows, without an im2col matrix.
//!
//! Bands of rows of some images are copied once, with their padding, one after the other. Seen as one long row, output
//! pixel `p` of tap `(u, v)` reads input `p + u cols + v`, always contiguous; pixels beside the map compute what nobody
//! reads. With stride 2 the copy is divided into its four *phases* (even and odd rows and columns: the polyphase
//! decomposition), each of which a tap reads without a stride; the gradient of the input comes in the same phases, and is
//! put together again.
mod forward;
mod gradient;
mod phases;
#[cfg(test)]
mod tests;
mod weights;

pub(crate) use forward::forward;
pub(crate) use gradient::input_gradient;
pub(crate) use weights::{takes as has_weight_gradient, weight_gradient};
