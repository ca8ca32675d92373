//! Adversarial training: the networks with what trains them, the objective, and one step.
mod augment;
mod batch;
mod discriminator;
mod finite;
mod generator;
mod labels;
mod networks;
mod objective;
mod step;
#[cfg(test)]
mod tests;

pub use batch::StepBatch;
pub use discriminator::DiscriminatorTrainer;
pub use finite::Scalar;
pub(crate) use finite::{non_finite, refuse_non_finite, refuse_non_finite_tensors, scalar};
pub use generator::{GeneratorTrainer, RealImageTrainer};
pub use labels::PairLabels;
pub use networks::Networks;
pub(crate) use networks::initial_generator;
pub use objective::Objective;
pub(crate) use step::verify_finite;
#[cfg(test)]
use step::{Trainers, step};
