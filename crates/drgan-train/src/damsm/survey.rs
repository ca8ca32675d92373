//! What the text encoder reads of a data set's captions, and what it loses.
use super::descriptions;
use crate::config::RunConfig;
use crate::error::TrainError;
use drgan_data::{Dataset, Record};
use drgan_tensor::internal::{agreeing, counted};
use drgan_text::{AlteredWord, Tokenize};
use rayon::prelude::*;

/// How the captions of a data set fit the vocabulary and the limit of words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptionSurvey {
    /// Number of captions.
    pub captions: usize,
    /// The limit of words, `damsm.max_words`.
    pub max_words: usize,
    /// Captions of more known words than the limit.
    pub cut: usize,
    /// Known words of the longest caption, with its record's key.
    pub longest: (usize, String),
    /// Records whose captions together have more different words than the limit: their full descriptions are cut.
    pub descriptions_cut: usize,
    /// Number of records.
    pub records: usize,
    /// Whether all captions of several records are read as the same words.
    pub equal: bool,
    /// Captions with words that the vocabulary lacks, with the first of them and its record's key.
    pub unknown: Loss<String>,
    /// Captions with words that lose letters, with the first of them and its record's key.
    pub altered: Loss<AlteredWord>,
}

/// Something that captions lose: how many do, and the first of it with its record's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss<T> {
    /// Number of captions.
    pub captions: usize,
    /// What is lost first, and in the record of which key.
    pub first: Option<(T, String)>,
}

impl<T> Default for Loss<T> {
    fn default() -> Self {
        Self { captions: 0, first: None }
    }
}

impl<T> Loss<T> {
    fn add(&mut self, found: Vec<T>, key: &str) {
        if let Some(first) = found.into_iter().next() {
            self.captions += 1;
            self.first.get_or_insert_with(|| (first, key.to_owned()));
        }
    }

    fn join(&mut self, other: Self) {
        self.captions += other.captions;
        self.first = self.first.take().or(other.first);
    }
}

impl CaptionSurvey {
    /// Reads every caption of `data` as `tokenizer` does.
    ///
    /// # Errors
    /// A caption that cannot be divided into words.
    pub fn new(cfg: &RunConfig, data: &Dataset, tokenizer: &dyn Tokenize) -> Result<Self, TrainError> {
        let one = |record: &Record| Self::of_record(cfg, record, tokenizer);
        let all: Vec<_> = data.records().par_iter().map(one).collect::<Result<_, TrainError>>()?;
        let start = Self { max_words: cfg.damsm.max_words, ..Self::default() };
        let mut found = all.into_iter().fold(start, Self::join);
        let read =
            |caption: &String| tokenizer.encode(caption, cfg.damsm.max_words).ok().map(|read| read.ids);
        let mut captions = data.records().iter().flat_map(|record| &record.captions);
        let first = captions.next().and_then(read);
        found.equal = found.records > 1 && first.is_some() && captions.all(|caption| read(caption) == first);
        Ok(found)
    }

    fn of_record(cfg: &RunConfig, record: &Record, tokenizer: &dyn Tokenize) -> Result<Self, TrainError> {
        let most = cfg.damsm.max_words;
        let mut found = Self { captions: record.captions.len(), records: 1, ..Self::default() };
        for caption in &record.captions {
            found.altered.add(tokenizer.altered_words(caption)?, &record.key);
            // Captions without a known word are refused where they are read.
            let Ok(read) = tokenizer.encode(caption, most) else { continue };
            found.unknown.add(read.unknown, &record.key);
            found.cut += usize::from(!read.cut.is_empty());
            let words = read.ids.len() + read.cut.len();
            if words > found.longest.0 {
                found.longest = (words, record.key.clone());
            }
        }
        let mut longer = cfg.clone();
        longer.damsm.max_words = most + 1;
        let more =
            descriptions::full(record, &longer, tokenizer)? != descriptions::full(record, cfg, tokenizer)?;
        found.descriptions_cut = usize::from(more);
        Ok(found)
    }

    fn join(mut self, other: Self) -> Self {
        self.captions += other.captions;
        self.cut += other.cut;
        self.records += other.records;
        self.descriptions_cut += other.descriptions_cut;
        if other.longest.0 > self.longest.0 {
            self.longest = other.longest;
        }
        self.unknown.join(other.unknown);
        self.altered.join(other.altered);
        self
    }

    /// How long captions are beside the limit, and which setting is the limit.
    pub fn length(&self) -> String {
        let Self { captions, max_words, cut, longest: (longest, key), descriptions_cut, records, .. } = self;
        let descriptions = match descriptions_cut {
            0 => String::new(),
            n => format!(
                "; of {}, {n} {}",
                counted(*records, "image[|s]"),
                agreeing(
                    *n,
                    "[has|have] more words in all [its|their] captions: [its full description is|their full descriptions are] cut too"
                )
            ),
        };
        match cut {
            0 => format!(
                "none of {captions} has more words than are read, {max_words} (`damsm.max_words`); the longest has {longest}{descriptions}"
            ),
            n => format!(
                "{n} of {captions} {} cut to {} (`damsm.max_words`); the longest, of `{key}`, has {longest}{descriptions}",
                agreeing(*n, "[is|are]"),
                counted(*max_words, "word[|s]")
            ),
        }
    }

