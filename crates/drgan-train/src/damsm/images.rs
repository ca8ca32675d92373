//! Images of a data set as the encoders read them, without augmentation.
use crate::error::TrainError;
use candle_core::Tensor;
use drgan_data::{BatchSpec, Crop, Dataset};

/// Images that pass the backbone at once.
pub(super) const CHUNK: usize = 64;

/// Images of `records` without augmentation, the middle of what the loader would crop at random, `(N, 3, side, side)`, if
/// any decodes; appends which those are to `kept`, and the names of the others to `skipped`.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn load_images(
    data: &Dataset,
    records: &[usize],
    loader: &BatchSpec,
    kept: &mut Vec<usize>,
    skipped: &mut Vec<String>,
) -> Result<Option<Tensor>, TrainError> {
    let loaded = data.load_part(records, loader.loaded_side())?;
    kept.extend(&loaded.indices);
    skipped.extend_from_slice(&loaded.skipped);
    if loaded.images.is_empty() {
        return Ok(None);
    }
    let crop = Crop::central(loader.loaded_side(), loader.finest());
    let images: Vec<_> =
        loaded.images.iter().map(|p| crop.tensor(p, loader.finest())).collect::<candle_core::Result<_>>()?;
    Ok(Some(Tensor::stack(&images, 0)?))
}
