//! The model that `drgan sample` draws with.
use super::super::common::{open_trained, report};
use crate::cli::SampleArgs;
use anyhow::Result;
use candle_core::Device;
use drgan_infer::Model;
use drgan_infer::pretrained::{self, Files};
use drgan_tensor::internal::shown;

/// A model, and what it is called.
pub(super) struct Opened {
    pub(super) model: Model,
    pub(super) name: String,
}

impl Opened {
    /// The model file, the files of a generator that was trained elsewhere, or the run that the command line names.
    pub(super) fn new(args: &SampleArgs, device: &Device) -> Result<Self> {
        if let Some(path) = &args.model {
            let model = Model::load(path, device)?;
            let name = match model.config().name.as_str() {
                "" => shown(path).to_string(),
                name => name.to_owned(),
            };
            report(&format!("model {}", shown(path)));
            return Ok(Self { model, name });
        }
        if let (Some(generator), Some(text_encoder), Some(vocabulary)) =
            (&args.generator, &args.text_encoder, &args.vocabulary)
        {
            let mask_logit_scale = args.mask_logit_scale;
            let files = Files { generator, text_encoder, vocabulary, mask_logit_scale };
            return Ok(Self { model: pretrained::open(&files, device)?, name: shown(generator).to_string() });
        }
        let trained = open_trained(args.run.as_deref(), device)?;
        Ok(Self { name: format!("{}, step {}", trained.cfg.preset, trained.step), model: trained.model })
    }
}
