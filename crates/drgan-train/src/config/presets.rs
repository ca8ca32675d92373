//! The presets, by name.
use super::merge::{nearest, parse};
use crate::error::TrainError;
use toml::Table;

/// The presets by name, with their files.
pub const PRESETS: [(&str, &str); 5] = [
    ("emoji-64", include_str!("../../presets/emoji-64.toml")),
    ("emoji-256", include_str!("../../presets/emoji-256.toml")),
    ("birds", include_str!("../../presets/birds.toml")),
    ("coco", include_str!("../../presets/coco.toml")),
    ("tiny", include_str!("../../presets/tiny.toml")),
];

/// The settings of a preset, and where errors say they come from.
///
/// # Errors
/// An unknown name; the nearest is suggested.
pub(super) fn preset(name: &str) -> Result<(Table, String), TrainError> {
    let Some((name, text)) = PRESETS.iter().find(|(n, _)| *n == name) else {
        let names = PRESETS.map(|(n, _)| n);
        let all = names.join(", ");
        let meant = match nearest(name, &names) {
            Some(meant) => format!("did you mean `{meant}`? There are: {all}"),
            None => format!("there are: {all}"),
        };
        return Err(TrainError::Config(format!("unknown preset `{name}`; {meant}")));
    };
    let origin = format!("preset {name}");
    Ok((parse(text, &origin)?, origin))
}
