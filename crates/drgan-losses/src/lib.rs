//! Objectives of DR-GAN as plain functions of tensors.
