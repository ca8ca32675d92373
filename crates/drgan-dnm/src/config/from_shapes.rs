//! The configuration of a discriminator told from the names and shapes of its weights.
use crate::DiscriminatorConfig;
use drgan_tensor::{Error, Result, Shapes, Variant};

impl DiscriminatorConfig {
    /// The configuration of a state dict, told from its names and shapes.
    ///
    /// # Errors
    /// [`Error::Weights`] with the first name that is needed to tell a size and is missing or of another rank;
    /// [`Error::Config`] where the sizes are out of range.
    pub fn from_shapes(shapes: &Shapes) -> Result<Self> {
        let missing = |name: &str| Error::Weights { missing: vec![name.to_owned()], unexpected: vec![] };
        let dims = |name: &str, rank: usize| {
            shapes.get(name).filter(|d| d.len() == rank).ok_or_else(|| missing(name))
        };
        let code = dims("ca_net.fc.weight", 2)?;
        let image = dims("img_code_s1.0.weight", 4)?;
        let first = dims("h_net1.fc.0.weight", 2)?;
        let chain =
            (0..4).take_while(|k| shapes.contains_key(&layer(&format!("img_code_s16.{}", 2 * k)))).count();
        let extra =
            (1..16).take_while(|j| shapes.contains_key(&layer(&format!("img_code_s{}.0", 16 << j)))).count();
        let ndf = image[1];
        let cfg = Self {
            side: 4 << (chain + extra),
            // The first layer gives (ndf base / 4, 4, 4) values and as many for its gate.
            base: (first[0] / 8).checked_div(ndf).unwrap_or_default(),
            ndf,
            text_dim: code[1],
            latent: code[0] / 4,
            form: if shapes.contains_key("phi.fc.weight") { Variant::Paper } else { Variant::Released },
        };
        cfg.validate()?;
        Ok(cfg)
    }
}

/// Name of the weight of a spectrally normalized layer.
fn layer(name: &str) -> String {
    format!("{name}.module.weight_bar")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StageDiscriminator;
    use drgan_tensor::{FromConfig, parameter_shapes};

    #[test]
    fn parameter_shapes_tell_their_configuration() -> Result<()> {
        for side in [16, 32, 64, 128, 256, 512] {
            for form in [Variant::Paper, Variant::Released] {
                let cfg = DiscriminatorConfig { side, base: 32, ndf: 4, text_dim: 6, latent: 5, form };
                let mut shapes = parameter_shapes(|vb| StageDiscriminator::from_config(&cfg, vb))?;
                assert_eq!(DiscriminatorConfig::from_shapes(&shapes)?, cfg);
                shapes.remove("img_code_s1.0.weight");
                let e = DiscriminatorConfig::from_shapes(&shapes).expect_err("a size is missing").to_string();
                assert!(e.contains("img_code_s1.0.weight"), "{e}");
            }
        }
        Ok(())
    }
}
