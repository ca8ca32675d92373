//! How well the encoders match the held-out images with their captions.
use super::descriptions;
use super::encoders::Encoders;
use super::images::{CHUNK, load_images};
use crate::config::RunConfig;
use crate::error::TrainError;
use crate::gan::non_finite;
use candle_core::Tensor;
use drgan_data::{Dataset, Split};
use drgan_metrics::RPrecision;

/// The held-out images as the frozen backbone sees them, for a measure after each epoch.
pub(crate) struct HeldOut {
    /// `(N, Cp)`: ranking needs no regions, so this is small whatever the backbone.
    pooled: Tensor,
    /// Each image's full description.
    texts: Vec<String>,
}

impl HeldOut {
    /// Computes the features once; nothing if fewer than two images are held out and decode.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn new(
        cfg: &RunConfig,
        encoders: &Encoders,
        data: &Dataset,
    ) -> Result<Option<Self>, TrainError> {
        let loader = cfg.loader();
        let (mut parts, mut kept) = (Vec::new(), Vec::new());
        for chunk in data.split(Split::HeldOut).chunks(CHUNK) {
            if let Some(images) = load_images(data, chunk, &loader, &mut kept, &mut Vec::new())? {
                parts.push(encoders.backbone_features(&images)?.pooled);
            }
        }
        if kept.len() < 2 {
            return Ok(None);
        }
        let tokenizer = encoders.captions.tokenizer();
        let describe = |&r: &usize| descriptions::full(&data.records()[r], cfg, tokenizer);
        let texts = kept.iter().map(describe).collect::<Result<_, _>>()?;
        Ok(Some(Self { pooled: Tensor::cat(&parts, 0)?, texts }))
    }

    /// R-precision over `candidates` captions, in both directions; none if all descriptions are the same.
    ///
    /// # Errors
    /// [`TrainError::NonFinite`] from encoders that have diverged.
    pub(crate) fn r_precision(
        &self,
        cfg: &RunConfig,
        encoders: &Encoders,
        candidates: usize,
    ) -> Result<Option<RPrecision>, TrainError> {
        let codes = encoders.image.code(&self.pooled)?.detach();
        let sentences = encoders.captions.embed(&self.texts)?.sentence;
        for (name, codes) in [("codes of the held-out images", &codes), ("their captions' codes", &sentences)]
        {
            if let Some(value) = non_finite(codes)? {
                return Err(TrainError::NonFinite { loss: name.to_owned(), value });
            }
        }
        Ok(drgan_metrics::r_precision(&codes, &sentences, &self.texts, candidates, cfg.seed)?)
    }
}
