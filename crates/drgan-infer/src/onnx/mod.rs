//! A model as an ONNX graph: captions' token ids and noise in, images out.
//!
//! | input | type and shape | what |
//! |---|---|---|
//! | `tokens` | int64 `(batch, words)` | token ids; 0 behind a caption's words |
//! | `lengths` | int32 `(batch,)` | words of each caption, 1 to `words` |
//! | `noise` | float `(batch, nz)` | standard normal z |
//! | `condition_noise` | float `(batch, nc)` | standard normal epsilon of the conditioning augmentation |
//!
//! Outputs are `image16`, `image32`, ...: float `(batch, 3, side, side)` in `[-1, 1]`, one per stage. Batch and words may be any. The
//! tokenizer is in the file's metadata under `drgan.tokenizer`, as a `tokenizer.json`. Batch norms are folded into the convolutions
//! before them. Operators are those of opset 17.
mod graph;
mod layers;
mod proto;

use crate::Model;
use drgan_sdm::GeneratorConfig;
use drgan_tensor::weights::Tensors;
use drgan_tensor::{Result, Variant};
use graph::{Attribute, Dim, Graph, Value};
use layers::{Weights, bi_lstm, conv, glu, halves, linear, residual_blocks, up_block};
use prost::Message;
use proto::{ElementType, ModelProto, OperatorSetIdProto, StringStringEntryProto};

/// The version of ONNX's operators that a graph uses.
pub const OPSET: i64 = 17;
/// The version of ONNX's file format with that opset.
const IR_VERSION: i64 = 8;
/// What padding's scores are lowered by, as in the word attention's reference.
const EXCLUDED: f32 = -1e9;
/// Slope of the released form's LeakyReLU, as PRelu takes it.
const SLOPE: f32 = 0.2;

/// The bytes of an ONNX file of the whole model.
///
/// # Errors
/// A text encoder of another kind than the bi-directional LSTM; weights that the configuration asks for and the model has not.
pub fn to_bytes(model: &Model) -> Result<Vec<u8>> {
    let (config, tokenizer) = (model.config(), model.captions().tokenizer().to_json()?);
    let mut g = Graph::new("dr-gan");
    let inputs = Inputs::new(&mut g, &config.generator);
    let (text, generator): (Tensors, Tensors) =
        (model.captions().weights().views(), model.generator().views());
    let features = encode(&mut g, &inputs, &Weights::new(&text), config.text.words_dim)?;
    generate(&mut g, &inputs, &features, &Weights::new(&generator), &config.generator)?;
    let entry = |key: &str, value: String| StringStringEntryProto { key: key.to_owned(), value };
    let config_json = serde_json::to_string(config).map_err(candle_core::Error::wrap)?;
    let mut metadata = vec![entry("drgan.config", config_json), entry("drgan.tokenizer", tokenizer)];
    if !model.card().is_empty() {
        metadata.push(entry("drgan.card", model.card().to_owned()));
    }
    let proto = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "drgan".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(g.into_proto()),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        metadata_props: metadata,
    };
    Ok(proto.encode_to_vec())
}

/// The graph's inputs.
struct Inputs {
    tokens: Value,
    lengths: Value,
    noise: Value,
    condition_noise: Value,
}

impl Inputs {
    fn new(g: &mut Graph, cfg: &GeneratorConfig) -> Self {
        let (batch, words) = (Dim::Any("batch"), Dim::Any("words"));
        Self {
            tokens: g.input("tokens", ElementType::Int64, &[batch, words]),
            lengths: g.input("lengths", ElementType::Int32, &[batch]),
            noise: g.input("noise", ElementType::Float, &[batch, Dim::Fixed(cfg.nz)]),
            condition_noise: g.input("condition_noise", ElementType::Float, &[batch, Dim::Fixed(cfg.nc)]),
        }
    }
}

/// What the generator reads of the captions.
struct Features {
    /// Word features, `(B, D, T)`.
    words: Value,
    /// Sentence embeddings, `(B, D)`.
    sentence: Value,
    /// 1 at padding, else 0: float `(B, 1, T)`.
    padding: Value,
}

