//! How archives are compressed that are not read, told by their first bytes.

/// How an archive is compressed that has to be unpacked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// xz, as in `.tar.xz`.
    Xz,
    /// bzip2, as in `.tar.bz2`.
    Bzip2,
    /// Zstandard, as in `.tar.zst`.
    Zstd,
    /// A zip archive.
    Zip,
    /// A 7z archive.
    SevenZip,
    /// A RAR archive.
    Rar,
}

impl std::fmt::Display for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::Zstd => "zstd",
            Self::Zip => "zip",
            Self::SevenZip => "7z",
            Self::Rar => "rar",
        })
    }
}

/// First bytes of compressed files.
const COMPRESSED: [(&[u8], Compression); 8] = [
    (b"\xfd7zXZ\0", Compression::Xz),
    (b"BZh", Compression::Bzip2),
    (b"\x28\xb5\x2f\xfd", Compression::Zstd),
    (b"PK\x03\x04", Compression::Zip),
    (b"PK\x05\x06", Compression::Zip),
    (b"PK\x07\x08", Compression::Zip),
    (b"7z\xbc\xaf\x27\x1c", Compression::SevenZip),
    (b"Rar!\x1a\x07", Compression::Rar),
];

impl Compression {
    /// What a file that begins with these bytes is compressed by; none if it is none of these archives.
    pub(crate) fn of(first: &[u8]) -> Option<Self> {
        COMPRESSED.iter().find(|(magic, _)| first.starts_with(magic)).map(|(_, compression)| *compression)
    }
}
