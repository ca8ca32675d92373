//! How much memory a run needs, counted from its settings before anything is built, and whether that is there.
mod available;

pub use available::available_memory;

use crate::config::{Range, RunConfig};
use crate::error::TrainError;
use drgan_dnm::StageDiscriminator;
use drgan_sdm::{RealImagePath, StageGenerator};
use drgan_tensor::{FromConfig, Shapes, parameter_shapes};
use drgan_text::BackboneKind;

/// What a run does beside its settings.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Number of images to train on.
    pub train: usize,
    /// Whether the encoders are trained.
    pub encoders: bool,
    /// Whether the GAN is trained.
    pub gan: bool,
    /// Whether scores are taken.
    pub evaluate: bool,
    /// Whether it was begun: its sizes stay as they are.
    pub begun: bool,
    /// Whether it is computed on a device with memory of its own, which then is what is counted.
    pub on_device: bool,
}

/// Memory that a run needs, in bytes: what every phase holds, and what each holds beside it. Floats, so that no size can
/// overflow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemoryNeed {
    /// The program, the embedded data and backbone, decoded images.
    pub base: f64,
    /// The DAMSM phase: kept features, and the graph of one batch.
    pub damsm: f64,
    /// One step of the GAN: weights, moments, averages, gradients, activations.
    pub step: f64,
    /// Writing a checkpoint, which is the host's work: the networks, a copy of the moments, the file's bytes.
    pub checkpoint: f64,
    /// The evaluation: the networks, and the images drawn.
    pub evaluation: f64,
}

const MIB: f64 = 1024. * 1024.;
/// The program with the embedded set, the backbone and its threads.
const PROGRAM: f64 = 100. * MIB;
/// Images that pass the backbone at once.
const CHUNK: f64 = 64.;
/// What a checkpoint takes with the blocks that the allocator keeps between its buffers, as a multiple of the buffers.
const RETAINED: f64 = 1.1;
/// Tensors of the size (captions, words, images, regions) that the graph of the DAMSM and its backward pass hold.
const WORD_MAPS: f64 = 31.;

