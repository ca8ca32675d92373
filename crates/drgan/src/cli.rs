//! The command line of `drgan`.
use crate::numbers::{number, of_setting, whole};
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use drgan_infer::folder::Format;
use drgan_infer::{Arithmetic, Precision};
use drgan_tensor::device::DeviceRequest;
use drgan_train::config::{PRESETS, Range};
use drgan_train::import::Network;
use std::path::PathBuf;

/// How many threads may compute.
pub(crate) const THREADS: Range = Range::Whole(1, 1024);
/// Stages of a generator, from 0.
const STAGE: Range = Range::Whole(0, 7);
/// Samples per caption.
const COUNT: Range = Range::Whole(1, 64);
/// Frames from one picture of an animation to the next.
const FRAMES: Range = Range::Whole(1, 1000);
/// The largest noise that is drawn.
const TRUNCATION: Range = Range::Between(0.01, 100.);

/// DR-GAN: images from captions, trained and drawn on your own machine.
#[derive(Debug, Parser)]
#[command(name = "drgan", version, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `drgan` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train the encoders and the GAN; with no argument, `emoji-64` on the embedded data set.
    #[command(after_help = "Examples:
  drgan train
  drgan train --preset tiny --out runs/first
  drgan train --data my/folder --set train.steps=5000 --set loss.lambda=2
  drgan train --resume runs/emoji-64-s0-001
  drgan train --set text.words_dim=128 --device cpu
  drgan train --from-model pretrained --data my/pictures --steps 400
  drgan train --preset emoji-256 --dry-run")]
    Train(TrainArgs),
    /// Train the text and image encoders alone (DAMSM), for `train --encoders RUN`.
    #[command(after_help = "Examples:
  drgan pretrain --preset birds --data data/birds --set image_encoder.weights=inception_v3.pth
  drgan pretrain --resume runs/birds-s0-001 --epochs 300")]
    Pretrain(PretrainArgs),
    /// Draw captions with the model in this program, a trained run or a model file.
    #[command(after_help = "Examples:
  drgan sample \"a red heart\" \"a yellow face crying\" --out hearts.png
  drgan sample --captions captions.txt --out-dir samples
  drgan sample \"a red heart\" \"a blue square\" --count 1 --interpolate --out walk.gif
  drgan sample \"a red heart\" --model emoji.safetensors
  drgan sample \"a blue square\" --count 8 --seed 3
  drgan sample \"a green apple\" --run runs/emoji-64-s0-001 --stages --attention
  drgan sample \"a small red bird\" --generator netG_epoch_600.pth --text-encoder text_encoder200.pth --vocabulary captions.pickle")]
    Sample(SampleArgs),
    /// Measure a trained run beside its untrained self and real images.
    #[command(after_help = "Examples:
  drgan evaluate
  drgan evaluate --run runs/emoji-64-s0-001 --samples 200
  drgan evaluate --run runs/birds-s0-001 --data moved/birds
  drgan evaluate --model pretrained")]
    Evaluate(EvaluateArgs),
    /// Make data sets.
    #[command(subcommand)]
    Data(DataCommand),
    /// Write a trained run, or `pretrained`, as one model file: weights, vocabulary, configuration, model card.
    #[command(after_help = "Examples:
  drgan export runs/emoji-64-s0-001 --out emoji.safetensors
  drgan export --out exact.safetensors --weights f32
  drgan export --out emoji.onnx --onnx
  drgan export --out emoji-pytorch --torch
  drgan export pretrained --out emoji.onnx --onnx
  drgan sample \"a red heart\" --model emoji.safetensors")]
    Export(ExportArgs),
    /// Show the tensors of a weight file: safetensors, or a PyTorch checkpoint.
    #[command(after_help = "Example:
  drgan inspect netG_epoch_600.pth")]
    Inspect(InspectArgs),
    /// Recognize a weight file of another program and write it as safetensors.
    #[command(after_help = "Examples:
  drgan import text_encoder200.pth --out text_encoder.safetensors
  drgan import netG_epoch_600.pth --as generator --out netG.safetensors
  drgan import emoji.safetensors --out emoji-f32.safetensors
  drgan import runs/emoji-64-s0-001/checkpoints/step-002400.safetensors --as discriminator --stage 0 --out d0.safetensors")]
    Import(ImportArgs),
}

