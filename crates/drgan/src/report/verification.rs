//! The findings on a data set for people: with the size of its vocabulary, and the next command.
use crate::hints;
use drgan_data::{DataError, Dataset, PublishedSet, Refusal, Split, Verification};
use drgan_tensor::internal::{counted, shown};
use drgan_terminal::CommandLine;
use drgan_train::TrainError;
use drgan_train::config::{Overrides, RunConfig, SplitRule};
use drgan_train::damsm::{CaptionSurvey, Encoders};
use drgan_train::session::check_data;
use std::path::Path;

/// The largest batch of a preset that trains on the user's own images.
const LARGEST_BATCH: usize = 22;

/// The findings on the data set at `path`, with what to do next by the name of the `program`, and whether the set can be
/// used.
pub(crate) fn report(mut found: Verification, path: &Path, program: &str) -> (String, bool) {
    add_vocabulary(&mut found);
    let plan = found.data.as_ref().map(|data| Plan::of(data, found.set));
    if let (None, Some(data), Some(plan)) = (&found.refusal, &found.data, &plan) {
        found.refusal = plan.check(data).err().map(|e| Refusal::Other(e.into()));
    }
    let next = match (&found.refusal, plan) {
        (Some(Refusal::Data(error @ DataError::Compressed { .. })), _) => {
            hints::for_data_error(error, program, hints::Asked::default()).unwrap_or_default()
        }
        (Some(_), _) => "fix that and verify again; docs/data.md says what belongs where".to_owned(),
        (None, Some(plan)) => plan.command(path, program),
        (None, None) => String::new(),
    };
    (format!("{found}{:<14} {next}", "next"), found.refusal.is_none())
}

/// The size of the vocabulary, before the fact that closes the counts; without one the set cannot be used.
fn add_vocabulary(found: &mut Verification) {
    let Some(data) = &found.data else { return };
    let cfg = RunConfig::resolve(preset(found.set), &Overrides::default());
    let read = cfg.and_then(|cfg| {
        let vocabulary = Encoders::vocabulary_of(&cfg, data)?;
        let survey = CaptionSurvey::new(&cfg, data, cfg.text.new_tokenizer(&vocabulary)?.as_ref())?;
        Ok((vocabulary, survey))
    });
    match read {
        Err(e) => found.refusal = found.refusal.take().or(Some(Refusal::Other(e.into()))),
        Ok((vocabulary, survey)) => {
            let from = match (data.vocabulary_file(), found.set) {
                (Some(file), _) => format!(", {}", shown(file)),
                (None, Some(_)) => ", built from the captions".to_owned(),
                (None, None) => String::new(),
            };
            let fact = (
                "vocabulary".to_owned(),
                format!("{} with <end>{from}", counted(vocabulary.len(), "word[|s]")),
            );
            let at = found.facts.iter().position(|(name, _)| name == "usable");
            let at = at.unwrap_or(found.facts.len());
            found.facts.splice(at..at, [("words".to_owned(), survey.length()), fact]);
            found.faults.extend(survey.losses());
        }
    }
}

/// The preset that trains on such a set.
fn preset(set: Option<PublishedSet>) -> &'static str {
    match set {
        Some(PublishedSet::Cub) => "birds",
        Some(PublishedSet::Coco) => "coco",
        _ => "emoji-64",
    }
}

/// How a set is trained on: its encoders first, where they are large.
struct Plan {
    command: &'static str,
    preset: &'static str,
    /// Whether it is one of the published sets, whose encoders need weights.
    published: bool,
    /// Settings of the data and of batches, over the preset's.
    settings: Vec<String>,
}

impl Plan {
    fn of(data: &Dataset, set: Option<PublishedSet>) -> Self {
        let (command, preset) = (if set.is_some() { "pretrain" } else { "train" }, preset(set));
        let (mut settings, mut train) = (Vec::new(), data.split(Split::Train).len());
        if train < 2 && divided(data).split(Split::Train).len() > 1 {
            settings.push("data.split=by-key".to_owned());
            train = divided(data).split(Split::Train).len();
        }
        if train < LARGEST_BATCH {
            settings.push(format!("loader.batch={}", (train / 2).max(2)));
        }
        Self { command, preset, published: set.is_some(), settings }
    }

    /// What the command itself checks before it begins.
    fn check(&self, data: &Dataset) -> Result<(), TrainError> {
        let cfg = RunConfig::resolve(self.preset, &Overrides { file: None, set: &self.settings })?;
        match cfg.data.split {
            SplitRule::ByKey => check_data(&cfg, &divided(data)),
            _ => check_data(&cfg, data),
        }
    }

    fn command(&self, path: &Path, program: &str) -> String {
        let Self { command, preset, .. } = self;
        let mut next = CommandLine::new(program, command).option("--preset", preset).option("--data", path);
        let weights = self.published.then_some("image_encoder.weights=INCEPTION.pth");
        for setting in weights.into_iter().chain(self.settings.iter().map(String::as_str)) {
            next = next.option("--set", setting);
        }
        match weights {
            Some(_) => format!(
                "{next}\n               (INCEPTION.pth: Inception-v3 of torchvision; docs/data.md says from where)"
            ),
            None => next.to_string(),
        }
    }
}

