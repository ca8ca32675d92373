//! Weights of others: what a file holds, by its names and shapes, and the same as safetensors with our metadata.
use crate::error::TrainError;
use candle_core::Tensor;
use drgan_dnm::{DiscriminatorConfig, StageDiscriminator};
use drgan_sdm::{GeneratorConfig, RealImagePath, StageGenerator};
use drgan_tensor::weights::{Metadata, Tensors, WeightFile};
use drgan_tensor::{FromConfig, Shapes, VarBuilder, Variant, parameter_shapes};
use drgan_text::{Backbone, BiLstmEncoder, InceptionV3, Projection, TextEncoderConfig};
use serde::{Deserialize, Serialize};

/// What a state dict belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// AttnGAN's bi-directional LSTM.
    TextEncoder,
    /// Inception-v3, torchvision's alone or AttnGAN's with its projection.
    ImageEncoder,
    /// A generator, the authors' or ours.
    Generator,
    /// A discriminator of one stage, the authors' or ours.
    Discriminator,
}

impl Network {
    const ALL: [Self; 4] = [Self::TextEncoder, Self::ImageEncoder, Self::Generator, Self::Discriminator];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::TextEncoder => "text-encoder",
            Self::ImageEncoder => "image-encoder",
            Self::Generator => "generator",
            Self::Discriminator => "discriminator",
        }
    }

    /// Names that this network has and no other.
    fn signature(self) -> &'static [&'static str] {
        match self {
            Self::TextEncoder => &["encoder.weight", "rnn.weight_ih_l0", "rnn.weight_hh_l0_reverse"],
            Self::ImageEncoder => &["Conv2d_1a_3x3.conv.weight", "Mixed_7c.branch_pool.conv.weight"],
            Self::Generator => &["ca_net.fc.weight", "h_net1.fc.0.weight", "img_net1.img.0.weight"],
            Self::Discriminator => &["img_code_s16.0.module.weight_bar", "UNCOND_DNET.outlogits.0.weight"],
        }
    }
}

/// The authors divide mask logits by the batch: 4 where they evaluate birds (10 for COCO).
pub const AUTHORS_SCALE: f64 = 0.25;

/// How a state dict fits a network of ours.
#[derive(Clone, Debug)]
pub struct Fit {
    /// What it is.
    pub network: Network,
    /// Its configuration, from shapes, as JSON; null where the network has none.
    pub config: serde_json::Value,
    /// Remarks on what is or is not in it.
    pub notes: Vec<String>,
    /// Tensors the network takes.
    pub used: Shapes,
    /// Tensors it needs and the file has not, or in another shape: name, and what was expected and found.
    pub missing: Vec<String>,
    /// Tensors of the file that nothing of ours reads; they are kept.
    pub left_over: Vec<String>,
}

/// Holds a file's names and shapes against `network`, or against the network that they are of.
///
/// # Errors
/// No network is recognised, with the nearest and what it lacks; sizes that fit no configuration.
pub fn fit(shapes: &Shapes, network: Option<Network>) -> Result<Fit, TrainError> {
    let network = match network {
        Some(network) => network,
        None => recognise(shapes)?,
    };
    let mut notes = Vec::new();
    let (needed, config) = match network {
        Network::TextEncoder => {
            let cfg = text_config(shapes)?;
            (parameter_shapes(|vb| BiLstmEncoder::from_config(&cfg, vb))?, json(&cfg)?)
        }
        Network::ImageEncoder => image_encoder(shapes, &mut notes)?,
        Network::Generator => {
            let mut cfg = GeneratorConfig::from_shapes(shapes)?;
            if cfg.form == Variant::Released {
                cfg.mask_logit_scale = AUTHORS_SCALE;
                notes.push(format!("mask_logit_scale {AUTHORS_SCALE} taken, which no tensor shows"));
            }
            let mut needed = parameter_shapes(|vb| StageGenerator::from_config(&cfg, vb))?;
            let real = parameter_shapes(|vb| RealImagePath::from_config(&cfg.real_image(), vb))?;
            if real.keys().any(|name| shapes.contains_key(name)) {
                notes.push("with the real image path's encoders".to_owned());
                needed.extend(real);
            }
            (needed, json(&cfg)?)
        }
        Network::Discriminator => {
            let cfg = DiscriminatorConfig::from_shapes(shapes)?;
            (parameter_shapes(|vb| StageDiscriminator::from_config(&cfg, vb))?, json(&cfg)?)
        }
    };
    let mut missing = Vec::new();
    for (name, want) in &needed {
        match shapes.get(name) {
            Some(got) if got == want => {}
            Some(got) => missing.push(format!("{name}: expected {want:?}, the file has {got:?}")),
            None => missing.push(format!("{name} {want:?}")),
        }
    }
    let left_over = shapes.keys().filter(|name| !needed.contains_key(*name)).cloned().collect();
    Ok(Fit { network, config, notes, used: needed, missing, left_over })
}

