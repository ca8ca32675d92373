//! Sizes and choices of the generator and of the real image path, with their checks.
mod from_shapes;

use crate::MaskConfig;
use drgan_tensor::{Error, Result, Variant};
use serde::{Deserialize, Serialize};

/// Sizes of a [`StageGenerator`](crate::StageGenerator).
///
/// Stage `i` gives images of side `base 2^i`. Every field has a default, the paper's for CUB: write
/// `GeneratorConfig { base: 16, ..Default::default() }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GeneratorConfig {
    /// Side S of the first stage's image in pixels: a power of two, 16 or more.
    pub base: usize,
    /// Number of stages, 1 to 8; the paper has 3.
    pub stages: usize,
    /// Channels of every stage's feature map H, even (the real image path starts with half of them).
    pub ngf: usize,
    /// Channels D of word and sentence features. It follows from the text encoder (its `words_dim`); whoever holds both
    /// configurations sets it from there.
    pub text_dim: usize,
    /// Length of the noise vector z.
    pub nz: usize,
    /// Length of the condition vector c.
    pub nc: usize,
    /// Number of residual blocks R, the same before the mask of the attended words and after both masks: 2 for CUB, 3 for
    /// COCO.
    pub residual_blocks: usize,
    /// Masks and image heads as in the paper or as in the released code (whose weights exist for base 64 and 3 stages only).
    pub form: Variant,
    /// Factor k on the masks' logits, positive; see [`MaskConfig::logit_scale`].
    pub mask_logit_scale: f64,
    /// Start of the conditioning augmentation's linear map; [`init_condition`](crate::init_condition) applies it.
    pub condition_init: ConditionInit,
}

impl Default for GeneratorConfig {
    fn default() -> Self {
        Self {
            base: 64,
            stages: 3,
            ngf: 64,
            text_dim: 256,
            nz: 100,
            nc: 100,
            residual_blocks: 2,
            form: Variant::Paper,
            mask_logit_scale: 1.,
            condition_init: ConditionInit::default(),
        }
    }
}

impl GeneratorConfig {
    /// Side in pixels of the images of `stage`, counted from 0: `base 2^stage`.
    pub fn side(&self, stage: usize) -> usize {
        self.base << stage
    }

    /// The configuration of both masks of a stage.
    pub fn mask(&self) -> MaskConfig {
        MaskConfig { form: self.form, logit_scale: self.mask_logit_scale }
    }

    /// Checks that every field is in its range.
    ///
    /// # Errors
    /// [`Error::Config`](drgan_tensor::Error::Config) with the first field out of range.
    pub fn validate(&self) -> Result<()> {
        check_stages(self.base, self.stages, ["generator.base", "generator.stages"])?;
        check_channels("generator.ngf", self.ngf)?;
        for (field, value) in [
            ("generator.text_dim", self.text_dim),
            ("generator.nz", self.nz),
            ("generator.nc", self.nc),
            ("generator.residual_blocks", self.residual_blocks),
        ] {
            if value == 0 {
                return Err(Error::Config { field, reason: "0; must be at least 1".to_owned() });
            }
        }
        check_positive("generator.mask_logit_scale", self.mask_logit_scale)?;
        check_form(self.form, self.ngf, "generator.ngf")?;
        let ConditionInit { weight_scale, logvar_bias } = self.condition_init;
        check_positive("generator.condition_init.weight_scale", weight_scale)?;
        if !logvar_bias.is_finite() {
            let reason = format!("{logvar_bias}; must be a number");
            return Err(Error::Config { field: "generator.condition_init.logvar_bias", reason });
        }
        Ok(())
    }

    /// The configuration of the real image path whose features have the shapes of this generator's.
    pub fn real_image(&self) -> RealImageConfig {
        RealImageConfig { base: self.base, stages: self.stages, ngf: self.ngf, form: self.form }
    }
}

/// Start of the conditioning augmentation's linear map.
///
/// The neutral default is the usual start. On small data sets it lets the KL term win: sigma stays near 1 while mu is
/// small, c is noise and the text is never learnt. A `weight_scale` of 4 and a `logvar_bias` of -4 make c follow
/// the sentence from the first step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConditionInit {
    /// Factor on the initial weight, positive.
    pub weight_scale: f64,
    /// Initial bias of the rows that give logvar, before their gate (whose factor starts at 1/2).
    pub logvar_bias: f64,
}

impl Default for ConditionInit {
    fn default() -> Self {
        Self { weight_scale: 1., logvar_bias: 0. }
    }
}

/// Sizes of a [`RealImagePath`](crate::RealImagePath), the same as its generator's; made by
/// [`GeneratorConfig::real_image`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RealImageConfig {
    /// Side S of the first stage's image in pixels: a power of two, 16 or more.
    pub base: usize,
    /// Number of the generator's stages; there is an encoder for each but the first.
    pub stages: usize,
    /// Channels of the features H*, even.
    pub ngf: usize,
    /// The encoder of the paper's form or the shallow one of the released code.
    pub form: Variant,
}

impl Default for RealImageConfig {
    fn default() -> Self {
        GeneratorConfig::default().real_image()
    }
}

impl RealImageConfig {
    /// Checks that every field is in its range.
    ///
    /// # Errors
    /// [`Error::Config`](drgan_tensor::Error::Config) with the first field out of range.
    pub fn validate(&self) -> Result<()> {
        check_stages(self.base, self.stages, ["real_image.base", "real_image.stages"])?;
        check_channels("real_image.ngf", self.ngf)
    }
}

fn check_stages(base: usize, stages: usize, [base_field, stages_field]: [&'static str; 2]) -> Result<()> {
    if !base.is_power_of_two() || base < 16 {
        let reason = format!("{base}; must be a power of two from 16 on, e.g. 64");
        return Err(Error::Config { field: base_field, reason });
    }
    if !(1..=8).contains(&stages) {
        let reason = format!("{stages}; must be in 1..=8, the paper has 3");
        return Err(Error::Config { field: stages_field, reason });
    }
    Ok(())
}

fn check_channels(field: &'static str, ngf: usize) -> Result<()> {
    if ngf == 0 || ngf % 2 == 1 {
        return Err(Error::Config { field, reason: format!("{ngf}; must be even and at least 2") });
    }
    Ok(())
}

fn check_positive(field: &'static str, value: f64) -> Result<()> {
    if !(value.is_finite() && value > 0.) {
        return Err(Error::Config { field, reason: format!("{value}; must be a positive number") });
    }
    Ok(())
}

/// The released image heads halve the channels twice.
fn check_form(form: Variant, ngf: usize, field: &'static str) -> Result<()> {
    if form == Variant::Released && !ngf.is_multiple_of(4) {
        return Err(Error::Config {
            field,
            reason: format!("{ngf}; the released form needs a multiple of 4"),
        });
    }
    Ok(())
}
