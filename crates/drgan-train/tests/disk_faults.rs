//! Every write of a run fails, in one way and another: what is left is whole, and the run goes on to the same bits.
use drgan_data::Dataset;
use drgan_tensor::testing::disk::{self, Fault};
use drgan_train::config::{Overrides, RunConfig};
use drgan_train::events::{Jsonl, Sinks};
use drgan_train::run::list;
use drgan_train::session::Outcome;
use drgan_train::{Checkpoint, Interrupt, LockedRun, RunDir, Session, TrainError};
use std::path::Path;
use std::sync::Arc;

/// A run of two steps with a checkpoint after each, and its data.
struct Small {
    cfg: RunConfig,
    data: Arc<Dataset>,
}

impl Small {
    fn new() -> Result<Self, TrainError> {
        let set = ["train.steps=2", "train.checkpoint_every=1", "train.sample_every=2", "damsm.batch=8"];
        let set = set.map(str::to_owned);
        let cfg = RunConfig::resolve("tiny", &Overrides { file: None, set: &set })?;
        let mut data = Dataset::embedded()?;
        data.truncate(12);
        Ok(Self { cfg, data: Arc::new(data) })
    }

    /// Begins the run or continues it, whichever its folder asks for.
    fn train(&self, path: &Path) -> Result<Outcome, TrainError> {
        let run: LockedRun = match RunDir::open(path) {
            Ok(run) => run.lock()?,
            Err(_) => RunDir::create(Some(path), "tiny", 0)?,
        };
        let mut sinks = Sinks::default().with(Jsonl::open(&run.log())?);
        let interrupt = Interrupt::default();
        let (cfg, sinks) = (&self.cfg, &mut sinks);
        Session { cfg, run: &run, sinks, interrupt: &interrupt, evaluate: false }.train(&self.data)
    }
}

/// Checks that whatever a run's folder holds is whole.
fn assert_whole(run: &Path, what: &str) {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries(run).chain(entries(&run.join("checkpoints"))).chain(entries(&run.join("samples"))) {
        let path = entry.path();
        let text = || std::fs::read_to_string(&path).expect("text");
        match path.extension().and_then(|e| e.to_str()) {
            Some("json") => drop(serde_json::from_str::<serde_json::Value>(&text()).expect(what)),
            Some("toml") => drop(RunConfig::from_toml(&text()).expect(what)),
            Some("png") => assert!(std::fs::metadata(&path).is_ok_and(|m| m.len() > 100), "{what}"),
            Some("partial") => panic!("{what}: {} was left", path.display()),
            _ => {}
        }
    }
    for (_, path) in list(&run.join("checkpoints")).into_iter().flatten() {
        Checkpoint::load(&path).expect(what);
    }
}

#[test]
fn every_write_of_a_run_may_fail_and_the_run_goes_on_to_the_same_bits() -> Result<(), TrainError> {
    let small = Small::new()?;
    let root = tempfile::tempdir().expect("a folder");
    let last =
        |run: &Path| std::fs::read(run.join("checkpoints/step-000002.safetensors")).expect("the last one");
    let whole = root.path().join("whole");
    let (done, writes) = disk::failing(usize::MAX, Fault::Write, || small.train(&whole));
    done?;
    // Settings, vocabulary, fingerprint, three checkpoints with `latest` each, a grid.
    assert_eq!(writes, 10);
    let want = last(&whole);
    for nth in 0..writes {
        // Each write meets two faults, each fault four writes: the writer's own test has all at once.
        for turn in [nth, nth + 2] {
            let fault = Fault::ALL[turn % Fault::ALL.len()];
            let run = root.path().join(format!("{nth}-{fault:?}"));
            let what = format!("{fault:?} at write {nth}");
            let (failed, _) = disk::failing(nth, fault, || small.train(&run));
            assert!(failed.is_err(), "{what}: a run whose writes fail ends with an error");
            assert_whole(&run, &what);
            assert!(nth > 2 || !run.exists(), "{what}: nothing is kept before there is a checkpoint");
            if run.exists() {
                let (_, warning) = Checkpoint::load_latest(&run.join("checkpoints"))?;
                assert_eq!(warning, None, "{what}");
            }
            small.train(&run)?;
            assert!(last(&run) == want, "{what}: it changed what the run learnt");
        }
    }
    Ok(())
}
