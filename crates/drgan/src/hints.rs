//! The next command: what to type after an error, or after a command that has done its work.
use anyhow::Error;
use drgan_data::{Compression, DataError};
use drgan_infer::grid;
use drgan_tensor::device::is_out_of_device_memory;
use drgan_terminal::CommandLine;
use drgan_train::TrainError;
use std::path::Path;

const LESS_DEVICE_MEMORY: &str = "the device's memory is exhausted: lower loader.batch or damsm.batch with --set \
     KEY=VALUE, or sample with a smaller --count; the last checkpoint is kept";

/// What to do about an error, if there is more to say than its message.
pub(crate) fn for_error(error: &Error, program: &str) -> Option<String> {
    if is_out_of_device_memory(&format!("{error:#}")) {
        return Some(LESS_DEVICE_MEMORY.to_owned());
    }
    error.chain().find_map(|cause| {
        let known = cause.downcast_ref::<TrainError>().and_then(|e| for_train_error(e, program));
        let known =
            known.or_else(|| cause.downcast_ref::<DataError>().and_then(|e| for_data_error(e, program)));
        known.or_else(|| cause.downcast_ref::<drgan_infer::Error>().and_then(for_infer_error))
    })
}

/// Whether an error's message says all by itself: those of the workspace's crates quote what caused them, in words that fit.
pub(crate) fn is_complete(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.is::<TrainError>() || cause.is::<DataError>() || cause.is::<drgan_infer::Error>()
}

fn for_train_error(error: &TrainError, program: &str) -> Option<String> {
    let train = CommandLine::new(program, "train");
    let resume = |run: &Path| train.clone().option("--resume", run);
    Some(match error {
        TrainError::RunExists { path } => {
            format!("give another --out, or continue it with: {}", resume(path))
        }
        TrainError::NoRuns { .. } => format!("name one with --run, or train one with: {train}"),
        // Of what lies in the run itself there is no other.
        TrainError::Changed { path, run, .. } if !path.starts_with(run) => {
            "data that were moved are given with --data DIR_OR_TAR".to_owned()
        }
        TrainError::NotTrained { path } | TrainError::EncodersTrained { path } => {
            format!("continue with: {}", resume(path))
        }
        TrainError::NoBackbone { .. } => {
            "give --set image_encoder.weights=FILE; or take the embedded network with \
             --set image_encoder.backbone=efficientnet-lite0 --set image_encoder.side=128"
                .to_owned()
        }
        // A run without its settings or its vocabulary cannot be continued.
        TrainError::FileGone { path, run } if path.ends_with("log.jsonl") => {
            format!("continue with: {}", resume(run))
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
            "--set data.split=by-key divides a set by key; what is there is said by: {}",
            CommandLine::new(program, "data verify").argument(path)
        )),
        DataError::Compressed { path, compression } => Some(unpack(*compression, path)),
        DataError::NotEmbedded => Some("give a data set with --data DIR_OR_TAR".to_owned()),
        _ => None,
    }
}

/// What to do with a compressed archive.
fn unpack(compression: Compression, path: &Path) -> String {
    let (program, command) = match compression {
        Compression::Xz => ("tar", "xJf"),
        Compression::Bzip2 => ("tar", "xjf"),
        Compression::Zstd => ("tar", "--zstd -xf"),
        Compression::Zip => ("unzip", "-q"),
        Compression::SevenZip => ("7z", "x"),
        Compression::Rar => ("unrar", "x"),
        _ => return "unpack it, then give the folder".to_owned(),
    };
    format!("give the folder that this unpacks: {}", CommandLine::new(program, command).argument(path))
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
        let shown = hint(TrainError::EncodersTrained { path: "my $HOME/`id`".into() }).unwrap();
        assert_eq!(shown, "continue with: cargo xtask train --resume 'my $HOME/`id`'");
        let xz = DataError::Compressed { path: "a b.tar.xz".into(), compression: Compression::Xz };
        assert!(hint(xz.into()).unwrap().ends_with("unpacks: tar xJf 'a b.tar.xz'"));
        let few = DataError::TooFew { path: "birds".into(), part: "the set".into(), found: 1 };
        assert!(hint(few.into()).unwrap().ends_with(": cargo xtask data verify birds"));
        let preset = TrainError::PresetSetting { origin: "setting preset=tiny".into() };
        assert!(hint(preset).unwrap().contains("--preset"));
        let large = drgan_infer::Error::Shape { what: grid::SIZE, expected: "less".to_owned(), got: vec![9] };
        assert!(for_error(&large.into(), "drgan").unwrap().contains("--count"));
        assert_eq!(hint(TrainError::Run("no".into())), None);
    }
}
