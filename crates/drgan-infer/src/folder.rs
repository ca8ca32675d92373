//! A folder of samples: one image file each, with what it shows in `metadata.jsonl` beside it. It can be continued, and trained on.
use crate::rgb;
use drgan_tensor::internal::escaped;
use drgan_tensor::{Error, Result, file};
use image::RgbImage;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The list of a folder's samples, a JSON object per line, as Hugging Face's image folders have it.
pub const METADATA: &str = "metadata.jsonl";
/// Most bytes of a caption in a file's name.
const SLUG: usize = 48;

/// What samples are written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// PNG, with caption, seed and model in its texts.
    #[default]
    Png,
    /// Lossless WebP.
    Webp,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Webp => "webp",
        }
    }
}

/// A sample and all that it depends on: a line of [`METADATA`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The file's name within the folder.
    pub file_name: String,
    /// The caption.
    pub text: String,
    /// Seed of the noise.
    pub seed: u64,
    /// Number of the noise.
    pub noise: u64,
    /// What the noise is truncated to, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncation: Option<f64>,
    /// What it was computed in, such as `f32`; empty in lists of older versions, which did not say it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub precision: String,
    /// What drew it, for people and to tell models apart.
    pub model: String,
}

impl Entry {
    /// Whether both are of one sample, as far as their lists say: one of an older version does not say the precision.
    fn is_same(&self, other: &Self) -> bool {
        let unknown = self.precision.is_empty() || other.precision.is_empty();
        *self
            == Self {
                precision: if unknown { &self.precision } else { &other.precision }.clone(),
                ..other.clone()
            }
    }

    /// A name that sorts by the caption's place in a list and by the sample, and can be read: `00012-a-red-heart-1.png`.
    pub fn name(place: usize, caption: &str, sample: u64, format: Format) -> String {
        let mut slug = String::new();
        for word in caption.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            let word = word.to_lowercase();
            if slug.len() + word.len() >= SLUG {
                break;
            }
            slug += &word;
            slug.push('-');
        }
        format!("{place:05}-{slug}{sample}.{}", format.extension())
    }
}

/// A folder that samples are written to.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    format: Format,
    /// What is there already, by file name.
    known: HashMap<String, Entry>,
    metadata: File,
}

