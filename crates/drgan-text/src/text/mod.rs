//! Captions to features: vocabulary, tokenizer and text encoder.
mod config;
mod encoder;
mod factory;
mod lstm;
mod tokenize;
mod tokenizer;
mod vocabulary;
mod words;

pub use config::{TextEncoderConfig, TextEncoderKind};
pub use encoder::BiLstmEncoder;
pub use lstm::{BiLstm, BiLstmOutput};
pub use tokenize::{AlteredWord, DroppedWords, Tokenize, TokenizedCaption};
pub use tokenizer::Tokenizer;
pub use vocabulary::Vocabulary;
pub use words::WordRule;