/// The text encoder: embedding and bi-directional LSTM.
fn encode(g: &mut Graph, inputs: &Inputs, text: &Weights<'_>, words_dim: usize) -> Result<Features> {
    let embedding = g.weights("encoder.weight", &text.pp("encoder").get("weight")?)?;
    let x = g.op("Gather", &[&embedding, &inputs.tokens], &[]); // (B, T, I)
    let x = g.op("Transpose", &[&x], &[("perm", Attribute::Ints(&[1, 0, 2]))]);
    let [states, last] = bi_lstm(g, &x, &inputs.lengths, &text.pp("rnn"))?;
    let d = words_dim as i64;
    let words = g.op("Transpose", &[&states], &[("perm", Attribute::Ints(&[2, 1, 3, 0]))]); // (B, 2, H, T)
    let shape = g.integers(&[0, d, -1])?;
    let words = g.op("Reshape", &[&words, &shape], &[]);
    let sentence = g.op("Transpose", &[&last], &[("perm", Attribute::Ints(&[1, 0, 2]))]); // (B, 2, H)
    let shape = g.integers(&[0, d])?;
    let sentence = g.op("Reshape", &[&sentence, &shape], &[]);

    // Where a word's place is not below its caption's length.
    let shape = g.op("Shape", &[&inputs.tokens], &[]);
    let one = g.integers(&[1])?;
    let count = g.op("Gather", &[&shape, &one], &[]); // (1,)
    let zeros = g.op("ConstantOfShape", &[&count], &[]); // (T,)
    let one = g.floats(&[], &[1.])?;
    let ones = g.op("Add", &[&zeros, &one], &[]);
    let (axis, shape) = (g.integers(&[0])?, g.integers(&[])?);
    let axis = g.op("Reshape", &[&axis, &shape], &[]); // a scalar
    let place = g.op("CumSum", &[&ones, &axis], &[]); // 1, 2, ..., T
    let lengths = g.op("Cast", &[&inputs.lengths], &[("to", Attribute::Int(ElementType::Float as i64))]);
    let axes = g.integers(&[1, 2])?;
    let lengths = g.op("Unsqueeze", &[&lengths, &axes], &[]); // (B, 1, 1)
    let padding = g.op("Greater", &[&place, &lengths], &[]);
    let padding = g.op("Cast", &[&padding], &[("to", Attribute::Int(ElementType::Float as i64))]); // (B, 1, T)
    Ok(Features { words, sentence, padding })
}

/// The generator: an output per stage.
fn generate(
    g: &mut Graph,
    inputs: &Inputs,
    text: &Features,
    weights: &Weights<'_>,
    cfg: &GeneratorConfig,
) -> Result<()> {
    let c = condition(g, inputs, text, &weights.pp("ca_net").pp("fc"))?;
    let mut h = first_stage(g, inputs, &c, &weights.pp("h_net1"), cfg)?;
    for stage in 0..cfg.stages {
        if stage > 0 {
            h = refine(g, &h, text, &weights.pp(format!("h_net{}", stage + 1)), cfg)?;
        }
        let image = image_head(g, &h, &weights.pp(format!("img_net{}", stage + 1)).pp("img"), cfg.form)?;
        let side = cfg.side(stage);
        let shape = [Dim::Any("batch"), Dim::Fixed(3), Dim::Fixed(side), Dim::Fixed(side)];
        g.output(&format!("image{side}"), &image, &shape);
    }
    Ok(())
}

/// `c = mu + epsilon exp(logvar / 2)`.
fn condition(g: &mut Graph, inputs: &Inputs, text: &Features, fc: &Weights<'_>) -> Result<Value> {
    let y = linear(g, &text.sentence, fc, None)?;
    let y = glu(g, &y);
    let [mu, logvar] = halves(g, &y);
    let half = g.floats(&[], &[0.5])?;
    let deviation = g.op("Mul", &[&logvar, &half], &[]);
    let deviation = g.op("Exp", &[&deviation], &[]);
    let noise = g.op("Mul", &[&inputs.condition_noise, &deviation], &[]);
    Ok(g.op("Add", &[&mu, &noise], &[]))
}

fn first_stage(
    g: &mut Graph,
    inputs: &Inputs,
    c: &Value,
    stage: &Weights<'_>,
    cfg: &GeneratorConfig,
) -> Result<Value> {
    let x = g.op("Concat", &[c, &inputs.noise], &[("axis", Attribute::Int(1))]);
    let x = linear(g, &x, &stage.pp("fc.0"), Some(&stage.pp("fc.1")))?;
    let x = glu(g, &x);
    let shape = g.integers(&[0, (cfg.ngf * cfg.base / 4) as i64, 4, 4])?;
    let mut x = g.op("Reshape", &[&x, &shape], &[]);
    for k in 0..(cfg.base / 4).ilog2() {
        x = up_block(g, &x, &stage.pp(format!("upsample{}", k + 1)))?;
    }
    Ok(x)
}