impl Folder {
    /// Opens a folder to add samples, and makes it where there is none. A last line of [`METADATA`] that was cut short, by a full disk or
    /// a program that was killed, is removed.
    ///
    /// # Errors
    /// [`Error::File`]: a list that holds something else, or what the file system reports.
    pub fn open(path: &Path, format: Format) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(|e| Error::file_because(path, "cannot be made", e))?;
        file::remove_partials(path);
        let list = path.join(METADATA);
        let text = match file::read(&list) {
            Ok(bytes) => {
                String::from_utf8(bytes).map_err(|e| Error::file_because(&list, "is not UTF-8", e))?
            }
            Err(_) if !list.exists() => String::new(),
            Err(e) => return Err(e),
        };
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            file::write_atomic(&list, &text.as_bytes()[..whole])?;
        }
        let mut known = HashMap::new();
        for (number, line) in text[..whole].lines().enumerate() {
            let entry: Entry = serde_json::from_str(line).map_err(|e| {
                let reason = format!("line {}: not a list of samples that this program wrote", number + 1);
                Error::file_because(&list, reason, e)
            })?;
            known.insert(entry.file_name.clone(), entry);
        }
        let metadata = File::options().append(true).create(true).open(&list);
        let metadata = metadata.map_err(|e| Error::file_because(&list, "cannot be written", e))?;
        Ok(Self { path: path.to_owned(), format, known, metadata })
    }

    /// What samples are written as.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether a sample is there already and need not be drawn.
    ///
    /// # Errors
    /// [`Error::File`]: its name is that of another sample, of another caption, seed, precision or model.
    pub fn has(&self, entry: &Entry) -> Result<bool> {
        let path = self.path.join(&entry.file_name);
        match self.known.get(&entry.file_name) {
            None => Ok(false),
            Some(known) if known.is_same(entry) => Ok(path.is_file()),
            Some(Entry { text, seed, model, precision, .. }) => {
                let how =
                    if precision.is_empty() { String::new() } else { format!(" in {}", escaped(precision)) };
                let (text, model) = (escaped(text), escaped(model));
                let reason =
                    format!("shows \"{text}\" with seed {seed}, drawn{how} by {model}; give another folder");
                Err(Error::file(&path, reason))
            }
        }
    }

    /// Writes a sample, then its line of [`METADATA`]: what the list names is whole.
    ///
    /// # Errors
    /// [`Error::File`]: what the file system reports. What was written before stays, and the folder can be opened again.
    pub fn add(&mut self, entry: Entry, image: &RgbImage) -> Result<()> {
        let path = self.path.join(&entry.file_name);
        let bytes = match self.format {
            Format::Png => {
                let (seed, noise) = (entry.seed.to_string(), entry.noise.to_string());
                let software = concat!("drgan ", env!("CARGO_PKG_VERSION"));
                rgb::encode_png_with(
                    image,
                    &[
                        ("Description", &entry.text),
                        ("Software", software),
                        ("Source", &entry.model),
                        ("Seed", &seed),
                        ("Noise", &noise),
                        ("Precision", &entry.precision),
                    ],
                )
            }
            Format::Webp => rgb::encode_webp(image),
        };
        file::write_atomic(&path, &bytes.map_err(|e| Error::file_because(&path, "cannot be encoded", e))?)?;
        // A file that was removed since is drawn again, and listed already.
        if !self.known.get(&entry.file_name).is_some_and(|known| known.is_same(&entry)) {
            let line = serde_json::to_string(&entry).map_err(candle_core::Error::wrap)? + "\n";
            let list = self.path.join(METADATA);
            let written = self.metadata.write_all(line.as_bytes());
            written.map_err(|e| Error::file_because(&list, "cannot be written", e))?;
            self.known.insert(entry.file_name.clone(), entry);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drgan_tensor::testing::disk::{self, Fault};
    use image::Rgb;

    fn entry(place: usize, text: &str) -> Entry {
        let file_name = Entry::name(place, text, 0, Format::Png);
        Entry {
            file_name,
            text: text.to_owned(),
            seed: 3,
            noise: 0,
            truncation: None,
            precision: "f32".to_owned(),
            model: "m, step 1".to_owned(),
        }
    }

    /// A picture of one color.
    fn image() -> RgbImage {
        RgbImage::from_pixel(4, 4, Rgb([9, 90, 200]))
    }

    #[test]
    fn names_sort_and_are_read() {
        assert_eq!(Entry::name(12, "A red heart!", 1, Format::Png), "00012-a-red-heart-1.png");
        assert_eq!(Entry::name(1, "...", 0, Format::Webp), "00001-0.webp");
        assert_eq!(Entry::name(1, "../../etc/passwd", 0, Format::Png), "00001-etc-passwd-0.png");
        assert_eq!(Entry::name(1, "ein grünes Herz", 0, Format::Png), "00001-ein-grünes-herz-0.png");
        assert!(Entry::name(7, &"very long words ".repeat(99), 0, Format::Png).len() < 80);
    }

    #[test]
    fn a_folder_is_continued_where_it_was_left() -> Result<()> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("new/samples");
        let (one, two, three) = (entry(1, "a red heart"), entry(2, "ein \"Herz\""), entry(3, "cat"));
        let mut folder = Folder::open(&path, Format::Png)?;
        for entry in [&one, &two] {
            assert!(!folder.has(entry)?);
            folder.add(entry.clone(), &image())?;
            assert!(folder.has(entry)?);
        }
        drop(folder);
        // A line that was cut short, and an image that nobody listed.
        let list = path.join(METADATA);
        let whole = std::fs::read_to_string(&list).expect("the list");
        std::fs::write(&list, format!("{whole}{{\"file_na")).expect("written");
        std::fs::write(path.join(&three.file_name), b"half").expect("written");
        let mut folder = Folder::open(&path, Format::Png)?;
        assert_eq!(std::fs::read_to_string(&list).expect("the list"), whole);
        assert!(folder.has(&one)? && folder.has(&two)? && !folder.has(&three)?);
        folder.add(three.clone(), &image())?;
        std::fs::remove_file(path.join(&one.file_name)).expect("removed");
        assert!(!folder.has(&one)?);
        folder.add(one, &image())?;
        assert_eq!(std::fs::read_to_string(&list).expect("the list").lines().count(), 3);
        let other = Entry { seed: 4, ..three };
        let said = folder.has(&other).expect_err("another sample").to_string();
        assert!(
            said.contains("00003-cat-0.png") && said.contains("seed 3") && said.contains("another folder"),
            "{said}"
        );
        Ok(())
    }

    #[test]
    fn samples_of_another_precision_are_refused_and_those_of_older_lists_taken() -> Result<()> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let list = dir.path().join(METADATA);
        let (one, two) = (entry(1, "a red heart"), entry(2, "cat"));
        let mut folder = Folder::open(dir.path(), Format::Png)?;
        folder.add(one.clone(), &image())?;
        let text = std::fs::read_to_string(&list).expect("the list");
        assert!(text.contains("\"precision\":\"f32\""), "{text}");
        let said = folder.has(&Entry { precision: "bf16".to_owned(), ..one.clone() });
        let said = said.expect_err("another precision").to_string();
        assert!(said.contains("drawn in f32 by m, step 1; give another folder"), "{said}");
        drop(folder);
        // A list of a version that did not write it goes on, and its lines stay.
        let old = text.replace("\"precision\":\"f32\",", "");
        std::fs::write(&list, &old).expect("written");
        let mut folder = Folder::open(dir.path(), Format::Png)?;
        assert!(folder.has(&one)? && !folder.has(&two)?);
        folder.add(one, &image())?;
        folder.add(two, &image())?;
        let now = std::fs::read_to_string(&list).expect("the list");
        assert!(now.starts_with(&old) && now.lines().count() == 2, "{now}");
        Ok(())
    }

    #[test]
    fn a_png_says_what_it_shows() -> Result<()> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let two = entry(2, "ein grünes Herz");
        Folder::open(dir.path(), Format::Png)?.add(two.clone(), &image())?;
        let file = std::io::BufReader::new(File::open(dir.path().join(&two.file_name)).expect("there"));
        let reader = png::Decoder::new(file).read_info().expect("a PNG");
        let texts: Vec<(String, String)> = reader
            .info()
            .utf8_text
            .iter()
            .map(|chunk| (chunk.keyword.clone(), chunk.get_text().expect("text")))
            .collect();
        let says = |keyword: &str, text: &str| texts.contains(&(keyword.to_owned(), text.to_owned()));
        assert!(
            says("Description", "ein grünes Herz") && says("Seed", "3") && says("Source", "m, step 1"),
            "{texts:?}"
        );
        assert!(says("Precision", "f32"), "{texts:?}");
        let webp = Entry { file_name: Entry::name(2, &two.text, 0, Format::Webp), ..two };
        Folder::open(dir.path(), Format::Webp)?.add(webp.clone(), &image())?;
        let bytes = std::fs::read(dir.path().join(webp.file_name)).expect("there");
        assert!(bytes.starts_with(b"RIFF") && bytes[8..].starts_with(b"WEBP"), "{:?}", &bytes[..12]);
        Ok(())
    }

    #[test]
    fn a_disk_that_fails_loses_no_sample_and_the_folder_is_continued() -> Result<()> {
        for fault in Fault::ALL {
            let dir = tempfile::tempdir().expect("a temporary folder");
            let (one, two) = (entry(1, "a red heart"), entry(2, "cat"));
            let mut folder = Folder::open(dir.path(), Format::Png)?;
            folder.add(one.clone(), &image())?;
            let (failed, _) = disk::failing(0, fault, || folder.add(two.clone(), &image()));
            let said = failed.expect_err("a fault").to_string();
            assert!(said.contains("00002-cat-0.png"), "{fault:?}: {said}");
            let mut again = Folder::open(dir.path(), Format::Png)?;
            assert!(again.has(&one)? && !again.has(&two)?, "{fault:?}");
            again.add(two.clone(), &image())?;
            for entry in [&one, &two] {
                assert_eq!(
                    image::open(dir.path().join(&entry.file_name)).expect("whole").into_rgb8(),
                    image()
                );
            }
            let kept = std::fs::read_dir(dir.path()).expect("the folder").count();
            assert_eq!(kept, 3, "{fault:?}: a temporary file is left");
        }
        Ok(())
    }

    #[test]
    fn a_list_of_something_else_is_not_written_to() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let list = dir.path().join(METADATA);
        std::fs::write(&list, "{\"file_name\": \"a.png\", \"text\": \"a cat\"}\n").expect("written");
        let said = Folder::open(dir.path(), Format::Png).expect_err("refused").to_string();
        assert!(said.contains("line 1") && said.contains("metadata.jsonl"), "{said}");
    }
}
