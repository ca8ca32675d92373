//! The captions that `drgan sample` draws, and what is said of those that the vocabulary does not know.
use crate::cli::SampleArgs;
use anyhow::{Result, bail};
use drgan_infer::CaptionEncoder;
use drgan_infer::listing::Captions;
use drgan_tensor::internal::{agreeing, counted, escaped, shown};
use drgan_terminal::remark;
use drgan_text::AlteredWord;
use std::io::stdin;
use std::path::{Path, PathBuf};

/// Captions of a list that are warned of one by one; of the others there is a count.
const TOLD: usize = 10;

/// What captions from standard input are called.
const PIPE_NAME: &str = "standard input";

/// Whether the list of captions is standard input, which is read once: how many there are is not known before.
pub(super) fn is_pipe(list: &Path) -> bool {
    list == Path::new("-")
}

/// A caption with a known word.
pub(super) struct Found {
    /// Where it stands among all, from 1.
    pub(super) place: usize,
    pub(super) caption: String,
}

/// The captions of the command line, then those of its file, without those of which no word is known.
pub(super) struct Checked<'a> {
    encoder: &'a CaptionEncoder,
    all: Box<dyn Iterator<Item = drgan_infer::Result<String>> + 'a>,
    file: Option<PathBuf>,
    place: usize,
    /// Captions that were left out, and those with something to warn of.
    unknown: usize,
    warned: usize,
}

impl<'a> Checked<'a> {
    pub(super) fn new(encoder: &'a CaptionEncoder, args: &'a SampleArgs) -> Result<Self> {
        let given = args.captions.iter().cloned().map(Ok);
        let all: Box<dyn Iterator<Item = _> + 'a> = match &args.list {
            Some(path) if is_pipe(path) => Box::new(given.chain(Captions::of_text(stdin(), PIPE_NAME))),
            Some(path) => Box::new(given.chain(Captions::open(path)?)),
            None => Box::new(given),
        };
        let file =
            args.list.as_deref().map(|path| if is_pipe(path) { PIPE_NAME.into() } else { path.to_owned() });
        Ok(Self { encoder, all, file, place: 0, unknown: 0, warned: 0 })
    }

    /// To be called behind the last caption: says how many were left out.
    ///
    /// # Errors
    /// There was no caption, or none with a known word.
    pub(super) fn end(&self) -> Result<()> {
        if self.place == 0 {
            match &self.file {
                Some(path) => bail!("{}: holds no caption", shown(path)),
                None => bail!("no caption"),
            }
        }
        if self.unknown == self.place {
            match self.place {
                1 => bail!("the caption has no word of the vocabulary; nothing is drawn"),
                n => bail!("none of the {n} captions has a word of the vocabulary; nothing is drawn"),
            }
        }
        if self.warned > TOLD {
            remark(format!(
                "warning: {} more with words that are not used",
                counted(self.warned - TOLD, "caption[|s]")
            ));
        }
        if self.unknown > 0 {
            remark(format!("left out: {} without a known word", counted(self.unknown, "caption[|s]")));
        }
        Ok(())
    }

    fn check(&mut self, caption: String) -> Result<Option<Found>> {
        self.place += 1;
        let known = !self.encoder.tokenizer().known_words(&caption)?.is_empty();
        let warnings = match known {
            true => warnings(self.encoder, &caption)?,
            false => vec!["left out: no word of it is in the vocabulary".to_owned()],
        };
        self.unknown += usize::from(!known);
        self.warned += usize::from(!warnings.is_empty());
        if self.warned <= TOLD {
            for warning in warnings {
                remark(format!("warning: \"{}\": {}", escaped(&caption), escaped(&warning)));
            }
        }
        Ok(known.then_some(Found { place: self.place, caption }))
    }
}

impl Iterator for Checked<'_> {
    type Item = Result<Found>;

    fn next(&mut self) -> Option<Result<Found>> {
        loop {
            let found = match self.all.next()? {
                Ok(caption) => self.check(caption),
                Err(e) => Err(e.into()),
            };
            if let Some(found) = found.transpose() {
                return Some(found);
            }
        }
    }
}

/// What of a caption is not read as it is written.
fn warnings(encoder: &CaptionEncoder, caption: &str) -> Result<Vec<String>> {
    let found = encoder.tokenize(caption)?;
    let mut warnings = Vec::new();
    if !found.unknown.is_empty() {
        warnings.push(format!("not in the vocabulary, ignored: {}", found.unknown.join(", ")));
    }
    if !found.cut.is_empty() {
        let n = encoder.max_words();
        let first = agreeing(n, "[word is|words are]");
        warnings.push(format!("only its first {n} known {first} used, left out: {}", found.cut.join(", ")));
    }
    let altered = encoder.tokenizer().altered_words(caption)?;
    if !altered.is_empty() {
        let altered = altered.into_iter().map(|AlteredWord { written, read }| match read.as_str() {
            "" => format!("{written} (not read)"),
            read => format!("{written} (read as {read})"),
        });
        let altered = altered.collect::<Vec<_>>().join(", ");
        warnings.push(format!("the vocabulary has words of ASCII letters alone: {altered}"));
    }
    Ok(warnings)
}