    /// What captions lack, which is differences, and what they lose to the vocabulary: words that it lacks, letters that it does not read.
    pub fn losses(&self) -> Vec<String> {
        let mut losses = Vec::new();
        if self.equal {
            losses.push("all captions have the same words: they tell no image from another, and R-precision is not taken".to_owned());
        }
        if let Some((word, key)) = &self.altered.first {
            let read = match word.read.as_str() {
                "" => "not read".to_owned(),
                read => format!("read as `{read}`"),
            };
            losses.push(format!(
                "{} of {} {} letters, since the vocabulary has words of ASCII alone: first `{}` of `{key}`, {read}",
                self.altered.captions,
                counted(self.captions, "caption[|s]"),
                agreeing(self.altered.captions, "lose[s|]"),
                word.written
            ));
        }
        if let Some((word, key)) = &self.unknown.first {
            losses.push(format!(
                "{} of {} {} words that the vocabulary lacks, which are left out: first `{word}` of `{key}`",
                self.unknown.captions,
                counted(self.captions, "caption[|s]"),
                agreeing(self.unknown.captions, "[has|have]")
            ));
        }
        losses
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;
    use drgan_text::{Tokenizer, Vocabulary, WordRule};
    use std::path::Path;

    fn set(folder: &Path, captions: &[&str]) -> Dataset {
        for (i, captions) in captions.iter().enumerate() {
            image::RgbImage::new(8, 8).save(folder.join(format!("{i}.png"))).expect("an image");
            std::fs::write(folder.join(format!("{i}.txt")), captions).expect("captions");
        }
        Dataset::open(folder).expect("a set")
    }

    #[test]
    fn what_captions_lose_is_counted_and_named() -> Result<(), TrainError> {
        let folder = tempfile::tempdir().expect("a folder");
        let data = set(folder.path(), &["a b c d\na b", "p\u{ea}che a\nbird a", "\u{7ea2} a", "a b c\nd"]);
        let cfg =
            RunConfig::resolve("tiny", &Overrides { file: None, set: &["damsm.max_words=3".to_owned()] })?;
        let survey = |rule, words: &'static str| -> Result<CaptionSurvey, TrainError> {
            let words = Vocabulary::from_captions(data.vocabulary_captions().chain([words]), rule)?;
            CaptionSurvey::new(&cfg, &data, &Tokenizer::new(&words)?)
        };
        let own = survey(WordRule::Unicode, "")?;
        assert_eq!((own.captions, own.cut, own.descriptions_cut, own.records), (7, 1, 2, 4));
        assert_eq!((own.longest.clone(), own.losses()), ((4, "0".to_owned()), vec![]));
        assert_eq!(
            own.length(),
            "1 of 7 is cut to 3 words (`damsm.max_words`); the longest, of `0`, has 4; of 4 images, 2 have more words in \
             all their captions: their full descriptions are cut too"
        );
        let released = survey(WordRule::Ascii, "")?;
        let said = released.losses();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("2 of 7 captions lose letters"), "{said:?}");
        assert!(said[0].ends_with("first `p\u{ea}che` of `1`, read as `pche`"), "{said:?}");
        let few = Tokenizer::new(&Vocabulary::from_captions(["a b"], WordRule::Unicode)?)?;
        let said = CaptionSurvey::new(&cfg, &data, &few)?.losses();
        assert!(said[0].starts_with("5 of 7 captions have words that the vocabulary lacks"), "{said:?}");
        assert!(said[0].ends_with("first `c` of `0`"), "{said:?}");
        Ok(())
    }
    #[test]
    fn captions_of_the_same_words_are_told() -> Result<(), TrainError> {
        let folder = tempfile::tempdir().expect("a folder");
        let cfg = RunConfig::resolve("tiny", &Overrides::default())?;
        let losses = |captions: &[&str]| -> Result<Vec<String>, TrainError> {
            let data = set(folder.path(), captions);
            let words = Vocabulary::from_captions(data.vocabulary_captions(), WordRule::Unicode)?;
            Ok(CaptionSurvey::new(&cfg, &data, &Tokenizer::new(&words)?)?.losses())
        };
        let said = losses(&["a photo", "A photo.", "a photo\na photo!"])?;
        assert!(said.len() == 1 && said[0].starts_with("all captions have the same words"), "{said:?}");
        assert_eq!(losses(&["a photo", "a photo", "a photo\nphoto a"])?, Vec::<String>::new());
        Ok(())
    }
}
