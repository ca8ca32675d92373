//! Captions of the grids that a run draws on the way.
use crate::config::RunConfig;
use crate::damsm::Encoders;
use drgan_data::{Dataset, Split};

/// Captions of the grid that a run on the embedded set draws; those that have a word it knows.
const EMBEDDED: [&str; 8] = [
    "a red heart",
    "a blue circle",
    "a green square",
    "a yellow face crying",
    "a purple heart",
    "a red apple",
    "a brown dog face",
    "an orange square",
];

/// Of the embedded set those that one would ask for, of another set the first captions of held-out images, or of any if none
/// is held out.
pub(super) fn shown<'a>(cfg: &RunConfig, data: &'a Dataset, encoders: &Encoders) -> Vec<&'a str> {
    let captions: Vec<&str> = if cfg.data.path.is_empty() {
        EMBEDDED.to_vec()
    } else {
        let mut records = data.split(Split::HeldOut);
        if records.is_empty() {
            records = data.split(Split::All);
        }
        let n = records.len().min(EMBEDDED.len());
        (0..n).map(|i| data.records()[records[i * records.len() / n]].captions[0].as_str()).collect()
    };
    captions.into_iter().filter(|c| encoders.captions.embed(&[c]).is_ok()).collect()
}
