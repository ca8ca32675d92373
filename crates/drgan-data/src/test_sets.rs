//! Small data sets for the tests of this crate.
use crate::{DataError, Dataset};
use std::sync::Arc;

/// A png of one color with a mark that tells it from others of its color.
pub(crate) fn png(side: u32, rgb: [u8; 3], mark: u32) -> Vec<u8> {
    let image = image::RgbImage::from_fn(side, side, |x, y| {
        image::Rgb(if x + y * side == mark { [255 - rgb[0], rgb[1], 9] } else { rgb })
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A tar of names and contents.
pub(crate) fn tar_of(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

/// `n` images with two captions each; every third names a color; classes 0..n.
pub(crate) fn entries(n: u32) -> Vec<(String, Vec<u8>)> {
    (0..n)
        .flat_map(|i| {
            let shade = (i * 7 % 256) as u8;
            let json = format!("{{\"class_id\": {i}, \"names_colour\": {}, \"other\": [1]}}", i % 3 == 0);
            [
                (format!("k{i:03}.png"), png(8, [shade, 255 - shade, 100], i % 64)),
                (format!("k{i:03}.txt"), format!("thing {i}\na thing {i}\n\n").into_bytes()),
                (format!("k{i:03}.json"), json.into_bytes()),
            ]
        })
        .collect()
}

/// The data set of a tar.
pub(crate) fn open_tar(bytes: &[u8]) -> Result<Dataset, DataError> {
    Dataset::from_tar("set.tar", bytes.to_vec())
}

/// The data set of [`entries`].
pub(crate) fn set(n: u32) -> Arc<Dataset> {
    Arc::new(open_tar(&tar_of(&entries(n))).unwrap())
}
