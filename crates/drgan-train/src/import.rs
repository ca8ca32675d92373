//! Weight files of other programs: which network a file holds, by names and shapes, and the metadata to keep with it.
use crate::error::TrainError;
use drgan_dnm::{DiscriminatorConfig, StageDiscriminator};
use drgan_infer::{Fit, pretrained};
use drgan_sdm::RealImagePath;
use drgan_tensor::internal::{counted, escaped};
use drgan_tensor::weights::{Metadata, Tensors};
use drgan_tensor::{FromConfig, Shapes, VarBuilder, Variant, parameter_shapes};
use drgan_text::{Backbone, InceptionV3, Projection};
use serde::{Deserialize, Serialize};

/// What a state dict belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Network {
    /// AttnGAN's bi-directional LSTM.
    TextEncoder,
    /// Inception-v3, torchvision's alone or AttnGAN's with its projection.
    ImageEncoder,
    /// A generator, in the paper's form or the released one.
    Generator,
    /// A discriminator of one stage, in the paper's form or the released one.
    Discriminator,
}

impl Network {
    /// Every network that can be recognized.
    pub const ALL: [Self; 4] = [Self::TextEncoder, Self::ImageEncoder, Self::Generator, Self::Discriminator];

    /// Its name, as in metadata and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::TextEncoder => "text-encoder",
            Self::ImageEncoder => "image-encoder",
            Self::Generator => "generator",
            Self::Discriminator => "discriminator",
        }
    }

    /// Names of tensors that this network has and no other.
    fn signature(self) -> &'static [&'static str] {
        match self {
            Self::TextEncoder => &["encoder.weight", "rnn.weight_ih_l0", "rnn.weight_hh_l0_reverse"],
            Self::ImageEncoder => &["Conv2d_1a_3x3.conv.weight", "Mixed_7c.branch_pool.conv.weight"],
            Self::Generator => &["ca_net.fc.weight", "h_net1.fc.0.weight", "img_net1.img.0.weight"],
            Self::Discriminator => &["img_code_s16.0.module.weight_bar", "UNCOND_DNET.outlogits.0.weight"],
        }
    }
}

/// A state dict, recognized.
#[derive(Clone, Debug)]
pub struct Recognized {
    /// The network that the state dict belongs to.
    pub network: Network,
    /// The network's configuration, read from the shapes, as JSON; null where the network has none.
    pub config: serde_json::Value,
    /// Remarks on what is or is not in the state dict.
    pub notes: Vec<String>,
    /// How the file's tensors fit the network.
    pub fit: Fit,
}

/// Compares a file's names and shapes with `network`, or with the network that they are of.
///
/// # Errors
/// No network is recognized, with the nearest and what it lacks; sizes that fit no configuration.
pub fn fit(shapes: &Shapes, network: Option<Network>) -> Result<Recognized, TrainError> {
    let network = match network {
        Some(network) => network,
        None => recognize(shapes)?,
    };
    let mut notes = Vec::new();
    let (fit, config) = match network {
        Network::TextEncoder => {
            let (cfg, fit) = pretrained::fit_text_encoder(shapes)?;
            (fit, json(&cfg)?)
        }
        Network::ImageEncoder => {
            let (needed, config) = image_encoder(shapes, &mut notes)?;
            (Fit::new(needed, shapes), config)
        }
        Network::Generator => {
            let (cfg, mut fit) = pretrained::fit_generator(shapes)?;
            if cfg.form == Variant::Released {
                notes.push(format!("mask_logit_scale {} taken, which no tensor shows", cfg.mask_logit_scale));
            }
            let real = parameter_shapes(|vb| RealImagePath::from_config(&cfg.real_image(), vb))?;
            if real.keys().any(|name| shapes.contains_key(name)) {
                notes.push("with the real image path's encoders".to_owned());
                fit = Fit::new(fit.needed.into_iter().chain(real).collect(), shapes);
            }
            (fit, json(&cfg)?)
        }
        Network::Discriminator => {
            let cfg = DiscriminatorConfig::from_shapes(shapes)?;
            let needed = parameter_shapes(|vb| StageDiscriminator::from_config(&cfg, vb))?;
            (Fit::new(needed, shapes), json(&cfg)?)
        }
    };
    Ok(Recognized { network, config, notes, fit })
}

fn json(cfg: &impl Serialize) -> Result<serde_json::Value, TrainError> {
    serde_json::to_value(cfg).map_err(|e| TrainError::Config(e.to_string()))
}

fn recognize(shapes: &Shapes) -> Result<Network, TrainError> {
    let lacks = |network: Network| {
        let absent = network.signature().iter().filter(|name| !shapes.contains_key(**name));
        absent.copied().collect::<Vec<_>>()
    };
    if let Some(network) = Network::ALL.into_iter().find(|network| lacks(*network).is_empty()) {
        return Ok(network);
    }
    let nearest = Network::ALL.into_iter().min_by_key(|network| lacks(*network).len());
    let first: Vec<_> = shapes.keys().take(5).map(|name| escaped(name).to_string()).collect();
    let more = if shapes.len() > first.len() { ", ..." } else { "" };
    let mut message = format!(
        "no network of DR-GAN is recognized in {} ({}{more})",
        counted(shapes.len(), "tensor[|s]"),
        first.join(", ")
    );
    if let Some(network) = nearest.filter(|network| lacks(*network).len() < network.signature().len()) {
        message +=
            &format!("; the nearest, {}, would also have {}", network.name(), lacks(network).join(", "));
    }
    Err(TrainError::Config(message))
}

