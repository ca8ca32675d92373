//! The next command: what to type after an error, or after a command that has done its work.
use anyhow::Error;
use drgan_data::{Compression, DataError};
use drgan_infer::grid;
use drgan_train::TrainError;
use std::path::Path;

/// Names the program in the commands that it shows, where it was started through another one.
const INVOKED_AS: &str = "DRGAN_INVOKED_AS";

/// How the user calls this program: `drgan`, or what started it says, e.g. `cargo xtask`.
pub(crate) fn program() -> String {
    std::env::var(INVOKED_AS).unwrap_or_else(|_| "drgan".to_owned())
}

/// What to do about an error, if there is more to say than its message.
pub(crate) fn for_error(error: &Error, program: &str) -> Option<String> {
    error.chain().find_map(|cause| {
        let known = cause.downcast_ref::<TrainError>().and_then(|e| for_train_error(e, program));
        let known =
            known.or_else(|| cause.downcast_ref::<DataError>().and_then(|e| for_data_error(e, program)));
        known.or_else(|| cause.downcast_ref::<drgan_infer::Error>().and_then(for_infer_error))
    })
}

fn for_train_error(error: &TrainError, program: &str) -> Option<String> {
    Some(match error {
        TrainError::RunExists { path } => {
            format!("continue it with: {program} train --resume {}; or give another --out", path.display())
        }
        TrainError::NoRuns { .. } => format!("train one with: {program} train; or name one with --run"),
        TrainError::NotTrained { path } => {
            format!("continue with: {program} train --resume {}", path.display())
        }
        TrainError::EncodersTrained { path } => {
            format!("continue with: {program} train --resume {}", path.display())
        }
        TrainError::NoBackbone { .. } => {
            "give --set image_encoder.weights=FILE; or take the embedded network with \
             --set image_encoder.backbone=efficientnet-lite0 --set image_encoder.side=128"
                .to_owned()
        }
        TrainError::Diverged { phase, .. } => match *phase {
            "damsm" => "a smaller learning rate: --set damsm.opt.lr=...".to_owned(),
            _ => {
                "smaller learning rates: --set generator_opt.lr=... --set discriminator_opt.lr=...".to_owned()
            }
        },
        TrainError::Memory { .. } => "lower it with --set KEY=VALUE; --force starts all the same".to_owned(),
        TrainError::PresetSetting { .. } => "choose the preset with --preset NAME".to_owned(),
        TrainError::Data(e) => return for_data_error(e, program),
        _ => return None,
    })
}

fn for_infer_error(error: &drgan_infer::Error) -> Option<String> {
    match error {
        drgan_infer::Error::Shape { what: grid::SIZE, .. } => {
            Some("lower --count, or give fewer captions and draw the others to another --out".to_owned())
        }
        _ => None,
    }
}

pub(crate) fn for_data_error(error: &DataError, program: &str) -> Option<String> {
    match error {
        DataError::TooFew { path, .. } => Some(format!(
            "{program} data verify {path} says what is there; --set data.split=by-key divides a set by key"
        )),
        DataError::Compressed { path, compression } => Some(unpack(*compression, path)),
        DataError::NotEmbedded => Some("give a data set with --data DIR_OR_TAR".to_owned()),
        _ => None,
    }
}

/// What to do with a compressed archive.
fn unpack(compression: Compression, path: &Path) -> String {
    let with = match compression {
        Compression::Xz => "tar xJf",
        Compression::Bzip2 => "tar xjf",
        Compression::Zstd => "tar --zstd -xf",
        Compression::Zip => "unzip",
        Compression::SevenZip => "7z x",
        Compression::Rar => "unrar x",
        _ => return "unpack it, then give the folder".to_owned(),
    };
    format!("unpack it with `{with} {}`, then give the folder", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn the_next_command_follows_the_error_by_the_name_the_user_typed() {
        let path = PathBuf::from("runs/a");
        let hint = |e: TrainError| for_error(&Error::new(e).context("while trying"), "cargo xtask");
        let shown = hint(TrainError::NotTrained { path: path.clone() }).unwrap();
        assert_eq!(shown, "continue with: cargo xtask train --resume runs/a");
        assert!(hint(TrainError::RunExists { path }).unwrap().contains("--out"));
        let few = DataError::TooFew { path: "birds".into(), part: "the set".into(), found: 1 };
        assert!(hint(few.into()).unwrap().starts_with("cargo xtask data verify birds"));
        let preset = TrainError::PresetSetting { origin: "setting preset=tiny".into() };
        assert!(hint(preset).unwrap().contains("--preset"));
        let large = drgan_infer::Error::Shape { what: grid::SIZE, expected: "less".to_owned(), got: vec![9] };
        assert!(for_error(&large.into(), "drgan").unwrap().contains("--count"));
        assert_eq!(hint(TrainError::Run("no".into())), None);
    }
}
