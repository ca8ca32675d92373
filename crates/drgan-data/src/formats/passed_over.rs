//! What a reader leaves out, counted by reason: nothing of a data set is passed over without a word.
use super::names;
use drgan_tensor::internal::counted;
use std::collections::BTreeMap;

/// Characters of a name that are shown at most.
const SHOWN: usize = 200;

/// The system's number of "too many levels of symbolic links".
const ELOOP: i32 = if cfg!(any(target_os = "linux", target_os = "android")) { 40 } else { 62 };

/// Why something of a data set is left out, or read otherwise than one might think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub(crate) enum Reason {
    /// A picture that the set's list does not name.
    Unlisted,
    /// A text in a folder whose captions are in a list.
    UnlistedText,
    /// An entry of a list that names no picture.
    NoName,
    /// Captions without a picture.
    NoPicture,
    /// A picture that the set's list gives no caption.
    NoCaption,
    /// Null or blank text in place of a caption, beside others.
    EmptyCaption,
    /// An entry of a list for a picture that it has another for.
    NamedAgain,
    /// A list of another form, beside one that is read.
    OtherList,
    /// A second picture under one key.
    SecondPicture,
    /// A picture with more than one extension, and without captions of that name: WebDataset's `000.seg.png`.
    LongExtension,
    /// An earlier entry under a name that a later one has too.
    SameName,
    /// A picture of a type that is not read.
    PictureType,
    /// A file that is neither a picture nor a text.
    Other,
    /// A name that begins with a dot, or `__MACOSX`.
    Hidden,
    /// A pipe, socket or device.
    NotAFile,
    /// A link that leads nowhere.
    DanglingLink,
    /// A link or a path that leads out of the set.
    Outside,
    /// A folder that was read already, by another path.
    FolderAgain,
    /// A file or folder that the system does not let this user read.
    Unreadable,
    /// A tar entry whose contents are not stored in one piece.
    Sparse,
    /// Bytes behind the end of an archive.
    Rubbish,
    /// A name in the lists of both parts.
    BothParts,
    /// A key that another record has too.
    SameKey,
    /// A picture with the same bytes as another one.
    SameContents,
    /// A picture of the training part with the same bytes as one that is held out.
    SameContentsBothParts,
    /// A picture that is whole but for the mark at its end.
    NoEndMark,
    /// A picture of several frames or pages.
    SeveralFrames,
}