/// Inception-v3, and the projection if there is one; or the projection alone, of whatever backbone, as checkpoints of runs have it.
fn image_encoder(
    shapes: &Shapes,
    notes: &mut Vec<String>,
) -> Result<(Shapes, serde_json::Value), TrainError> {
    let dims = |name: &str| shapes.get(name).map(Vec::as_slice);
    let projection = match (dims("emb_features.weight"), dims("emb_cnn_code.weight")) {
        (Some([words_dim, map, ..]), Some([_, pooled])) => Some((*words_dim, (*map, *pooled))),
        (Some([words_dim, map, ..]), _) => Some((*words_dim, (*map, 0))),
        _ => None,
    };
    let backbone = Network::ImageEncoder.signature().iter().any(|name| shapes.contains_key(*name));
    let (mut needed, mut channels) = (Shapes::new(), None);
    if backbone || projection.is_none() {
        needed = parameter_shapes(|vb| {
            let net = InceptionV3::new(vb)?;
            channels = Some((net.map_channels(), net.pooled_channels()));
            Ok(net)
        })?;
    }
    let Some((words_dim, own_channels)) = projection else {
        notes.push("the backbone alone, without DAMSM's projection".to_owned());
        return Ok((needed, serde_json::Value::Null));
    };
    if !backbone {
        notes.push("DAMSM's projection alone, without the backbone".to_owned());
    }
    let (map, pooled) = channels.unwrap_or(own_channels);
    needed.extend(parameter_shapes(|vb: VarBuilder<'static>| Projection::new(map, pooled, words_dim, vb))?);
    Ok((needed, serde_json::json!({ "words_dim": words_dim })))
}

/// Metadata of an imported file: `kind`, `config` (JSON), `source` (the file's name).
///
/// # Errors
/// None that a recognized file could cause.
pub fn metadata(found: &Recognized, source: &str) -> Result<Metadata, TrainError> {
    let config = serde_json::to_string(&found.config).map_err(|e| TrainError::Config(e.to_string()))?;
    let entries =
        [("kind", found.network.name().to_owned()), ("config", config), ("source", source.to_owned())];
    Ok(entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
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
    use drgan_infer::pretrained::AUTHORS_SCALE;
    use drgan_sdm::{GeneratorConfig, StageGenerator};
    use drgan_text::{BiLstmEncoder, TextEncoderConfig};

    #[test]
    fn networks_are_recognized_by_their_names() -> Result<(), TrainError> {
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
            (found.fit.missing.len(), found.fit.left_over),
            (0, vec!["h_net2.global_reduction.0.weight".to_owned()])
        );

        let d =
            DiscriminatorConfig { form: Variant::Released, side: 32, base: 16, ndf: 2, ..Default::default() };
        let mut shapes = parameter_shapes(|vb| StageDiscriminator::from_config(&d, vb))?;
        shapes.remove("global_reduction.1.bias");
        let found = fit(&shapes, None)?;
        assert_eq!(
            (found.network, found.fit.missing),
            (Network::Discriminator, vec!["global_reduction.1.bias [256]".to_owned()])
        );

        let t = TextEncoderConfig { vocab_size: 9, embedding: 4, words_dim: 6, ..Default::default() };
        let shapes = parameter_shapes(|vb| BiLstmEncoder::from_config(&t, vb))?;
        let found = fit(&shapes, None)?;
        assert_eq!((found.network, found.fit.missing.len()), (Network::TextEncoder, 0));
        assert_eq!(serde_json::from_value::<TextEncoderConfig>(found.config).unwrap(), t);

        let mut shapes = parameter_shapes(InceptionV3::new)?;
        shapes.insert("fc.weight".into(), vec![1000, 2048]);
        let found = fit(&shapes, None)?;
        assert_eq!(
            (found.network, found.fit.missing.len(), found.fit.left_over.len()),
            (Network::ImageEncoder, 0, 1)
        );
        Ok(())
    }

    #[test]
    fn what_is_no_network_is_told_with_the_nearest() {
        let of = |names: &[&str]| names.iter().map(|n| ((*n).to_owned(), vec![1, 1])).collect::<Shapes>();
        let message = |names: &[&str]| fit(&of(names), None).unwrap_err().to_string();
        assert!(message(&["a.b", "c"]).contains("no network of DR-GAN is recognized in 2 tensors (a.b, c"));
        assert!(message(&["\u{1b}[2J"]).contains(r"in 1 tensor (\u{1b}[2J)"), "no escape reaches a terminal");
        assert!(
            message(&["encoder.weight"])
                .contains("the nearest, text-encoder, would also have rnn.weight_ih_l0")
        );
        let e = fit(&of(&["encoder.weight"]), Some(Network::TextEncoder)).unwrap_err().to_string();
        assert!(e.contains("rnn.weight_hh_l0"), "{e}");
    }
}
