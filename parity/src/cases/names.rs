//! Lists of the authors' parameter names and shapes, compared with what our modules ask for.
use super::Place;
use crate::{Outcome, Row};
use anyhow::{Context, Result, bail};
use drgan_dnm::{DiscriminatorConfig, StageDiscriminator};
use drgan_sdm::{GeneratorConfig, RealImagePath, StageGenerator};
use drgan_tensor::{FromConfig, Shapes, parameter_shapes};
use drgan_text::{BackboneKind, DamsmImageEncoder, ImageEncoderConfig};
use std::path::Path;

/// Channels of the features that the authors' image encoder shares with text.
const DIMS: usize = 256;

/// Whether `NAME.shapes.json` lists the parameters of a network of this workspace.
pub(super) fn is_known(name: &str) -> bool {
    network(name).is_ok()
}

enum Network {
    Generator,
    Discriminator(usize),
    ImageEncoder,
}

fn network(name: &str) -> Result<Network> {
    Ok(match name {
        "generator" => Network::Generator,
        "image_encoder" => Network::ImageEncoder,
        _ => {
            let side = name.strip_prefix("discriminator").and_then(|side| side.parse().ok());
            Network::Discriminator(
                side.with_context(|| format!("`{name}` is not a network of this workspace"))?,
            )
        }
    })
}

/// `[["name", [shape]], ...]`.
pub(super) fn shapes_json(place: &Place<'_>) -> Result<Vec<Row>> {
    let name = place.name.strip_suffix(".shapes.json").unwrap_or(place.name);
    compare(&network(name)?, &read_json(&place.path())?)
}

pub(super) fn read_json(path: &Path) -> Result<Shapes> {
    let listed: Vec<(String, Vec<usize>)> = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    Ok(listed.into_iter().collect())
}

/// Lines of `name TAB [shape]`; `keys_netG_DATA.txt` is a generator, `keys_netD0_DATA.txt` the discriminator of 64, ....
pub(super) fn keys_txt(place: &Place<'_>) -> Result<Vec<Row>> {
    let text = std::fs::read_to_string(place.path())?;
    let line = |line: &str| -> Result<(String, Vec<usize>)> {
        let (name, shape) = line.split_once('\t').with_context(|| format!("no tab in `{line}`"))?;
        Ok((name.to_owned(), serde_json::from_str(shape)?))
    };
    let listed = text.lines().filter(|l| !l.trim().is_empty()).map(line).collect::<Result<_>>()?;
    let kind = place.name.strip_prefix("keys_net").unwrap_or_default();
    let network = match kind.split('_').next().unwrap_or_default() {
        "G" => Network::Generator,
        d => match d.strip_prefix('D').and_then(|stage| stage.parse::<u32>().ok()).filter(|stage| *stage < 8)
        {
            Some(stage) => Network::Discriminator(64 << stage),
            None => bail!("`{}` names neither netG nor netD0, netD1, ...", place.name),
        },
    };
    compare(&network, &listed)
}

/// Two rows: all that the network asks for is listed with its shape, and all else in the list is known to be unused.
fn compare(network: &Network, listed: &Shapes) -> Result<Vec<Row>> {
    let asked = expected(network, listed)?;
    let absent: Vec<&str> =
        asked.iter().filter(|(n, s)| listed.get(*n) != Some(s)).map(|(n, _)| n.as_str()).collect();
    let surplus: Vec<&str> = listed
        .keys()
        .map(String::as_str)
        .filter(|n| !asked.contains_key(*n) && !unused(network, n))
        .collect();
    let row = |what: String, wrong: &[&str]| match wrong.first() {
        None => Row::new(&what, Outcome::Present),
        Some(first) => Row::failed(&what, format!("{} are not as listed, first `{first}`", wrong.len())),
    };
    let left = listed.len().saturating_sub(asked.len());
    Ok(vec![row(format!("{} used", asked.len()), &absent), row(format!("{left} unused"), &surplus)])
}

fn expected(network: &Network, listed: &Shapes) -> Result<Shapes> {
    Ok(match network {
        Network::Generator => {
            let cfg = GeneratorConfig::from_shapes(listed)?;
            let mut shapes = parameter_shapes(|vb| StageGenerator::from_config(&cfg, vb))?;
            shapes.extend(parameter_shapes(|vb| RealImagePath::from_config(&cfg.real_image(), vb))?);
            shapes
        }
        Network::Discriminator(side) => {
            let cfg = DiscriminatorConfig { side: *side, ..DiscriminatorConfig::from_shapes(listed)? };
            parameter_shapes(|vb| StageDiscriminator::from_config(&cfg, vb))?
        }
        Network::ImageEncoder => {
            let cfg = ImageEncoderConfig { backbone: BackboneKind::InceptionV3, ..Default::default() };
            parameter_shapes(|vb| DamsmImageEncoder::from_config(&cfg, DIMS, vb.clone(), vb))?
        }
    })
}

/// Parameters that the authors' constructors make and no image depends on.
fn unused(network: &Network, name: &str) -> bool {
    let first = name.split('.').next().unwrap_or_default();
    name.ends_with(".num_batches_tracked")
        || match network {
            Network::Generator => name.contains(".global_reduction"),
            Network::Discriminator(_) => {
                ["h_net2", "h_net3", "att", "residual", "fc"].contains(&first)
                    || first.starts_with("upsample")
            }
            Network::ImageEncoder => ["AuxLogits", "fc"].contains(&first),
        }
}