fn json(cfg: &impl Serialize) -> Result<serde_json::Value, TrainError> {
    serde_json::to_value(cfg).map_err(|e| TrainError::Config(e.to_string()))
}

fn recognise(shapes: &Shapes) -> Result<Network, TrainError> {
    let lacks = |network: Network| {
        let absent = network.signature().iter().filter(|name| !shapes.contains_key(**name));
        absent.copied().collect::<Vec<_>>()
    };
    if let Some(network) = Network::ALL.into_iter().find(|network| lacks(*network).is_empty()) {
        return Ok(network);
    }
    let nearest = Network::ALL.into_iter().min_by_key(|network| lacks(*network).len());
    let first: Vec<_> = shapes.keys().take(5).map(String::as_str).collect();
    let mut message =
        format!("no network of ours is recognised in {} tensors ({}, ...)", shapes.len(), first.join(", "));
    if let Some(network) = nearest.filter(|network| lacks(*network).len() < network.signature().len()) {
        message +=
            &format!("; the nearest, {}, would also have {}", network.name(), lacks(network).join(", "));
    }
    Err(TrainError::Config(message))
}

/// The text encoder's sizes.
fn text_config(shapes: &Shapes) -> Result<TextEncoderConfig, TrainError> {
    let dims = |name: &str| match shapes.get(name).map(Vec::as_slice) {
        Some(&[a, b]) => Ok((a, b)),
        _ => Err(TrainError::Config(format!("a text encoder has a matrix `{name}`"))),
    };
    let (vocab_size, embedding) = dims("encoder.weight")?;
    let (_, hidden) = dims("rnn.weight_hh_l0")?;
    Ok(TextEncoderConfig { vocab_size, embedding, words_dim: 2 * hidden, ..Default::default() })
}

/// Inception-v3, and the projection if there is one.
fn image_encoder(
    shapes: &Shapes,
    notes: &mut Vec<String>,
) -> Result<(Shapes, serde_json::Value), TrainError> {
    let mut channels = (0, 0);
    let mut needed = parameter_shapes(|vb| {
        let net = InceptionV3::new(vb)?;
        channels = (net.map_channels(), net.pooled_channels());
        Ok(net)
    })?;
    let Some(words_dim) = shapes.get("emb_features.weight").and_then(|d| d.first().copied()) else {
        notes.push("the backbone alone, without DAMSM's projection".to_owned());
        return Ok((needed, serde_json::Value::Null));
    };
    needed.extend(parameter_shapes(|vb: VarBuilder<'static>| {
        Projection::new(channels.0, channels.1, words_dim, vb)
    })?);
    Ok((needed, serde_json::json!({ "words_dim": words_dim })))
}

