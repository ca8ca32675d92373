//! What a run needs of a data set before it begins.
use crate::config::RunConfig;
use crate::damsm::Encoders;
use crate::error::TrainError;
use drgan_data::{Dataset, Loader, Split};

/// Checks that a run of these settings can begin on the data: enough images to train on for a batch, settings of batches in
/// range, and, unless the encoders are given, a known word in every caption. No image is read.
///
/// # Errors
/// What the data lacks, by the image or the setting.
pub fn check_data(cfg: &RunConfig, data: &Dataset) -> Result<(), TrainError> {
    Loader::check(data, Split::Train, &cfg.loader())?;
    if cfg.encoders.is_empty() {
        Encoders::tokenizer_of(cfg, data)?;
    }
    Ok(())
}
