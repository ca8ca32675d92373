//! Resized images in memory.
use crate::image::Image;
use std::sync::OnceLock;

/// One place per record of a data set, or none where the images of a split are too many.
#[derive(Debug)]
pub(super) struct Cache(Vec<OnceLock<Image>>);

impl Cache {
    /// Places for a data set of `records`, if the `used` of them fit `mib` at `side`.
    pub(super) fn new(records: usize, used: usize, side: usize, mib: usize) -> Self {
        let fits = side.pow(2) * 3 * used <= mib << 20;
        Self((0..if fits { records } else { 0 }).map(|_| OnceLock::new()).collect())
    }

    pub(super) fn get(&self, index: usize) -> Option<&Image> {
        self.0.get(index).and_then(OnceLock::get)
    }

    /// Keeps the image if there is room; gives it back if not.
    pub(super) fn keep(&self, index: usize, image: Image) -> Result<&Image, Image> {
        match self.0.get(index) {
            Some(cell) => Ok(cell.get_or_init(|| image)),
            None => Err(image),
        }
    }
}