/// Which run: its settings, its data, its folder.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Settings to start from.
    #[arg(long, default_value = "emoji-64", conflicts_with = "resume",
        value_parser = PossibleValuesParser::new(PRESETS.map(|(name, _)| name)))]
    pub preset: String,
    /// A TOML file of settings over the preset's.
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub config: Option<PathBuf>,
    /// One setting over those of preset and file, e.g. loss.lambda=2; repeatable. Flags of their own, such as --seed, are over it.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// CUB, COCO, a WebDataset tar or an image folder instead of the embedded emoji set.
    #[arg(long, value_name = "DIR_OR_TAR")]
    pub data: Option<PathBuf>,
    /// Resume a run from its last good checkpoint.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["out", "seed"])]
    pub resume: Option<PathBuf>,
    /// Seed of every random number, up to 2^64 - 1 [default: 0].
    #[arg(long, value_parser = whole::<u64>(of_setting("seed")))]
    pub seed: Option<u64>,
    /// Run folder [default: runs/PRESET-sSEED-NNN].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print the resolved settings, the parameters per network, the estimated time and memory, and stop.
    #[arg(long)]
    pub dry_run: bool,
    /// Start even where less memory is there than the run is estimated to need.
    #[arg(long)]
    pub force: bool,
    /// What convolutions and linear maps compute in: f32, or on a CUDA device tf32 or bf16 [default: f32].
    #[arg(long, value_name = "PRECISION")]
    pub precision: Option<Precision>,
    /// What computes.
    #[command(flatten)]
    pub compute: Compute,
}

/// Arguments of `drgan train`.
#[derive(Args, Debug)]
pub struct TrainArgs {
    /// Which run.
    #[command(flatten)]
    pub run: RunArgs,
    /// Generator steps.
    #[arg(long, value_parser = whole::<u64>(of_setting("train.steps")))]
    pub steps: Option<u64>,
    /// Start from this model file of `export`, or from `pretrained`, the model in this program, with its sizes: fine-tuning on pictures of
    /// one's own. Words that it lacks are added.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["resume", "encoders", "text_encoder"])]
    pub from_model: Option<PathBuf>,
    /// Take the encoders of this run of `pretrain`, and their settings, instead of training them.
    #[arg(long, value_name = "RUN", conflicts_with = "resume")]
    pub encoders: Option<PathBuf>,
    /// AttnGAN's text encoder (.pth or .safetensors), with its image encoder and vocabulary.
    #[arg(long, value_name = "FILE", requires_all = ["image_encoder", "vocabulary"], conflicts_with_all = ["encoders", "resume"])]
    pub text_encoder: Option<PathBuf>,
    /// AttnGAN's image encoder: Inception-v3 and its projection.
    #[arg(long, value_name = "FILE", requires = "text_encoder")]
    pub image_encoder: Option<PathBuf>,
    /// AttnGAN's captions.pickle, or a tokenizer.json.
    #[arg(long, value_name = "FILE", requires = "text_encoder")]
    pub vocabulary: Option<PathBuf>,
    /// Do not measure the trained generator at the end.
    #[arg(long)]
    pub no_evaluate: bool,
}

/// Arguments of `drgan pretrain`.
#[derive(Args, Debug)]
pub struct PretrainArgs {
    /// Which run.
    #[command(flatten)]
    pub run: RunArgs,
    /// Passes over the training images.
    #[arg(long, value_parser = whole::<u64>(of_setting("damsm.epochs")))]
    pub epochs: Option<u64>,
}

/// What computes.
#[derive(Args, Clone, Debug)]
pub struct Compute {
    /// Where to compute: cpu, cuda, cuda:N, or auto for the fastest that this build and machine have [default: auto].
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<DeviceRequest>,
    /// Threads that compute [default: one per physical core].
    #[arg(long, value_name = "N", value_parser = whole::<u16>(THREADS))]
    pub threads: Option<u16>,
}

