//! Training and sampling run no reference in place of a kernel: on the CPU, and with DRGAN_TEST_DEVICE=cuda on that device. On
//! the emulated one, `CUDAEMU_KERNELS=count` makes it a matter of seconds.
use candle_core::{DType, Tensor};
use drgan_data::Dataset;
use drgan_infer::Sampler;
use drgan_tensor::device::{DeviceRequest, HOST};
use drgan_tensor::ops::Precision;
use drgan_tensor::ops::testing::places_of_fallbacks;
use drgan_train::config::{Overrides, RunConfig};
use drgan_train::events::Sinks;
use drgan_train::run::RunDir;
use drgan_train::session::{Interrupt, Outcome, Session, TrainedRun};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

/// Operations that may run their reference, by their folders in drgan-kernels, each with the reason.
const ALLOWED: [(&str, &str); 0] = [];

/// Trains a run with both phases and draws with it; what ran a reference meanwhile.
fn train_and_sample(
    preset: &str,
    set: &[&str],
) -> Result<BTreeMap<String, usize>, Box<dyn Error + Send + Sync>> {
    let device = std::env::var("DRGAN_TEST_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    let set: Vec<String> =
        set.iter().map(|set| (*set).to_owned()).chain([format!("device={device}")]).collect();
    let cfg = RunConfig::resolve(preset, &Overrides { file: None, set: &set })?;
    let mut data = Dataset::embedded()?;
    data.truncate(cfg.data.limit);
    let folder = tempfile::tempdir()?;
    let run = RunDir::create(Some(&folder.path().join("run")), preset, cfg.seed)?;
    let (mut sinks, interrupt) = (Sinks::default(), Interrupt::default());
    let mut session =
        Session { cfg: &cfg, run: &run, sinks: &mut sinks, interrupt: &interrupt, evaluate: false };
    let outcome = session.train(&Arc::new(data))?;
    assert!(matches!(outcome, Outcome::Finished { .. }), "{preset}: {outcome:?}");
    let trained = TrainedRun::open(&run, &device.parse::<DeviceRequest>()?.open()?)?;
    let images = Sampler::new(&trained.model, Precision::F32)?.images(&["a red heart"], &[0], 0)?;
    let side = cfg.sides().into_iter().next_back().unwrap_or_default();
    assert_eq!(images.dims(), [1, 3, side, side]);
    Ok(places_of_fallbacks())
}

/// All tasks on one thread, whose references are counted together.
fn on_one_thread(preset: &'static str, set: &'static [&'static str]) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let mut places =
        pool.install(|| train_and_sample(preset, set)).unwrap_or_else(|e| panic!("{preset}: {e}"));
    places.retain(|place, _| !ALLOWED.iter().any(|(allowed, _)| allowed == place));
    assert!(places.is_empty(), "{preset} runs references in place of kernels, by operation: {places:?}");
}

#[test]
fn tiny_runs_kernels_alone() {
    on_one_thread("tiny", &[]);
}

#[test]
fn emoji_64_runs_kernels_alone() {
    on_one_thread(
        "emoji-64",
        &["data.limit=40", "damsm.epochs=1", "damsm.batch=12", "loader.batch=2", "train.steps=1"],
    );
}

/// What the tests above look at sees an operation without a kernel.
#[test]
fn a_reference_is_seen() -> Result<(), Box<dyn Error>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let places = pool.install(|| -> drgan_tensor::Result<_> {
        let doubles = Tensor::ones((1, 2), DType::F64, &HOST)?;
        rayon::join(|| drgan_tensor::ops::tanh(&doubles), || ()).0?;
        Ok(places_of_fallbacks())
    })?;
    assert_eq!(places.get("tanh"), Some(&1), "{places:?}");
    Ok(())
}
