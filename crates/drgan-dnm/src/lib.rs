//! Discriminators of DR-GAN with their Distribution Normalization Module.
