//! Names of files and archive entries, which are bytes: what kind of file a name says, and how it is shown.

/// Extensions of pictures that are read, in lower case.
pub(super) const PICTURES: [&str; 14] =
    ["webp", "png", "apng", "jpg", "jpeg", "jpe", "jfif", "jfi", "jif", "gif", "bmp", "dib", "tif", "tiff"];

/// Extensions of pictures that are not read, in lower case: they are told from files that are no pictures at all.
const OTHER_PICTURES: [&str; 22] = [
    "avif", "heic", "heif", "jxl", "jp2", "j2k", "svg", "psd", "ico", "tga", "ppm", "pgm", "pnm", "exr",
    "hdr", "dng", "cr2", "nef", "arw", "raw", "eps", "xcf",
];

/// What a name says that a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A picture of a type that is read.
    Picture,
    /// A picture of another type.
    OtherPicture,
    /// Captions.
    Text,
    /// A description.
    Json,
    /// Anything else.
    Other,
}

impl Kind {
    /// The kind of a file with this extension, in any case.
    pub(super) fn of(extension: &[u8]) -> Self {
        let is = |known: &&str| known.as_bytes().eq_ignore_ascii_case(extension);
        match () {
            () if PICTURES.iter().any(is) => Self::Picture,
            () if OTHER_PICTURES.iter().any(is) => Self::OtherPicture,
            () if is(&"txt") => Self::Text,
            () if is(&"json") => Self::Json,
            () => Self::Other,
        }
    }
}

/// The part of a path after its last slash, and where that begins.
fn file_name(path: &[u8]) -> (usize, &[u8]) {
    let start = path.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
    (start, &path[start..])
}

/// A path without its extension, and the extension: what follows the last dot of the file's name. A name without a dot, or
/// with none but its first byte, has no extension.
pub(super) fn stem(path: &[u8]) -> (&[u8], &[u8]) {
    let (start, name) = file_name(path);
    match name.iter().rposition(|b| *b == b'.') {
        Some(dot) if dot > 0 => (&path[..start + dot], &path[start + dot + 1..]),
        _ => (path, &[]),
    }
}

/// WebDataset's key: the path up to the first dot of the file's name.
pub(super) fn first_stem(path: &[u8]) -> &[u8] {
    let (start, name) = file_name(path);
    let dot = name.iter().position(|b| *b == b'.').unwrap_or(name.len());
    &path[..start + dot]
}

/// Whether a path between slashes leads through a name that begins with a dot, or through `__MACOSX`: what systems keep
/// beside files, such as `._a.png` and `.ipynb_checkpoints`.
pub(super) fn is_hidden(path: &[u8]) -> bool {
    path.split(|b| *b == b'/').any(|part| match part {
        b"." | b".." => false,
        part => part.starts_with(b".") || part == b"__MACOSX",
    })
}

/// A path without empty parts and `.`, with `..` applied; none if it leads above where it begins. `./a//b` and `a/b` are the
/// same.
pub(super) fn normal(path: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join(&b'/'))
}

/// A name as text: UTF-8 as it is, other bytes and control characters as escapes, so that two names that differ in a byte
/// stay two, and none moves a terminal's cursor.
pub(super) fn shown(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            // Embeddings and overrides of the direction turn the text around them.
            if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_the_last_extension_in_any_case() {
        for name in ["a.png", "b/a.JPG", "v1.00.jpeg", "a.jfif", "a.JPE", "a.gif", "a.bmp", "a.tif", "a.TIFF"]
        {
            assert_eq!(Kind::of(stem(name.as_bytes()).1), Kind::Picture, "{name}");
        }
        assert_eq!(Kind::of(stem(b"a.avif").1), Kind::OtherPicture);
        assert_eq!(Kind::of(stem(b"a.b/c").1), Kind::Other, "the dot is a folder's");
        assert_eq!(Kind::of(stem(b".png").1), Kind::Other);
        assert_eq!(stem(b"x/v1.00.png"), (&b"x/v1.00"[..], &b"png"[..]));
        assert_eq!(first_stem(b"x.y/v1.00.png"), b"x.y/v1");
    }

    #[test]
    fn hidden_and_normal_paths() {
        for name in ["._a.png", "x/.cache/a.png", "__MACOSX/a.png", ".ipynb_checkpoints/a-checkpoint.png"] {
            assert!(is_hidden(name.as_bytes()), "{name}");
        }
        assert!(!is_hidden(b"./a.png") && !is_hidden(b"../a.png") && !is_hidden(b"a/b.c"));
        assert_eq!(normal(b"./a//b/../c.png").unwrap(), b"a/c.png");
        assert_eq!(normal(b"a/../../c.png"), None);
    }

    #[test]
    fn names_that_differ_are_shown_differently_and_move_no_cursor() {
        assert_eq!(shown("caf\u{e9}/\u{732b}.png".as_bytes()), "caf\u{e9}/\u{732b}.png");
        assert_eq!(shown(b"caf\xe9.png"), "caf\\xe9.png");
        assert_eq!(shown(b"caf\xe8.png"), "caf\\xe8.png");
        assert_eq!(shown(b"a\n\x1b[2J\xe2\x80\xae"), "a\\n\\u{1b}[2J\\u{202e}");
    }
}
