//! Trains, samples and evaluates DR-GAN; the drgan binary.

pub mod data;
