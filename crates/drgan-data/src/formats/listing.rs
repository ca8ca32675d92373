//! What a published set lists, what of it is there, and what is odd about its lists.
use drgan_tensor::internal::counted;

/// A data set that was published with its own split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishedSet {
    /// CUB-200-2011: birds of 200 classes.
    Cub,
    /// MS COCO with its captions.
    Coco,
}

/// What a published set lists, and what of it is there.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    pub(crate) set: PublishedSet,
    /// Which set, in which layout.
    pub(crate) layout: &'static str,
    /// Records, with captions or without, with an image or without.
    pub(crate) records: usize,
    /// Captions of all that is listed.
    pub(crate) captions: usize,
    /// Records of each part: training, held out.
    pub(crate) parts: [usize; 2],
    /// Keys of records whose image is not there.
    pub(crate) without_image: Vec<String>,
    /// Keys of records whose captions are not there.
    pub(crate) without_captions: Vec<String>,
    /// Captions without a word: they are left out.
    pub(crate) wordless: usize,
    /// What else is odd about the lists.
    pub(crate) remarks: Vec<String>,
}

impl Listing {
    /// What a user should know before training: the counts, what is left out, the remarks.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = vec![format!(
            "{}: {}, {}",
            self.layout,
            counted(self.records, "record[|s]"),
            counted(self.captions, "caption[|s]")
        )];
        for (what, keys) in [("image", &self.without_image), ("caption", &self.without_captions)] {
            if let Some(first) = keys.first() {
                let lack = counted(keys.len(), "record[|s] [has|have]");
                notes.push(format!("{lack} no {what}, first {first}: left out"));
            }
        }
        notes.extend(self.remarks.iter().cloned());
        if self.wordless > 0 {
            notes.push(counted(self.wordless, "caption[|s] [has|have] no word: left out"));
        }
        notes
    }
}
