//! What an optimizer does to every parameter after a step: Adam's update, an exponential moving average, and the norm of
//! gradients.
mod all;
mod cpu;
mod cuda;
mod each;
pub(crate) mod reference;
mod step;

pub use all::{adam_update_all, ema_update_all, global_norm, read_scalars};
pub use each::{adam_update, ema_update, sum_of_squares};
pub use step::{AdamStep, AdamUpdate};
