//! Generator of DR-GAN with its Semantic Disentangling Module.