impl MemoryNeed {
    /// Counts what a run needs; about a second of arithmetic at most, no tensor is made.
    ///
    /// # Errors
    /// Settings that no network can be built from.
    pub fn of(cfg: &RunConfig, work: Workload) -> Result<Self, TrainError> {
        let size = if cfg.dtype == drgan_tensor::device::FloatType::F64 { 8. } else { 4. };
        let (b, finest) = (cfg.loader.batch as f64, cfg.loader().finest() as f64);
        let backbone = Backbone::of(cfg);
        let words = cfg.damsm.max_words as f64;
        let views = if cfg.loader.flip { 2. } else { 1. };
        let matching = |pairs: f64| pairs * pairs * words * backbone.regions * WORD_MAPS * size;

        let loaded = cfg.loader().loaded_side() as f64;
        let resized = work.train as f64 * loaded * loaded * 3.;
        let cached = if resized <= cfg.loader.cache_mib as f64 * MIB { resized } else { 0. };
        // Batches wait for their step, each with one image per stage, and images of the loaded side on their way.
        let waiting = (cfg.loader.workers as f64 + 2.) * b * 3. * (4. / 3. * finest * finest * 4.)
            + b * loaded * loaded * 3.;
        let (embedding, half) = (cfg.text.embedding as f64, cfg.text.words_dim as f64 / 2.);
        let encoders = cfg.text.vocab_size as f64 * embedding
            + 8. * half * (embedding + half)
            + cfg.text.words_dim as f64 * backbone.channels;
        // Two batches are on the device: the step's, and the next one's on its way.
        let beside = match work.on_device {
            true => 2. * b * 3. * (4. / 3. * finest * finest * 4.),
            false => PROGRAM + cached + waiting,
        };
        let base = beside + (4. * encoders + backbone.weights) * size;

        let row = (backbone.channels + backbone.map) * size;
        let features = work.train as f64 * views * row;
        let kept = match cfg.loader().crops_at_random() || 2. * features > cfg.damsm.cache_mib as f64 * MIB {
            true => CHUNK * views * row,
            false => 2. * features,
        };
        let chunk = CHUNK * (backbone.pass + 3. * finest * finest) * size;
        let pairs = cfg.damsm.batch.min(work.train) as f64;
        let lstm = pairs * words * (embedding + 12. * cfg.text.words_dim as f64) * size;
        let damsm = kept + chunk.max(matching(pairs) + lstm);

        let generator = scalars(parameter_shapes(|vb| StageGenerator::from_config(&cfg.generator, vb))?);
        let real_image =
            scalars(parameter_shapes(|vb| RealImagePath::from_config(&cfg.generator.real_image(), vb))?);
        let mut critics = Vec::new();
        for side in cfg.sides() {
            let shapes =
                parameter_shapes(|vb| StageDiscriminator::from_config(&cfg.discriminator_at(side), vb))?;
            critics.push((scalars(shapes), b * critic_maps(cfg, side)));
        }
        let all: f64 = critics.iter().map(|(scalars, _)| scalars).sum();
        // Branches of small images run side by side.
        let branch = critics.iter().map(|(scalars, maps)| scalars + maps);
        let branches = if finest >= 128. { branch.fold(0., f64::max) } else { branch.sum() };
        let networks = (4. * generator + 3. * (real_image + all)) * size;
        let step = networks
            + (generator + real_image + b * generator_maps(cfg) + branches + b * backbone.graph) * size
            + matching(b);
        let checkpoint = networks + (2. * (generator + real_image + all)) * size + networks;
        // Images are drawn and measured some at a time; features of all stay, and KID takes them in double precision.
        let measured = work.train as f64 + 2. * cfg.evaluate.samples as f64;
        let sentences = CHUNK * words * (embedding + 12. * cfg.text.words_dim as f64) * size;
        let evaluation = networks + chunk.max(sentences) + measured * backbone.channels * (size + 8.);

        let when = |yes: bool, need: f64| if yes { need } else { 0. };
        Ok(Self {
            base,
            damsm: when(work.encoders, damsm),
            step: when(work.gan, step),
            checkpoint: when(work.gan && !work.on_device, RETAINED * checkpoint),
            evaluation: when(work.gan && work.evaluate && cfg.evaluate.samples > 1, evaluation),
        })
    }

    /// Bytes at the worst moment.
    pub fn peak(&self) -> f64 {
        self.base + self.damsm.max(self.step).max(self.checkpoint).max(self.evaluation)
    }
}

/// Sizes of a frozen backbone per image, in scalars.
struct Backbone {
    weights: f64,
    /// Channels of the pooled features.
    channels: f64,
    /// Regions of the map.
    regions: f64,
    /// Scalars of the map.
    map: f64,
    /// Scalars that a pass without a graph holds.
    pass: f64,
    /// Scalars that the graph of a pass holds.
    graph: f64,
}

impl Backbone {
    fn of(cfg: &RunConfig) -> Self {
        let inception = cfg.image_encoder.backbone == BackboneKind::InceptionV3;
        let side = if inception { 299. } else { cfg.image_encoder.side as f64 };
        if inception {
            return Self {
                weights: 24e6,
                channels: 2048.,
                regions: 289.,
                map: 768. * 289.,
                pass: 3e6,
                graph: 12e6,
            };
        }
        let regions = (side / 16.).ceil().powi(2);
        Self {
            weights: 3.4e6,
            channels: 1280.,
            regions,
            map: 112. * regions,
            pass: 112. * side * side / 4.,
            graph: 64. * side * side,
        }
    }
}

/// Scalars of a network's parameters and buffers.
fn scalars(shapes: Shapes) -> f64 {
    shapes.values().map(|dims| dims.iter().map(|d| *d as f64).product::<f64>()).sum()
}