impl Reason {
    /// Why a file cannot be read that the system reports `error` of.
    pub(crate) fn of(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::DanglingLink,
            // Not yet stable in std: FilesystemLoop. Links in a circle lead nowhere.
            _ if error.raw_os_error() == Some(ELOOP) => Self::DanglingLink,
            _ => Self::Unreadable,
        }
    }

    /// What is said of the things counted, as [`counted`] reads it, and what became of them.
    fn words(self) -> (&'static str, &'static str) {
        const LEFT_OUT: &str = "left out";
        match self {
            Self::Unlisted => ("picture[|s] [is|are] not in the list", LEFT_OUT),
            Self::UnlistedText => ("text file[|s] lie[s|] beside a list of captions", LEFT_OUT),
            Self::NoName => ("entr[y|ies] of lists name[s|] no picture", LEFT_OUT),
            Self::NoCaption => ("picture[|s] [has|have] no caption in the list", LEFT_OUT),
            Self::EmptyCaption => ("caption[|s] [is|are] null or blank", LEFT_OUT),
            Self::NamedAgain => {
                ("entr[y|ies] of lists [is|are] for a picture that has one", "its captions are added")
            }
            Self::OtherList => ("list[|s] lie[s|] beside one that is read", LEFT_OUT),
            Self::NoPicture => ("caption[|s] or description[|s] [has|have] no picture", LEFT_OUT),
            Self::SecondPicture => ("picture[|s] [is|are] the second of [its|their] key", LEFT_OUT),
            Self::LongExtension => {
                ("picture[|s] [has|have] a longer extension and no captions of that name", LEFT_OUT)
            }
            Self::SameName => ("name[|s] occur[s|] again", "the last counts"),
            Self::PictureType => ("picture[|s] [is|are] of a type that is not read", LEFT_OUT),
            Self::Other => ("file[|s] [is|are] neither [a picture|pictures] nor captions", LEFT_OUT),
            Self::Hidden => ("file[|s] or folder[|s] [is|are] hidden", LEFT_OUT),
            Self::NotAFile => {
                ("name[|s] [is a pipe, socket or device|are pipes, sockets or devices]", LEFT_OUT)
            }
            Self::DanglingLink => ("link[|s] lead[s|] nowhere", LEFT_OUT),
            Self::Outside => ("link[|s] or path[|s] lead[s|] out of the set", LEFT_OUT),
            Self::FolderAgain => ("folder[|s] [was|were] read by another path already", LEFT_OUT),
            Self::Unreadable => {
                ("file[|s] or folder[|s] cannot be read (no permission, or too long a path)", LEFT_OUT)
            }
            Self::Sparse => ("entr[y is|ies are] stored with gaps", LEFT_OUT),
            Self::Rubbish => ("stretch[|es] of bytes behind the end [is|are] no archive", LEFT_OUT),
            Self::BothParts => ("name[|s] [is|are] in the lists of both parts", "held out"),
            Self::SameKey => ("key[|s] occur[s|] again", LEFT_OUT),
            Self::SameContents => ("picture[|s] [has|have] the bytes of another one", "kept"),
            Self::SameContentsBothParts => {
                ("picture[|s] to train on [has|have] the bytes of one that is held out", "kept")
            }
            Self::NoEndMark => ("picture[|s] [is|are] whole but for the mark at [its|their] end", "read"),
            Self::SeveralFrames => ("picture[|s] [has|have] several frames or pages", "the first is read"),
        }
    }
}

/// How much a reader passed over, by reason, with the first name of each in alphabetical order.
#[derive(Clone, Debug, Default)]
pub(crate) struct PassedOver {
    counts: BTreeMap<Reason, (usize, String)>,
}

impl PassedOver {
    /// Counts `name`, which is passed over for `reason`.
    pub(crate) fn add(&mut self, reason: Reason, name: impl AsRef<str> + Into<String>) {
        match self.counts.get_mut(&reason) {
            Some((count, first)) => {
                *count += 1;
                if name.as_ref() < first.as_str() {
                    *first = name.into();
                }
            }
            None => {
                self.counts.insert(reason, (1, name.into()));
            }
        }
    }

    /// Counts what another reader of the same set passed over too.
    pub(crate) fn merge(&mut self, other: Self) {
        for (reason, (count, first)) in other.counts {
            self.add(reason, first);
            if let Some((own, _)) = self.counts.get_mut(&reason) {
                *own += count - 1;
            }
        }
    }

    /// Whether nothing was passed over.
    pub(crate) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// A line per reason: `3 pictures are not in the list, first a.png: left out`.
    pub(crate) fn notes(&self) -> Vec<String> {
        let note = |(reason, (count, first)): (&Reason, &(usize, String))| {
            let (what, then) = reason.words();
            format!("{}, first {}: {then}", counted(*count, what), start(first))
        };
        self.counts.iter().map(note).collect()
    }
}

/// The start of a name, as it is shown: names come from archives of others, and may be long.
fn start(name: &str) -> String {
    let shown = names::shown(name.as_bytes());
    match shown.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &shown[..end]),
        None => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_reason_with_the_first_name() {
        let mut passed = PassedOver::default();
        for name in ["c.png", "a.png", "b.png"] {
            passed.add(Reason::Unlisted, name);
        }
        passed.add(Reason::Hidden, "._a\u{1b}[2J.png");
        passed.add(Reason::Unlisted, "Z.png");
        let notes = passed.notes();
        assert_eq!(
            notes,
            [
                "4 pictures are not in the list, first Z.png: left out",
                "1 file or folder is hidden, first ._a\\u{1b}[2J.png: left out"
            ]
        );
        assert!(start(&"x".repeat(1000)).len() < 210);
    }
}
