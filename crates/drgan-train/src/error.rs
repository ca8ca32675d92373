//! What can go wrong in a run, in words for its user.
use drgan_data::DataError;
use drgan_tensor::internal::shown;
use std::path::{Path, PathBuf};

/// Errors of the training crate. A message says what is wrong and what would be accepted; how to say that to a program is left
/// to the program, which matches the variants.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Reading or writing failed.
    #[error("{}: {source}", shown(path))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system reports.
        source: std::io::Error,
    },
    /// The configuration, with the key.
    #[error("{0}")]
    Config(String),
    /// A run folder or checkpoint.
    #[error("{0}")]
    Run(String),
    /// A preset where single settings stand.
    #[error("{origin}: `preset` is not a setting: a run is started from a preset by its name")]
    PresetSetting {
        /// The setting or the file.
        origin: String,
    },
    /// A folder for a new run that is in use.
    #[error("{}: the folder is not empty; resume the run in it, or start in another", shown(path))]
    RunExists {
        /// The folder.
        path: PathBuf,
    },
    /// A run that another process works in.
    #[error(
        "{}: in use by {}; wait until it ends, or stop it", shown(path),
        pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    RunInUse {
        /// The run's folder.
        path: PathBuf,
        /// The number of the process, where the lock says it.
        pid: Option<u32>,
    },
    /// A run whose folder was taken away while it was written to.
    #[error(
        "{}: the run's folder was removed or replaced while the run worked in it; what it learnt since its last \
         checkpoint is lost",
        shown(path)
    )]
    RunGone {
        /// The run's folder, as it was named.
        path: PathBuf,
    },
    /// A file of a run that was taken away while the run went on.
    #[error(
        "{}: removed or replaced while the run worked; what it learnt until its last checkpoint is kept",
        shown(path)
    )]
    FileGone {
        /// The file.
        path: PathBuf,
        /// The run's folder.
        run: PathBuf,
    },
    /// A run that is not continued with what it was begun with.
    #[error(
        "{}: changed since the run in {} was begun: {what}; continue it with what it had, or begin a new run",
        shown(path),
        shown(run)
    )]
    Changed {
        /// The data set or file that differs.
        path: PathBuf,
        /// What of it differs, in words.
        what: String,
        /// The run's folder.
        run: PathBuf,
    },
    /// A folder that holds no run.
    #[error("{}: not a run folder: config.toml is missing; runs nearby: {}", shown(path), list(nearby))]
    NotARun {
        /// The folder.
        path: PathBuf,
        /// Run folders beside it.
        nearby: Vec<PathBuf>,
    },
    /// No run that can be drawn with where the newest was asked for.
    #[error(
        "{}: {}", shown(root),
        match passed_over.as_slice() {
            [] => "no run folder is in it".to_owned(),
            all => format!("no run in it can be drawn with: {}", all.join("; ")),
        }
    )]
    NoRuns {
        /// The folder of runs.
        root: PathBuf,
        /// Why each of its runs was passed over.
        passed_over: Vec<String>,
    },
    /// A run whose generator was asked for too early.
    #[error("{}: its generator has not been trained yet: the run stands at its encoders", shown(path))]
    NotTrained {
        /// The run's folder.
        path: PathBuf,
    },
    /// A run whose encoders were to be trained after its GAN was begun.
    #[error("{}: its encoders are trained and its GAN begun; continue with the GAN", shown(path))]
    EncodersTrained {
        /// The run's folder.
        path: PathBuf,
    },
    /// Inception-v3 without weights.
    #[error(
        "preset {preset}: image_encoder.weights: Inception-v3 needs its weights, torchvision's inception_v3 (.pth or \
         .safetensors); or take the embedded network, image_encoder.backbone efficientnet-lite0"
    )]
    NoBackbone {
        /// Name of the run's preset.
        preset: String,
    },
    /// A loss or a gradient is not a number; what was being done is the caller's to say.
    #[error("{loss} is {value}")]
    NonFinite {
        /// Which loss or gradient.
        loss: String,
        /// NaN or infinity.
        value: f32,
    },
    /// Images of a trained network that has no finite output.
    #[error("{network}: its images have features that are not finite; the run has diverged")]
    NonFiniteImages {
        /// Which network drew them.
        network: &'static str,
    },
    /// A loss stopped being a number.
    #[error("{loss} is {value} at {phase} step {step}; training stopped. {}", way_back(checkpoint.as_deref()))]
    Diverged {
        /// Which loss.
        loss: String,
        /// NaN or infinity.
        value: f32,
        /// `"damsm"` or `"gan"`.
        phase: &'static str,
        /// Step of the phase at which it happened.
        step: u64,
        /// Where to resume from.
        checkpoint: Option<PathBuf>,
    },
    /// A run that needs more memory than there is.
    #[error(
        "memory{}: about {} are needed, {} are there{}", if *on_device { " of the device" } else { "" },
        gib(*needed), gib(*available as f64), lower.as_ref().map_or_else(String::new, |lower| format!("; lower {lower}"))
    )]
    Memory {
        /// Bytes needed at the worst moment, an estimate.
        needed: f64,
        /// Bytes that the process may still take.
        available: u64,
        /// The setting to lower, and by how much, if it can be.
        lower: Option<String>,
        /// Whether it is the memory of a device rather than the host's.
        on_device: bool,
    },
    /// An error of the data set.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An error of a model crate.
    #[error(transparent)]
    Model(#[from] drgan_tensor::Error),
}

/// Result with this crate's error.
pub(crate) type Result<T, E = TrainError> = std::result::Result<T, E>;

/// What a user does about a divergence.
fn way_back(checkpoint: Option<&Path>) -> String {
    match checkpoint {
        Some(path) => format!(
            "The last good checkpoint is {}: resume the run with a smaller learning rate",
            shown(path)
        ),
        None => "There is no checkpoint yet: start again with a smaller learning rate".to_owned(),
    }
}

/// Bytes in GiB.
fn gib(bytes: f64) -> String {
    format!("{:.1} GiB", bytes / (1u64 << 30) as f64)
}

fn list(paths: &[PathBuf]) -> String {
    match paths {
        [] => "none".to_owned(),
        paths => paths.iter().map(|p| shown(p).to_string()).collect::<Vec<_>>().join(", "),
    }
}

impl TrainError {
    /// An I/O error with the file's name.
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }
}

impl From<candle_core::Error> for TrainError {
    fn from(e: candle_core::Error) -> Self {
        Self::Model(e.into())
    }
}
