//! The configuration of a generator told from the names and shapes of its weights.
use crate::GeneratorConfig;
use drgan_tensor::{Error, Result, Shapes, Variant};

impl GeneratorConfig {
    /// The configuration of a state dict, told from its names and shapes. [`mask_logit_scale`] and [`condition_init`] leave
    /// no trace in shapes: they are the default's.
    ///
    /// [`mask_logit_scale`]: GeneratorConfig::mask_logit_scale
    /// [`condition_init`]: GeneratorConfig::condition_init
    ///
    /// # Errors
    /// [`Error::Weights`] with the first name that is needed to tell a size and is missing or of another rank;
    /// [`Error::Config`] where the sizes are out of range.
    pub fn from_shapes(shapes: &Shapes) -> Result<Self> {
        let missing = |name: &str| Error::Weights { missing: vec![name.to_owned()], unexpected: vec![] };
        let dims = |name: &str, rank: usize| {
            shapes.get(name).filter(|d| d.len() == rank).ok_or_else(|| missing(name))
        };
        let condition = dims("ca_net.fc.weight", 2)?;
        let first = dims("h_net1.fc.0.weight", 2)?;
        let head = dims("img_net1.img.0.weight", 4)?;
        let form = if head[0] == 3 { Variant::Paper } else { Variant::Released };
        let (ngf, nc, text_dim) = (head[1], condition[0] / 4, condition[1]);
        let stages = (1..).take_while(|i| shapes.contains_key(&format!("img_net{i}.img.0.weight"))).count();
        let blocks =
            (0..).take_while(|i| shapes.contains_key(&format!("h_net2.residual.{i}.block.0.weight")));
        let cfg = Self {
            // The first layer gives (ngf base / 4, 4, 4) values and as many for its gate.
            base: (first[0] / 8).checked_div(ngf).unwrap_or_default(),
            stages,
            ngf,
            text_dim,
            nz: first[1].checked_sub(nc).ok_or_else(|| missing("h_net1.fc.0.weight"))?,
            nc,
            residual_blocks: blocks.count().max(1), // a generator of one stage has none to count
            form,
            ..Self::default()
        };
        cfg.validate()?;
        Ok(cfg)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StageGenerator;
    use drgan_tensor::{FromConfig, parameter_shapes};

    #[test]
    fn parameter_shapes_tell_their_configuration() -> Result<()> {
        for cfg in [
            GeneratorConfig::default(),
            GeneratorConfig { form: Variant::Released, residual_blocks: 3, ..Default::default() },
            GeneratorConfig { base: 16, stages: 2, ngf: 12, text_dim: 7, nz: 5, nc: 9, ..Default::default() },
        ] {
            let mut shapes = parameter_shapes(|vb| StageGenerator::from_config(&cfg, vb))?;
            assert_eq!(GeneratorConfig::from_shapes(&shapes)?, cfg);
            shapes.insert("h_net1.fc.0.weight".into(), vec![1, 1]);
            assert!(GeneratorConfig::from_shapes(&shapes).is_err(), "sizes that fit no generator");
            shapes.remove("ca_net.fc.weight");
            let e = GeneratorConfig::from_shapes(&shapes).expect_err("a size is missing").to_string();
            assert!(e.contains("ca_net.fc.weight"), "{e}");
        }
        Ok(())
    }
}
