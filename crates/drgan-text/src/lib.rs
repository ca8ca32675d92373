//! Text and image encoders of DR-GAN: tokenizer, bi-directional LSTM, Inception-v3, EfficientNet-Lite0.
