//! The model that `drgan sample` draws with.
use super::super::common::{RUNS, open_trained, report};
use crate::cli::SampleArgs;
use anyhow::Result;
use candle_core::Device;
use drgan_infer::Model;
use drgan_infer::pretrained::{self, Files};
use drgan_tensor::internal::shown;
use drgan_terminal::remark;
use drgan_train::{PRETRAINED, RunDir, open_model};
use std::path::Path;

/// A model, and what it is called.
pub(super) struct Opened {
    pub(super) model: Model,
    pub(super) name: String,
}

impl Opened {
    /// The model file, the files of a generator that was trained elsewhere, or the run that the command line names; else the
    /// pretrained model.
    pub(super) fn new(args: &SampleArgs, device: &Device) -> Result<Self> {
        if let (Some(generator), Some(text_encoder), Some(vocabulary)) =
            (&args.generator, &args.text_encoder, &args.vocabulary)
        {
            let mask_logit_scale = args.mask_logit_scale;
            let files = Files { generator, text_encoder, vocabulary, mask_logit_scale };
            return Ok(Self { model: pretrained::open(&files, device)?, name: shown(generator).to_string() });
        }
        if let Some(run) = &args.run {
            return Ok(Self::named(open_trained(Some(run), device)?.model, run));
        }
        let path = args.model.as_deref().unwrap_or(Path::new(PRETRAINED));
        let opened = Self::named(open_model(path, device)?, path);
        report(&format!("model {}", shown(path)));
        if args.model.is_none() && !RunDir::newest_first(Path::new(RUNS)).is_empty() {
            remark("note: --run latest draws with the newest run in runs/ instead");
        }
        Ok(opened)
    }

    /// A model with what is known of it as its name, or else where it comes from.
    fn named(model: Model, path: &Path) -> Self {
        let name = match (model.config().name.as_str(), model.config().step) {
            ("", _) => shown(path).to_string(),
            (name, 0) => name.to_owned(),
            (name, step) => format!("{name}, step {step}"),
        };
        Self { model, name }
    }
}