/// Metadata of an imported file: `kind`, `config` (JSON), `source` (the file's name).
///
/// # Errors
/// The configuration is no JSON.
pub fn metadata(fit: &Fit, source: &str) -> Result<Metadata, TrainError> {
    let config = serde_json::to_string(&fit.config).map_err(|e| TrainError::Config(e.to_string()))?;
    let entries =
        [("kind", fit.network.name().to_owned()), ("config", config), ("source", source.to_owned())];
    Ok(entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
}

/// A tensor in a line: name, type, shape, and of floats the smallest, largest and root mean square value.
///
/// # Errors
/// Whatever candle reports.
pub fn line(name: &str, t: &Tensor, width: usize) -> Result<String, TrainError> {
    let mut line = format!(
        "{name:width$}  {:5}  {:20}",
        format!("{:?}", t.dtype()).to_lowercase(),
        format!("{:?}", t.dims())
    );
    if t.dtype().is_float() && t.elem_count() > 0 {
        let values = t.flatten_all()?.to_vec1::<f32>()?;
        let (low, high) =
            values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
        let rms = (values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
        line += &format!("  {low:10.4}  {high:10.4}  {rms:10.4}");
        if let Some(bad) = values.iter().find(|v| !v.is_finite()) {
            line += &format!("  holds {bad}");
        }
    }
    Ok(line.trim_end().to_owned())
}

/// The table of `drgan inspect`.
///
/// # Errors
/// Whatever candle reports.
pub fn table(opened: &WeightFile) -> Result<String, TrainError> {
    let width = opened.tensors.keys().map(|n| n.chars().count()).chain([4]).max().unwrap_or(4);
    let head = ["tensor", "type", "shape", "min", "max", "rms"];
    let mut text = format!(
        "{:width$}  {:5}  {:20}  {:>10}  {:>10}  {:>10}\n",
        head[0], head[1], head[2], head[3], head[4], head[5]
    );
    for (name, t) in &opened.tensors {
        text += &(line(name, t, width)? + "\n");
    }
    let values: usize = opened.tensors.values().map(Tensor::elem_count).sum();
    text += &format!("{}: {} tensors, {values} values\n", opened.format, opened.tensors.len());
    for (key, value) in &opened.metadata {
        text += &format!("{key}: {value}\n");
    }
    Ok(text)
}

/// What an import maps, misses and keeps.
pub fn report(fit: &Fit) -> String {
    let mut text = fit.network.name().to_owned();
    for note in &fit.notes {
        text += &format!(", {note}");
    }
    text += &format!(
        "\nconfiguration  {}\nmapped         {} tensors\n",
        fit.config,
        fit.used.len() - fit.missing.len()
    );
    for name in &fit.missing {
        text += &format!("missing        {name}\n");
    }
    for (group, count) in groups(&fit.left_over) {
        text += &format!("kept, unused   {count:4}  {group}\n");
    }
    text
}

/// Left-over names by what stands in front of their last parts: hundreds of lines help nobody.
fn groups(names: &[String]) -> Vec<(String, usize)> {
    let mut groups: Vec<(String, usize)> = Vec::new();
    for name in names {
        let group = if name.ends_with(".num_batches_tracked") {
            "*.num_batches_tracked".to_owned()
        } else {
            let parts: Vec<&str> = name.split('.').collect();
            let kept = parts.len().saturating_sub(1).clamp(1, 2);
            format!("{}.*", parts[..kept].join("."))
        };
        match groups.iter_mut().find(|(g, _)| *g == group) {
            Some((_, count)) => *count += 1,
            None => groups.push((group, 1)),
        }
    }
    groups
}

/// The tensors to write: all of them, contiguous.
///
/// # Errors
/// Whatever candle reports.
pub fn contiguous(tensors: Tensors) -> Result<Tensors, TrainError> {
    Ok(tensors.into_iter().map(|(n, t)| Ok((n, t.contiguous()?))).collect::<candle_core::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_recognised_by_their_names() -> Result<(), TrainError> {
        let g = GeneratorConfig {
            form: Variant::Released,
            mask_logit_scale: AUTHORS_SCALE,
            base: 16,
            stages: 2,
            ngf: 8,
            ..Default::default()
        };
        let mut shapes = parameter_shapes(|vb| StageGenerator::from_config(&g, vb))?;
        shapes.insert("h_net2.global_reduction.0.weight".into(), vec![8, 8, 1, 1]);
        let found = fit(&shapes, None)?;
        assert_eq!(found.network, Network::Generator);
        assert_eq!(serde_json::from_value::<GeneratorConfig>(found.config).unwrap(), g);
        assert_eq!(
            (found.missing.len(), found.left_over),
            (0, vec!["h_net2.global_reduction.0.weight".to_owned()])
        );

        let d =
            DiscriminatorConfig { form: Variant::Released, side: 32, base: 16, ndf: 2, ..Default::default() };
        let mut shapes = parameter_shapes(|vb| StageDiscriminator::from_config(&d, vb))?;
        shapes.remove("global_reduction.1.bias");
        let found = fit(&shapes, None)?;
        assert_eq!(
            (found.network, found.missing),
            (Network::Discriminator, vec!["global_reduction.1.bias [256]".to_owned()])
        );

        let t = TextEncoderConfig { vocab_size: 9, embedding: 4, words_dim: 6, ..Default::default() };
        let shapes = parameter_shapes(|vb| BiLstmEncoder::from_config(&t, vb))?;
        let found = fit(&shapes, None)?;
        assert_eq!((found.network, found.missing.len()), (Network::TextEncoder, 0));
        assert_eq!(serde_json::from_value::<TextEncoderConfig>(found.config).unwrap(), t);

        let mut shapes = parameter_shapes(InceptionV3::new)?;
        shapes.insert("fc.weight".into(), vec![1000, 2048]);
        let found = fit(&shapes, None)?;
        assert_eq!(
            (found.network, found.missing.len(), found.left_over.len()),
            (Network::ImageEncoder, 0, 1)
        );
        Ok(())
    }

    #[test]
    fn what_is_no_network_of_ours_is_told_with_the_nearest() {
        let of = |names: &[&str]| names.iter().map(|n| ((*n).to_owned(), vec![1, 1])).collect::<Shapes>();
        let message = |names: &[&str]| fit(&of(names), None).unwrap_err().to_string();
        assert!(message(&["a.b", "c"]).contains("no network of ours is recognised in 2 tensors (a.b, c"));
        assert!(
            message(&["encoder.weight"])
                .contains("the nearest, text-encoder, would also have rnn.weight_ih_l0")
        );
        let e = fit(&of(&["encoder.weight"]), Some(Network::TextEncoder)).unwrap_err().to_string();
        assert!(e.contains("rnn.weight_hh_l0"), "{e}");
    }

    #[test]
    fn left_over_names_are_shown_in_groups() {
        let names = ["a.b.num_batches_tracked", "c.num_batches_tracked", "h.x.0.weight", "h.x.0.bias", "z"];
        let shown = groups(&names.map(str::to_owned));
        let want = [("*.num_batches_tracked", 2), ("h.x.*", 2), ("z.*", 1)];
        assert_eq!(shown, want.map(|(g, n)| (g.to_owned(), n)));
    }
}
