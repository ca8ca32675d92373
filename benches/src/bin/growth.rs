//! One point of `cargo xtask bench --growth`: a process of its own, whose largest resident memory is the point's.
//!
//! `drgan-growth WHAT PRESET [KEY=VALUE...]` draws images (WHAT is `image`, by a packed generator, from the captions'
//! features on) or takes training steps (`step`), once untimed and then `runs` times. Keys: `batch`, `side` (of the finest
//! image), `words`; by default the preset's own; `threads`, `runs`. It prints one JSON object: `seconds` of each run, and in
//! bytes `built`, resident before the first pass, and `peak`, the largest since.
use anyhow::{Context, Result, bail};
use drgan_benches::{Inference, Step, resident};
use drgan_tensor::device::HOST;
use drgan_tensor::ops::{Precision, limit_candle_threads};
use drgan_train::config::{Overrides, RunConfig};
use serde_json::{Value, json};
use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

/// What is measured: a computation and its sizes.
#[derive(Debug, PartialEq)]
struct Point {
    cfg: RunConfig,
    batch: usize,
    threads: usize,
    runs: usize,
}

impl Point {
    /// `KEY=VALUE`s over a preset.
    fn parse(preset: &str, settings: &[String]) -> Result<Self> {
        let cfg = RunConfig::resolve(preset, &Overrides::default())?;
        let mut point = Self { batch: cfg.loader.batch, threads: 0, runs: 1, cfg };
        for setting in settings {
            let (key, value) =
                setting.split_once('=').with_context(|| format!("expected KEY=VALUE, got {setting}"))?;
            let n: usize = value.parse().with_context(|| format!("{setting}: not a number"))?;
            match key {
                "batch" => point.batch = n,
                "threads" => point.threads = n,
                "runs" => point.runs = n,
                "words" => point.cfg = point.cfg.with(&[format!("damsm.max_words={n}")])?,
                "side" => {
                    let base = n >> (point.cfg.generator.stages - 1);
                    point.cfg = point.cfg.with(&[format!("generator.base={base}")])?;
                    point.cfg.generator.validate()?;
                }
                _ => bail!("{setting}: there are batch, side, words, threads and runs"),
            }
        }
        Ok(point)
    }

    fn measure(self, what: &str) -> Result<Value> {
        match what {
            "image" => {
                let inference = Inference::new(&self.cfg, self.batch, Precision::F32, &HOST)?;
                timed(self.runs, || inference.draw().map(|image| drop(black_box(image))))
            }
            "step" => {
                let cfg = self.cfg.with(&[format!("loader.batch={}", self.batch)])?;
                let mut step = Step::new(&cfg, &HOST)?;
                timed(self.runs, || step.run(1.).map(drop))
            }
            other => bail!("`{other}`: there are image and step"),
        }
    }
}

fn timed(runs: usize, mut run: impl FnMut() -> Result<()>) -> Result<Value> {
    std::fs::write("/proc/self/clear_refs", "5").context("/proc/self/clear_refs")?; // forget the peak of building
    let built = resident("VmRSS")?;
    run()?;
    let mut once = || -> Result<f64> {
        let start = Instant::now();
        run()?;
        Ok(start.elapsed().as_secs_f64())
    };
    let seconds: Vec<f64> = (0..runs).map(|_| once()).collect::<Result<_>>()?;
    Ok(json!({ "seconds": seconds, "built": built, "peak": resident("VmHWM")? }))
}

fn main() -> Result<()> {
    limit_candle_threads();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [what, preset, settings @ ..] = args.as_slice() else { bail!("expected WHAT PRESET [KEY=VALUE...]") };
    let point = Point::parse(preset, settings)?;
    rayon::ThreadPoolBuilder::new().num_threads(point.threads).build_global()?;
    writeln!(std::io::stdout().lock(), "{}", point.measure(what)?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(settings: &[&str]) -> Result<Point> {
        Point::parse("tiny", &settings.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn settings_reach_the_networks() -> Result<()> {
        let p = point(&["batch=2", "side=128", "words=40", "threads=3", "runs=5"])?;
        assert_eq!((p.batch, p.threads, p.runs), (2, 3, 5));
        assert_eq!((p.cfg.sides(), p.cfg.damsm.max_words), (vec![32, 64, 128], 40));
        let message = |settings: &[&str]| point(settings).expect_err("refused").to_string();
        assert!(message(&["batch"]).contains("KEY=VALUE") && message(&["batch=x"]).contains("not a number"));
        assert!(message(&["depth=3"]).contains("depth") && message(&["side=96"]).contains("power of two"));
        assert!(message(&["side=48"]).contains("generator.base"));
        Ok(())
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_point_of_either_kind_is_measured() -> Result<()> {
        for what in ["image", "step"] {
            let of = point(&["batch=2", "words=1", "runs=2"])?.measure(what)?;
            let (peak, built) = (of["peak"].as_u64(), of["built"].as_u64());
            assert!(built > Some(0) && peak >= built, "{of}");
            let seconds: Vec<f64> = serde_json::from_value(of["seconds"].clone())?;
            assert!(seconds.len() == 2 && seconds.iter().all(|s| *s > 0.), "{of}");
        }
        let e = point(&["batch=1"])?.measure("step").expect_err("batch statistics need two").to_string();
        assert!(e.contains("at least 2"), "{e}");
        Ok(())
    }
}
