//! The next command: what to type after an error, or after a command that has done its work.
use crate::cli::{Command, RunArgs};
use anyhow::Error;
use drgan_data::{Compression, DataError};
use drgan_infer::grid;
use drgan_tensor::device::is_out_of_device_memory;
use drgan_terminal::{CommandLine, quoted};
use drgan_train::TrainError;
use std::path::Path;

/// What a command computes, which decides what makes it smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Work {
    /// A new run.
    Begins,
    /// A run that was begun, whose batches stay as they are.
    Continues,
    Evaluates,
    /// A grid of this many images per caption.
    DrawsGrid(u16),
    /// Images a few at a time.
    DrawsFiles,
    /// Something else.
    #[default]
    Other,
}

impl Work {
    /// What to do where the device's memory is exhausted.
    fn less_device_memory(self) -> String {
        let how = match self {
            Self::Begins => {
                "lower loader.batch or damsm.batch with --set KEY=VALUE; or compute on the CPU with --device cpu"
            }
            Self::Continues => {
                "the last checkpoint is kept, and the batch belongs to the run: end what else uses the device, continue on \
                 another one with --device cuda:N or --device cpu, with --precision bf16 for smaller factors, or begin a new \
                 run with --set loader.batch=N"
            }
            Self::Evaluates => "end what else uses the device, or measure on the CPU with --device cpu",
            Self::DrawsGrid(2..) => "draw with a smaller --count, or on the CPU with --device cpu",
            Self::DrawsGrid(_) | Self::DrawsFiles | Self::Other => {
                "end what else uses the device, or compute on the CPU with --device cpu"
            }
        };
        format!("the device's memory is exhausted: {how}")
    }
}

/// What a command line says that decides which advice is of use.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    /// What it computes.
    pub(crate) work: Work,
    /// It names a data set.
    pub(crate) data: bool,
    /// It is about a run that is there already.
    pub(crate) of_run: bool,
}

impl Asked {
    /// What a command asks for.
    pub(crate) fn of(command: &Command) -> Self {
        let of_training = |run: &RunArgs| Self {
            work: if run.resume.is_some() { Work::Continues } else { Work::Begins },
            data: run.data.is_some(),
            of_run: run.resume.is_some(),
        };
        match command {
            Command::Train(args) => of_training(&args.run),
            Command::Pretrain(args) => of_training(&args.run),
            Command::Evaluate(args) => {
                let of_run = args.model.is_none();
                Self { work: Work::Evaluates, data: args.data.is_some(), of_run }
            }
            Command::Sample(args) if args.out_dir.is_none() => {
                Self { work: Work::DrawsGrid(args.count), ..Self::default() }
            }
            Command::Sample(_) => Self { work: Work::DrawsFiles, ..Self::default() },
            _ => Self::default(),
        }
    }

    /// Whether the data are those that a run names itself.
    fn runs_own_data(self) -> bool {
        self.of_run && !self.data
    }
}

/// What to do about an error, if there is more to say than its message.
pub(crate) fn for_error(error: &Error, program: &str, asked: Asked) -> Option<String> {
    if is_out_of_device_memory(&format!("{error:#}")) {
        return Some(asked.work.less_device_memory());
    }
    if error.chain().any(is_about_device) {
        return Some(
            match asked.work {
                Work::Continues => {
                    "continue on another device: --device cpu, or --device cuda:0 where that is there"
                }
                _ => "compute on the CPU with --device cpu",
            }
            .to_owned(),
        );
    }
    error.chain().find_map(|cause| {
        let known = cause.downcast_ref::<TrainError>().and_then(|e| for_train_error(e, program, asked));
        let known = known
            .or_else(|| cause.downcast_ref::<DataError>().and_then(|e| for_data_error(e, program, asked)));
        known.or_else(|| cause.downcast_ref::<drgan_infer::Error>().and_then(for_infer_error))
    })
}