/// Scalars per image that the generator's graph holds: its maps by stage, in channels per pixel of the stage's input.
fn generator_maps(cfg: &RunConfig) -> f64 {
    let g = &cfg.generator;
    let (c, blocks) = (g.ngf as f64, g.residual_blocks as f64);
    let pixels = |stage: usize| (g.side(stage) as f64).powi(2);
    // Each doubling of the first stage halves the channels and has four times the pixels.
    let first = 20. * c * pixels(0);
    // Context, both masks and their halves, blocks of one and of two widths, and the doubled map.
    let refine = (35. + 21. * blocks) * c + cfg.damsm.max_words as f64 * 3.;
    0.8 * (first + (0..g.stages - 1).map(|stage| pixels(stage) * refine).sum::<f64>())
}

/// Scalars per image that the graphs of one stage's discriminator hold: real, fake and mismatched pairs, and the frozen pass.
fn critic_maps(cfg: &RunConfig, side: usize) -> f64 {
    let (c, base) = (cfg.discriminator.ndf as f64, cfg.generator.base as f64);
    let side = side as f64;
    // The first layer's channels grow where the image is small; each layer after it holds half as much.
    let first = c * (64. / side).max(1.) * (side / 2.).powi(2);
    4.2 * (2. * first + 7.5 * c * base * base)
}

/// Settings whose sizes decide the memory, and the least each may sensibly be.
const LOWERED: [&str; 15] = [
    "loader.batch",
    "damsm.batch",
    "evaluate.samples",
    "generator.ngf",
    "discriminator.ndf",
    "generator.residual_blocks",
    "image_encoder.side",
    "damsm.max_words",
    "loader.load_side",
    "text.words_dim",
    "text.embedding",
    "generator.nz",
    "generator.nc",
    "discriminator.latent",
    "generator.stages",
];

/// Refuses a run that needs more than `available` bytes, with the setting whose lowering helps with the least change; none where
/// the run was begun, whose sizes stay. None
/// for `available`: any run is taken.
///
/// # Errors
/// [`TrainError::Memory`]; settings that no network can be built from.
pub fn require_memory(
    cfg: &RunConfig,
    work: Workload,
    available: Option<u64>,
) -> Result<MemoryNeed, TrainError> {
    let need = MemoryNeed::of(cfg, work)?;
    let Some(available) = available.filter(|there| need.peak() > *there as f64) else { return Ok(need) };
    let lower = if work.begun { None } else { Some(advice(cfg, work, available as f64)?) };
    Err(TrainError::Memory { needed: need.peak(), available, lower, on_device: work.on_device })
}