/// Arguments of `drgan sample`.
#[derive(Args, Debug)]
pub struct SampleArgs {
    /// What to draw, one caption per row.
    #[arg(required_unless_present = "list")]
    pub captions: Vec<String>,
    /// Captions from a file: one per line, or, in a .jsonl, a text or an object with `text`, `caption` or `captions` per line; `-` for
    /// lines from standard input.
    #[arg(long = "captions", value_name = "FILE")]
    pub list: Option<PathBuf>,
    /// A run to draw with; `latest` is the newest in runs/ that can be drawn with.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["generator", "model"])]
    pub run: Option<PathBuf>,
    /// A model file to draw with, as `export` writes it [default: pretrained, the model in this program].
    #[arg(long, value_name = "FILE", conflicts_with = "generator")]
    pub model: Option<PathBuf>,
    /// A generator trained elsewhere (.pth or .safetensors), with its text encoder and vocabulary, instead of a run.
    #[arg(long, value_name = "FILE", requires_all = ["text_encoder", "vocabulary"])]
    pub generator: Option<PathBuf>,
    /// AttnGAN's text encoder (.pth or .safetensors).
    #[arg(long, value_name = "FILE", requires = "generator")]
    pub text_encoder: Option<PathBuf>,
    /// AttnGAN's captions.pickle, or a tokenizer.json.
    #[arg(long, value_name = "FILE", requires = "generator")]
    pub vocabulary: Option<PathBuf>,
    /// Factor on the logits of both masks [default: 0.25 for a generator in the released form, else 1].
    #[arg(long, value_name = "X", requires = "generator",
        value_parser = number(of_setting("generator.mask_logit_scale")))]
    pub mask_logit_scale: Option<f64>,
    /// The image to write: PNG, or with --interpolate an animated PNG or GIF.
    #[arg(long, value_name = "FILE", default_value = "samples.png")]
    pub out: PathBuf,
    /// Write one image per sample into this folder, with metadata.jsonl, instead of a grid; what is there already is not drawn again.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["out", "interpolate", "stages", "attention"])]
    pub out_dir: Option<PathBuf>,
    /// What the images of --out-dir are written as.
    #[arg(long, value_enum, default_value_t, requires = "out_dir")]
    pub format: FormatArg,
    /// An animation from caption to caption and, of several samples, from noise to noise, and a strip of it; see --frames.
    #[arg(long, conflicts_with_all = ["stages", "attention"])]
    pub interpolate: bool,
    /// Frames from one picture of --interpolate to the next.
    #[arg(long, value_name = "N", default_value_t = 16, requires = "interpolate", value_parser = whole::<u16>(FRAMES))]
    pub frames: u16,
    /// Draw noise beyond X again, e.g. 1: images vary less from noise to noise and are more often good.
    #[arg(long, value_name = "X", value_parser = number(TRUNCATION))]
    pub truncation: Option<f64>,
    /// Seed of the noise, up to 2^64 - 1: the same caption and seed give the same image.
    #[arg(long, default_value_t = 0, value_parser = whole::<u64>(of_setting("seed")))]
    pub seed: u64,
    /// Samples per caption.
    #[arg(long, default_value_t = 4, value_parser = whole::<u16>(COUNT))]
    pub count: u16,
    /// What to compute in.
    #[arg(long, value_enum, default_value_t)]
    pub precision: PrecisionArg,
    /// Show every stage's image, with a row per sample.
    #[arg(long)]
    pub stages: bool,
    /// Show the words' attention and each stage's two masks over the image, with a row per sample.
    #[arg(long)]
    pub attention: bool,
    /// What computes.
    #[command(flatten)]
    pub compute: Compute,
}

/// What `drgan sample --out-dir` writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// PNG, with caption, seed and model in its texts.
    #[default]
    Png,
    /// Lossless WebP.
    Webp,
}

impl From<FormatArg> for Format {
    fn from(arg: FormatArg) -> Self {
        match arg {
            FormatArg::Png => Self::Png,
            FormatArg::Webp => Self::Webp,
        }
    }
}

/// What `drgan sample` computes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PrecisionArg {
    /// Single precision.
    #[default]
    F32,
    /// Convolutions of factors of 10 bits of fraction, on CUDA devices alone.
    Tf32,
    /// Convolutions and linear maps of bfloat16 with sums in f32, on CUDA devices and on processors with AMX (about twice as fast there as
    /// f32); elsewhere f32, with a warning.
    Bf16,
    /// Double precision by the reference operations: slow, to check the others with.
    F64,
}

impl From<PrecisionArg> for Arithmetic {
    fn from(arg: PrecisionArg) -> Self {
        match arg {
            PrecisionArg::F32 => Self::Packed(Precision::F32),
            PrecisionArg::Tf32 => Self::Packed(Precision::Tf32),
            PrecisionArg::Bf16 => Self::Packed(Precision::Bf16),
            PrecisionArg::F64 => Self::Exact,
        }
    }
}

/// Arguments of `drgan export`.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// The run to write, or `pretrained`, the model in this program; `latest` is the newest in runs/ that can be drawn with [default: latest].
    #[arg(value_name = "RUN")]
    pub run: Option<PathBuf>,
    /// What to write: FILE.safetensors, with --onnx FILE.onnx, with --torch a folder.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Write state dicts under the released code's names, for PyTorch (docs/pytorch/drgan.py), in single precision.
    #[arg(long, conflicts_with_all = ["onnx", "weights", "card"])]
    pub torch: bool,
    /// Write text encoder and generator as one ONNX graph (opset 17), in single precision.
    #[arg(long, conflicts_with = "weights")]
    pub onnx: bool,
    /// What matrices and convolutions are kept in.
    #[arg(long, value_enum, default_value_t)]
    pub weights: WeightsArg,
    /// A text file to put first in the model card: data, licence, limits.
    #[arg(long, value_name = "FILE")]
    pub card: Option<PathBuf>,
}

/// What the weights of a model file are kept in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum WeightsArg {
    /// Half precision: half the size, and images that differ by a level of 255 or so.
    #[default]
    F16,
    /// Single precision: the run's own.
    F32,
}

