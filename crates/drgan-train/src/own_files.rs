//! The networks in this project's own files: a run's checkpoint, a model file.
use crate::error::TrainError;
use crate::import::Network;
use crate::run::section;
use candle_core::Tensor;
use drgan_tensor::weights::{Metadata, Tensors};

/// Which of this project's own files holds some tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OwnFile {
    /// A checkpoint of a run, of either phase.
    Checkpoint,
    /// A model file, as `drgan_infer::Model` writes it: generator and text encoder.
    Model,
}

impl OwnFile {
    /// Recognizes a file by its tensors' names and its metadata; none for what other programs wrote.
    pub fn of(tensors: &Tensors, metadata: &Metadata) -> Option<Self> {
        // Of either phase, a checkpoint has optimizers.
        let optimizers = section::optimizer("");
        if tensors.keys().any(|name| name.starts_with(&optimizers)) {
            return Some(Self::Checkpoint);
        }
        metadata.contains_key(drgan_infer::CONFIG_KEY).then_some(Self::Model)
    }

    /// The tensors of one network, by the names that it has for them. Of a checkpoint's generator they are the exponential moving
    /// average, of its image encoder the projection; of discriminators those of a `stage`, counted from 0, or of the last one.
    ///
    /// # Errors
    /// The file has no such network, with those that it has.
    pub fn part(
        self,
        tensors: Tensors,
        network: Network,
        stage: Option<usize>,
    ) -> Result<Tensors, TrainError> {
        let has = |prefix: &str| tensors.keys().any(|name| name.starts_with(&format!("{prefix}.")));
        let stages = (0..).take_while(|stage| has(&section::discriminator(*stage))).count();
        let prefix = match (self, network) {
            (Self::Model, Network::TextEncoder) => drgan_infer::TEXT_PART.to_owned(),
            (Self::Model, Network::Generator) => drgan_infer::GENERATOR_PART.to_owned(),
            (Self::Checkpoint, Network::TextEncoder) => section::TEXT.to_owned(),
            (Self::Checkpoint, Network::ImageEncoder) => section::IMAGE.to_owned(),
            (Self::Checkpoint, Network::Generator) => section::AVERAGE.to_owned(),
            (Self::Checkpoint, Network::Discriminator) => {
                section::discriminator(stage.unwrap_or_else(|| stages.saturating_sub(1)))
            }
            (Self::Model, _) => String::new(),
        };
        if prefix.is_empty() || !has(&prefix) {
            let all = match (self, stages) {
                (Self::Model, _) => "generator and text-encoder".to_owned(),
                (Self::Checkpoint, 0) => {
                    "text-encoder and image-encoder: it is of the phase that trains them".to_owned()
                }
                (Self::Checkpoint, n) => {
                    let last = n - 1;
                    format!(
                        "text-encoder, image-encoder, generator and discriminator (of stages 0 to {last})"
                    )
                }
            };
            let of = stage.filter(|_| network == Network::Discriminator);
            let of = of.map_or_else(String::new, |stage| format!(" of stage {stage}"));
            return Err(TrainError::Config(format!("the file has no {}{of}; it has {all}", network.name())));
        }
        let named =
            |(name, t): (String, Tensor)| Some((name.strip_prefix(&format!("{prefix}."))?.to_owned(), t));
        Ok(tensors.into_iter().filter_map(named).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn tensors(names: &[&str]) -> Tensors {
        let zero = || Tensor::new(0f32, &Device::Cpu).expect("a scalar");
        names.iter().map(|name| ((*name).to_owned(), zero())).collect()
    }

    #[test]
    fn parts_of_a_checkpoint_have_their_networks_names() {
        let all = tensors(&["text.a", "image.b", "g.c", "g_avg.c", "d0.e", "d1.f", "adam_g.m.c"]);
        let own = OwnFile::of(&all, &Metadata::new()).expect("a checkpoint");
        assert_eq!(own, OwnFile::Checkpoint);
        let part = |network, stage| {
            let found = own.part(all.clone(), network, stage).map_err(|e| e.to_string());
            found.map(|part| part.into_keys().collect::<Vec<_>>().join(" "))
        };
        assert_eq!(part(Network::TextEncoder, None).as_deref(), Ok("a"));
        assert_eq!(part(Network::ImageEncoder, None).as_deref(), Ok("b"));
        assert_eq!(part(Network::Generator, None).as_deref(), Ok("c"));
        assert_eq!(part(Network::Discriminator, Some(0)).as_deref(), Ok("e"));
        assert_eq!(part(Network::Discriminator, None).as_deref(), Ok("f"));
        let e = part(Network::Discriminator, Some(2)).expect_err("there are two");
        assert!(e.contains("no discriminator of stage 2") && e.contains("stages 0 to 1"), "{e}");

        let early = tensors(&["text.a", "image.b", "adam_text.m.a"]);
        let e = OwnFile::Checkpoint.part(early, Network::Generator, None).expect_err("not begun").to_string();
        assert!(e.contains("no generator; it has text-encoder and image-encoder"), "{e}");
    }

    #[test]
    fn parts_of_a_model_file_and_files_of_others() {
        let all = tensors(&["text.a", "generator.b"]);
        assert_eq!(OwnFile::of(&all, &Metadata::new()), None);
        let metadata = Metadata::from([("drgan.config".to_owned(), String::new())]);
        let own = OwnFile::of(&all, &metadata).expect("a model");
        let part = own.part(all.clone(), Network::Generator, None).expect("it is there");
        assert_eq!(part.into_keys().collect::<Vec<_>>(), ["b"]);
        let e = own.part(all, Network::Discriminator, None).expect_err("it has none").to_string();
        assert!(e.contains("no discriminator; it has generator and text-encoder"), "{e}");
    }
}