/// Each setting is halved until the run fits; the one that is lowered the least is named. Where none suffices alone, the one
/// that saves the most.
fn advice(cfg: &RunConfig, work: Workload, available: f64) -> Result<String, TrainError> {
    let settings = cfg.to_table()?;
    let mut best: Option<(bool, f64, String)> = None;
    for key in LOWERED {
        let value = key
            .split('.')
            .try_fold(&toml::Value::Table(settings.clone()), |t, part| t.get(part))
            .and_then(toml::Value::as_integer);
        let (Some(from), Some(Range::Whole(low, _))) = (value, Range::of(key)) else { continue };
        let mut to = from;
        let mut last = None;
        while to / 2 >= low as i64 && to > 1 {
            to = if key == "generator.stages" { to - 1 } else { (to / 2 + to / 2 % 2).min(to - 1) };
            let Ok(smaller) = cfg.with(&[format!("{key}={to}")]) else { break };
            let peak = MemoryNeed::of(&smaller, work)?.peak();
            last = Some((peak, to));
            if peak <= available {
                break;
            }
        }
        let Some((peak, to)) = last else { continue };
        let fits = peak <= available;
        // The change that is asked for, or what it leaves.
        let cost = if fits { from as f64 / to as f64 } else { peak };
        let better = best.as_ref().is_none_or(|(f, c, _)| (fits && !f) || (fits == *f && cost < *c));
        if better {
            let more = if fits { "" } else { " and others" };
            best = Some((fits, cost, format!("`{key}` from {from} to {to}{more}")));
        }
    }
    Ok(best.map_or_else(|| "the networks' sizes".to_owned(), |(.., text)| text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;

    /// Preset, settings, images to train on, whether the GAN follows and is measured; the largest resident set of that run in MiB,
    /// on two cores (docs/benchmarks.md).
    type Measured = (&'static str, &'static [&'static str], usize, (bool, bool), f64);

    const MEASURED: [Measured; 9] = [
        ("tiny", &[], 36, (true, true), 191.),
        ("emoji-64", &["loader.batch=4", "evaluate.samples=32", "evaluate.seeds=1"], 269, (true, true), 318.),
        ("emoji-64", &["evaluate.samples=32", "evaluate.seeds=1"], 269, (true, true), 338.),
        ("emoji-64", &["loader.batch=128"], 269, (true, false), 1582.),
        ("emoji-64", &["evaluate.samples=1000"], 269, (true, true), 404.),
        (
            "emoji-64",
            &["generator.ngf=48", "discriminator.ndf=32", "loader.batch=6"],
            269,
            (true, false),
            568.,
        ),
        ("emoji-64", &["generator.base=32", "loader.load_side=128"], 269, (true, false), 718.),
        ("emoji-256", &["loader.batch=2"], 55, (true, false), 2986.),
        ("emoji-64", &["damsm.batch=256"], 1420, (false, false), 1827.),
    ];

    #[test]
    fn estimates_lie_within_30_percent_of_measured_peaks() {
        for (preset, set, train, (gan, evaluate), measured) in MEASURED {
            let set: Vec<String> = set.iter().map(|s| (*s).to_owned()).collect();
            let cfg = RunConfig::resolve(preset, &Overrides { file: None, set: &set }).unwrap();
            let need = MemoryNeed::of(
                &cfg,
                Workload { train, encoders: true, gan, evaluate, begun: false, on_device: false },
            );
            let need = need.unwrap();
            let estimated = need.peak() / MIB;
            assert!(
                (estimated / measured - 1.).abs() < 0.3,
                "{preset} {set:?}: {estimated:.0} MiB, measured {measured}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_names_a_lower_value_that_does() {
        let set = ["generator.ngf=4096".to_owned()];
        let cfg = RunConfig::resolve("tiny", &Overrides { file: None, set: &set }).unwrap();
        let work =
            Workload { train: 36, encoders: true, gan: true, evaluate: true, begun: false, on_device: false };
        require_memory(&cfg, work, None).unwrap();
        let Err(TrainError::Memory { needed, available, lower: Some(lower), on_device: false }) =
            require_memory(&cfg, work, Some(1 << 30))
        else {
            panic!("it does not fit");
        };
        assert!(needed > 1e10 && available == 1 << 30, "{needed}");
        let to = lower.strip_prefix("`generator.ngf` from 4096 to ").expect(&lower);
        let smaller = cfg.with(&[format!("generator.ngf={to}")]).unwrap();
        require_memory(&smaller, work, Some(1 << 30)).unwrap();
    }

    /// Bytes of tensors, workspaces apart, of a run on a device: docs/cuda.md, Memory.
    const ON_DEVICE: f64 = 10_103_409_088.;

    #[test]
    fn a_devices_memory_is_counted_without_the_hosts() {
        let set = ["image_encoder.backbone=efficientnet-lite0", "image_encoder.side=128"].map(str::to_owned);
        let cfg = RunConfig::resolve("birds", &Overrides { file: None, set: &set }).unwrap();
        let of = |on_device| {
            let work =
                Workload { train: 60, encoders: true, gan: true, evaluate: false, begun: true, on_device };
            (MemoryNeed::of(&cfg, work).unwrap(), require_memory(&cfg, work, Some(1 << 30)).unwrap_err())
        };
        let ((host, _), (device, refused)) = (of(false), of(true));
        assert!(device.base < host.base && device.checkpoint == 0.);
        assert!((device.peak() / ON_DEVICE - 1.).abs() < 0.4, "{}", device.peak() / ON_DEVICE);
        let said = refused.to_string();
        assert!(said.starts_with("memory of the device: about ") && said.ends_with(" are there"), "{said}");
    }
}