fn refine(
    g: &mut Graph,
    h: &Value,
    text: &Features,
    stage: &Weights<'_>,
    cfg: &GeneratorConfig,
) -> Result<Value> {
    let context = attend(g, h, text, &stage.pp("att.conv_context"), cfg.ngf)?;
    let context = residual_blocks(g, &context, cfg.residual_blocks, &stage.pp("residual0"))?;
    let image = key_part(g, h, &stage.pp("reduct_demension2"), cfg)?;
    let context = key_part(g, &context, &stage.pp("reduct_demension"), cfg)?;
    let joint = g.op("Concat", &[&image, &context], &[("axis", Attribute::Int(1))]);
    let joint = residual_blocks(g, &joint, cfg.residual_blocks, &stage.pp("residual"))?;
    up_block(g, &joint, &stage.pp("upsample"))
}

/// What each pixel of `h` reads of the words.
fn attend(
    g: &mut Graph,
    h: &Value,
    text: &Features,
    conv_context: &Weights<'_>,
    ngf: usize,
) -> Result<Value> {
    let c = ngf as i64;
    let weight = conv_context.get("weight")?.squeeze(3)?.squeeze(2)?; // (C, D)
    let weight = g.weights(&conv_context.name("weight"), &weight)?;
    let w = g.op("MatMul", &[&weight, &text.words], &[]); // (B, C, T)
    let one = g.floats(&[], &[1.])?;
    let kept = g.op("Sub", &[&one, &text.padding], &[]);
    let w = g.op("Mul", &[&w, &kept], &[]);
    let shape = g.integers(&[0, c, -1])?;
    let flat = g.op("Reshape", &[h, &shape], &[]); // (B, C, HW)
    let pixels = g.op("Transpose", &[&flat], &[("perm", Attribute::Ints(&[0, 2, 1]))]);
    let scores = g.op("MatMul", &[&pixels, &w], &[]); // (B, HW, T)
    let excluded = g.floats(&[], &[EXCLUDED])?;
    let hidden = g.op("Mul", &[&text.padding, &excluded], &[]);
    let scores = g.op("Add", &[&scores, &hidden], &[]);
    let theta = g.op("Softmax", &[&scores], &[("axis", Attribute::Int(2))]);
    let theta = g.op("Transpose", &[&theta], &[("perm", Attribute::Ints(&[0, 2, 1]))]); // (B, T, HW)
    let context = g.op("MatMul", &[&w, &theta], &[]); // (B, C, HW)
    let shape = g.op("Shape", &[h], &[]);
    Ok(g.op("Reshape", &[&context, &shape], &[]))
}

/// `x sigmoid(k logits(x))`.
fn key_part(g: &mut Graph, x: &Value, mask: &Weights<'_>, cfg: &GeneratorConfig) -> Result<Value> {
    let logits = match cfg.form {
        Variant::Paper => {
            let y = conv(g, x, &mask.pp(0), None)?;
            let y = g.op("Relu", &[&y], &[]);
            conv(g, &y, &mask.pp(3), None)?
        }
        Variant::Released => {
            let y = conv(g, x, &mask.pp(0), Some(&mask.pp(1)))?;
            let slope = g.floats(&[], &[SLOPE])?;
            let y = g.op("PRelu", &[&y, &slope], &[]);
            conv(g, &y, &mask.pp(3), Some(&mask.pp(4)))?
        }
    };
    let scale = g.floats(&[], &[cfg.mask_logit_scale as f32])?;
    let logits = g.op("Mul", &[&logits, &scale], &[]);
    let mask = g.op("Sigmoid", &[&logits], &[]);
    Ok(g.op("Mul", &[x, &mask], &[]))
}

fn image_head(g: &mut Graph, h: &Value, img: &Weights<'_>, form: Variant) -> Result<Value> {
    let normalized: &[usize] = if form == Variant::Released { &[0, 3] } else { &[] };
    let mut x = h.clone();
    for at in normalized {
        x = conv(g, &x, &img.pp(at), Some(&img.pp(at + 1)))?;
        x = g.op("Tanh", &[&x], &[]);
    }
    let last = if normalized.is_empty() { 0 } else { 6 };
    let x = conv(g, &x, &img.pp(last), None)?;
    Ok(g.op("Tanh", &[&x], &[]))
}