/// The set with each record's part by its key.
fn divided(data: &Dataset) -> Dataset {
    let mut data = data.clone();
    data.split_by_key();
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use drgan_data::verify;

    /// COCO in its own layout, two images with a caption each.
    fn coco(root: &Path) {
        std::fs::create_dir_all(root.join("annotations")).unwrap();
        std::fs::create_dir_all(root.join("val2017")).unwrap();
        for name in ["1.png", "2.png"] {
            image::RgbImage::new(8, 8).save(root.join("val2017").join(name)).unwrap();
        }
        let list = serde_json::json!({
            "images": [{"id": 1, "file_name": "1.png"}, {"id": 2, "file_name": "2.png"}],
            "annotations": [{"image_id": 1, "caption": "a cat"}, {"image_id": 2, "caption": "a dog"}],
        });
        std::fs::write(root.join("annotations/captions_val2017.json"), list.to_string()).unwrap();
    }

    fn said(path: &Path) -> (String, bool) {
        report(verify(path, |_, _| {}), path, "cargo xtask")
    }

    #[test]
    fn a_published_set_starts_with_its_encoders_and_brings_its_words() {
        let folder = tempfile::tempdir().unwrap();
        coco(folder.path());
        let (text, usable) = said(folder.path());
        assert!(usable, "{text}");
        for part in [
            "vocabulary     4 words with <end>, built from the captions\nusable         2 images",
            "cargo xtask pretrain --preset coco --data",
            "--set image_encoder.weights=INCEPTION.pth",
            "--set loader.batch=2",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let pickle = folder.path().join("captions.pickle");
        // [[], [], {0: '<end>', 1: 'a'}, {}]
        std::fs::write(&pickle, b"\x80\x02](]]}(K\x00U\x05<end>K\x01U\x01au}e.").unwrap();
        let (text, usable) = said(folder.path());
        assert!(usable && text.contains(&format!("2 words with <end>, {}", pickle.display())), "{text}");
        std::fs::write(&pickle, "cos\nsystem\n(S'true'\ntR.").unwrap();
        let (text, usable) = said(folder.path());
        assert!(!usable && text.contains("captions.pickle") && text.contains("os.system"), "{text}");
        assert!(text.contains("fix that and verify again"), "{text}");
    }

    #[test]
    fn a_folder_is_trained_on_and_an_archive_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        for i in 0..30 {
            image::RgbImage::new(8, 8).save(folder.path().join(format!("{i}.png"))).unwrap();
            std::fs::write(folder.path().join(format!("{i}.txt")), "...").unwrap();
        }
        let (text, usable) = said(folder.path());
        assert!(!usable && text.contains("no caption holds a word"), "{text}");
        for i in 1..30 {
            std::fs::write(folder.path().join(format!("{i}.txt")), "a word").unwrap();
        }
        let (text, usable) = said(folder.path());
        assert!(!usable && text.contains("not usable     image `0`"), "one without a word: {text}");
        std::fs::write(folder.path().join("0.txt"), "a word").unwrap();
        let (text, usable) = said(folder.path());
        assert!(usable && text.contains("cargo xtask train --preset emoji-64 --data"), "{text}");
        assert!(!text.contains("loader.batch"), "{text}");
        std::fs::write(folder.path().join("3.png"), "no picture").unwrap();
        let (text, usable) = said(folder.path());
        assert!(usable && text.contains("1 image cannot be used: 3.png: not a picture"), "held out: {text}");
        std::fs::write(folder.path().join("0.png"), "no picture").unwrap();
        let (text, usable) = said(folder.path());
        assert!(!usable && text.contains("1 of 28 images does not decode"), "to train on: {text}");
        for (bytes, command) in
            [(&b"\xfd7zXZ\0..."[..], "-xJf"), (b"PK\x03\x04...", "unzip"), (b"BZh9", "-xjf")]
        {
            let packed = folder.path().join("a.tar");
            std::fs::write(&packed, bytes).unwrap();
            let (text, usable) = said(&packed);
            assert!(!usable && text.contains("then give the folder") && text.contains(command), "{text}");
        }
    }

    #[test]
    fn two_pictures_are_too_few_to_divide() {
        let folder = tempfile::tempdir().unwrap();
        for i in 0..40 {
            image::RgbImage::new(8, 8).save(folder.path().join(format!("{i}.png"))).unwrap();
            std::fs::write(folder.path().join(format!("{i}.txt")), "a word").unwrap();
        }
        let data = drgan_data::Dataset::open(folder.path()).unwrap();
        let kept = [Split::Train, Split::HeldOut].map(|part| data.records()[data.split(part)[0]].key.clone());
        for key in data.records().iter().map(|record| &record.key).filter(|key| !kept.contains(key)) {
            std::fs::remove_file(folder.path().join(format!("{key}.png"))).unwrap();
        }
        let (text, usable) = said(folder.path());
        assert!(!usable && text.contains("1 image with captions in the training part"), "{text}");
    }
}
