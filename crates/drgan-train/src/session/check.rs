//! What a run needs of a data set before it begins, or goes on.
use super::progress::Progress;
use crate::config::RunConfig;
use crate::damsm::Encoders;
use crate::error::TrainError;
use crate::run::{Fingerprint, RunDir};
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

/// Checks that a run can go on with these settings on the data, as far as `progress`, to the end of its encoders or of its `gan`. No image is
/// read.
///
/// # Errors
/// As [`check_data`]; [`TrainError::Changed`]: data or vocabulary are not those that the run was begun with; fewer steps or epochs
/// than are done; [`TrainError::EncodersTrained`].
pub fn check_resumed(
    cfg: &RunConfig,
    run: &RunDir,
    data: &Dataset,
    progress: Progress,
    gan: bool,
) -> Result<(), TrainError> {
    if progress == Progress::default() {
        return check_data(cfg, data);
    }
    if progress.gan && !gan {
        return Err(TrainError::EncodersTrained { path: run.path().to_owned() });
    }
    progress.check(cfg)?;
    Loader::check(data, Split::Train, &cfg.loader())?;
    check_continued(cfg, run, data)
}

/// Checks that data and vocabulary are those that a run was begun with.
pub(super) fn check_continued(cfg: &RunConfig, run: &RunDir, data: &Dataset) -> Result<(), TrainError> {
    Fingerprint::check_data(run, data)?;
    Encoders::kept_tokenizer(cfg, run).map(drop)
}