/// Whether a device that was asked for cannot be opened.
fn is_about_device(cause: &(dyn std::error::Error + 'static)) -> bool {
    use drgan_tensor::Error::Config;
    let of_model = match cause.downcast_ref::<TrainError>() {
        Some(TrainError::Model(e)) => Some(e),
        _ => cause.downcast_ref(),
    };
    matches!(of_model, Some(Config { field: "device", .. }))
}

/// Whether an error's message says all by itself: those of the workspace's crates quote what caused them, in words that fit.
pub(crate) fn is_complete(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.is::<TrainError>() || cause.is::<DataError>() || cause.is::<drgan_infer::Error>()
}

fn for_train_error(error: &TrainError, program: &str, asked: Asked) -> Option<String> {
    let train = CommandLine::new(program, "train");
    let resume = |run: &Path| train.clone().option("--resume", run);
    Some(match error {
        TrainError::RunExists { path } => {
            format!("give another --out, or continue it with: {}", resume(path))
        }
        TrainError::NoRuns { .. } => format!("name one with --run, or train one with: {train}"),
        // Of what lies in the run itself there is no other.
        TrainError::Changed { path, run, .. } if !path.starts_with(run) && asked.runs_own_data() => {
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
        // What decides the size of a run that was begun stays.
        TrainError::Memory { lower: None, on_device, .. } => {
            let (what, other) = match on_device {
                true => ("the device", "continue on another one with --device cuda:N or --device cpu, "),
                false => ("the memory", ""),
            };
            format!(
                "end what else uses {what}, {other}or begin a new run with smaller settings; --force starts all the same"
            )
        }
        TrainError::Memory { .. } => "lower it with --set KEY=VALUE; --force starts all the same".to_owned(),
        TrainError::PresetSetting { .. } => "choose the preset with --preset NAME".to_owned(),
        TrainError::Data(e) => return for_data_error(e, program, asked),
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

pub(crate) fn for_data_error(error: &DataError, program: &str, asked: Asked) -> Option<String> {
    match error {
        DataError::TooFew { path, divides_itself, .. } => {
            let verify = CommandLine::new(program, "data verify").argument(path);
            let by_key =
                if *divides_itself { "--set data.split=by-key divides the set by key; " } else { "" };
            Some(format!("{by_key}what is there is said by: {verify}"))
        }
        DataError::Missing { path } if asked.runs_own_data() => Some(format!(
            "the run's data are looked for where they were when it was begun{}; where they are now is given with --data DIR_OR_TAR",
            if path.is_relative() { ", from the current folder" } else { "" }
        )),
        DataError::Compressed { path, compression } => Some(unpack(*compression, path)),
        DataError::NotEmbedded => Some("give a data set with --data DIR_OR_TAR".to_owned()),
        _ => None,
    }
}

/// What to do with a compressed archive.
fn unpack(compression: Compression, path: &Path) -> String {
    // Into a folder of its own, as an archive need not have one inside.
    let mut folder = path.with_extension("");
    if folder.extension().is_some_and(|extension| extension == "tar") {
        folder.set_extension("");
    }
    if folder == path {
        folder.as_mut_os_string().push(".unpacked");
    }
    // What begins with a dash is no option behind a folder.
    let named = |path: &Path| match path.as_os_str().as_encoded_bytes().starts_with(b"-") {
        true => quoted(Path::new(".").join(path)),
        false => quoted(path),
    };
    let (path, folder) = (named(path), named(&folder));
    let tar = |how: &str| format!("mkdir {folder} && tar -C {folder} {how} {path}");
    let command = match compression {
        Compression::Xz => tar("-xJf"),
        Compression::Bzip2 => tar("-xjf"),
        Compression::Zstd => tar("--zstd -xf"),
        Compression::Zip => format!("unzip -q {path} -d {folder}"),
        Compression::SevenZip => format!("7z x -o{folder} {path}"),
        Compression::Rar => format!("mkdir {folder} && unrar x {path} {folder}/"),
        _ => return "unpack it, then give the folder".to_owned(),
    };
    format!("unpack it, then give the folder {folder}: {command}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn the_next_command_follows_the_error_by_the_name_the_user_typed() {
        let path = PathBuf::from("runs/a");
        let hint = |e: TrainError| {
            for_error(&Error::new(e).context("while trying"), "cargo xtask", Asked::default())
        };
        let shown = hint(TrainError::NotTrained { path: path.clone() }).unwrap();
        assert_eq!(shown, "continue with: cargo xtask train --resume runs/a");
        assert!(hint(TrainError::RunExists { path }).unwrap().contains("--out"));
        let shown = hint(TrainError::EncodersTrained { path: "my $HOME/`id`".into() }).unwrap();
        assert_eq!(shown, "continue with: cargo xtask train --resume 'my $HOME/`id`'");
        let xz = DataError::Compressed { path: "a b.tar.xz".into(), compression: Compression::Xz };
        assert!(
            hint(xz.into())
                .unwrap()
                .ends_with("the folder 'a b': mkdir 'a b' && tar -C 'a b' -xJf 'a b.tar.xz'")
        );
        for (name, said) in [("-a.zip", "unzip -q ./-a.zip -d ./-a"), ("b", "unzip -q b -d b.unpacked")] {
            let zip = DataError::Compressed { path: name.into(), compression: Compression::Zip };
            assert!(hint(zip.into()).unwrap().ends_with(said), "{name}");
        }
        let few = |divides_itself| DataError::TooFew {
            path: "birds".into(),
            part: "the set".into(),
            found: 1,
            divides_itself,
        };
        let (itself, by_key) = (hint(few(true).into()).unwrap(), hint(few(false).into()).unwrap());
        assert!(
            itself.contains("data.split=by-key") && itself.ends_with(": cargo xtask data verify birds"),
            "{itself}"
        );
        assert!(!by_key.contains("by-key"), "{by_key}");
        let preset = TrainError::PresetSetting { origin: "setting preset=tiny".into() };
        assert!(hint(preset).unwrap().contains("--preset"));
        let large = drgan_infer::Error::Shape { what: grid::SIZE, expected: "less".to_owned(), got: vec![9] };
        assert!(for_error(&large.into(), "drgan", Asked::default()).unwrap().contains("--count"));
        assert_eq!(hint(TrainError::Run("no".into())), None);
    }
    #[test]
    fn advice_about_a_device_can_be_followed_by_the_command_that_gets_it() {
        let hint = |text: &str, work: Work| {
            for_error(&Error::msg(text.to_owned()), "drgan", Asked { work, ..Asked::default() })
        };
        let exhausted = |work: Work| hint("DriverError(CUDA_ERROR_OUT_OF_MEMORY)", work).unwrap();
        assert!(exhausted(Work::Begins).contains("lower loader.batch"));
        let resumed = exhausted(Work::Continues);
        assert!(!resumed.contains("lower loader.batch") && resumed.contains("a new run"), "{resumed}");
        assert!(resumed.contains("checkpoint is kept") && resumed.contains("--device cpu"), "{resumed}");
        assert!(exhausted(Work::DrawsGrid(4)).contains("smaller --count"));
        for work in [Work::DrawsGrid(1), Work::DrawsFiles, Work::Evaluates, Work::Other] {
            let said = exhausted(work);
            assert!(!said.contains("--count") && !said.contains("batch"), "{said}");
            assert!(said.contains("--device cpu"), "{said}");
        }
        let gone = || drgan_tensor::Error::Config { field: "device", reason: "it is gone".into() };
        let of = |work| {
            let asked = Asked { work, ..Asked::default() };
            for e in [Error::new(gone()), Error::new(TrainError::Model(gone()))] {
                assert!(for_error(&e, "drgan", asked).unwrap().contains("--device cpu"), "{e}");
            }
            for_error(&Error::new(gone()), "drgan", asked).unwrap()
        };
        assert!(of(Work::Continues).contains("--device cuda:0") && !of(Work::Begins).contains("cuda:0"));
        let large = |lower: Option<&str>| {
            let lower = lower.map(str::to_owned);
            let e = TrainError::Memory { needed: 2., available: 1, lower, on_device: true };
            for_error(&Error::new(e), "drgan", Asked::default()).unwrap()
        };
        assert!(large(Some("it")).contains("--set") && !large(None).contains("--set"));
        assert!(large(None).contains("--device cpu") && large(None).contains("--force"));
    }
    #[test]
    fn moved_data_are_asked_for_where_a_run_names_them_and_nobody_gave_others() {
        let missing = || Error::new(DataError::Missing { path: "pets".into() });
        let changed = || {
            let (path, run) = (PathBuf::from("pets"), PathBuf::from("runs/a"));
            Error::new(TrainError::Changed { path, what: "captions".into(), run })
        };
        let of_run = Asked { of_run: true, ..Asked::default() };
        for e in [missing(), changed()] {
            assert!(for_error(&e, "drgan", of_run).unwrap().contains("--data DIR_OR_TAR"), "{e}");
            assert_eq!(for_error(&e, "drgan", Asked { data: true, ..of_run }), None, "{e}");
        }
        assert_eq!(for_error(&missing(), "drgan", Asked::default()), None);
    }
}