/// Arguments of `drgan evaluate`.
#[derive(Args, Debug)]
pub struct EvaluateArgs {
    /// The run to measure; `latest` is the newest in runs/ that can be drawn with [default: latest].
    #[arg(long, value_name = "RUN")]
    pub run: Option<PathBuf>,
    /// A model file to measure instead of a run, or `pretrained`, the model in this program.
    #[arg(long, value_name = "FILE", conflicts_with = "run")]
    pub model: Option<PathBuf>,
    /// Seed of the noise, and of the untrained generator beside the model [default: the run's; 0 for a model].
    #[arg(long, value_parser = whole::<u64>(of_setting("seed")), requires = "model")]
    pub seed: Option<u64>,
    /// Where the run's data are now, if they were moved; the data to measure a model on.
    #[arg(long, value_name = "DIR_OR_TAR")]
    pub data: Option<PathBuf>,
    /// Write the scores as JSON to this file too; a run's are in its evaluation.json anyway.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Samples of held-out captions, and of training captions [default: the run's evaluate.samples].
    #[arg(long, value_name = "N", value_parser = whole::<usize>(Range::Whole(2, 1_000_000)))]
    pub samples: Option<usize>,
    /// Noise seeds per prompt of the attribute accuracies [default: the run's evaluate.seeds].
    #[arg(long, value_name = "N", value_parser = whole::<usize>(of_setting("evaluate.seeds")))]
    pub seeds: Option<usize>,
    /// What convolutions and linear maps compute in: f32, or on a CUDA device tf32 or bf16.
    #[arg(long, value_name = "PRECISION", default_value_t)]
    pub precision: Precision,
    /// What computes.
    #[command(flatten)]
    pub compute: Compute,
}

/// What `drgan data` can do.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Say what a data set is, what is missing or broken, and what to do next; exit status 1 if it cannot be used.
    #[command(after_help = "Example:
  drgan data verify data/birds")]
    Verify(VerifyArgs),
    /// Pack Fluent emoji into the WebDataset tar that is embedded in drgan.
    Emoji(EmojiArgs),
}

/// Arguments of `drgan data verify`.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// A folder or tar: CUB, COCO, images with captions, WebDataset.
    #[arg(value_name = "DIR_OR_TAR")]
    pub path: PathBuf,
}

/// Arguments of `drgan data emoji`.
#[derive(Args, Debug)]
pub struct EmojiArgs {
    /// The npm package @lobehub/fluent-emoji-3d: the .tgz of `npm pack`, or its folder.
    #[arg(long, value_name = "TGZ_OR_DIR")]
    pub fluent: PathBuf,
    /// The npm package emojibase-data: the .tgz of `npm pack`, or its folder.
    #[arg(long, value_name = "TGZ_OR_DIR")]
    pub emojibase: PathBuf,
    /// The tar to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Arguments of `drgan inspect`.
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// A .safetensors or .pth file; PyTorch's legacy and zip formats are told apart by what the file holds.
    pub file: PathBuf,
}

/// Arguments of `drgan import`.
#[derive(Args, Debug)]
pub struct ImportArgs {
    /// A .pth or .safetensors file: weights of others, a model file of `export`, a checkpoint of a run.
    pub file: PathBuf,
    /// What it is, where its names do not tell; which network to take of a model file or a checkpoint.
    #[arg(long = "as", value_enum, value_name = "NETWORK")]
    pub network: Option<NetworkArg>,
    /// Which of a checkpoint's discriminators, from 0, coarse to fine [default: the last].
    #[arg(long, value_name = "N", value_parser = whole::<usize>(STAGE))]
    pub stage: Option<usize>,
    /// The safetensors file to write. Tensors that no network of DR-GAN reads are kept.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// The networks that `drgan import` recognizes.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum NetworkArg {
    /// AttnGAN's bi-directional LSTM.
    TextEncoder,
    /// Inception-v3, torchvision's alone or AttnGAN's with its projection.
    ImageEncoder,
    /// A generator, in the paper's form or the released one.
    Generator,
    /// A discriminator of one stage, in the paper's form or the released one.
    Discriminator,
}

impl From<NetworkArg> for Network {
    fn from(arg: NetworkArg) -> Self {
        match arg {
            NetworkArg::TextEncoder => Self::TextEncoder,
            NetworkArg::ImageEncoder => Self::ImageEncoder,
            NetworkArg::Generator => Self::Generator,
            NetworkArg::Discriminator => Self::Discriminator,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed_and_its_help_names_every_preset() {
        let mut cli = Cli::command();
        cli.clone().debug_assert();
        let train = cli.find_subcommand_mut("train").unwrap().render_long_help().to_string();
        for (name, _) in PRESETS {
            assert!(train.contains(name), "{name} is missing in\n{train}");
        }
    }
}
