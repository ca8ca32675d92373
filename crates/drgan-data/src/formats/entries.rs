//! Entries of a tar: names as bytes, long names of GNU and PAX, archives joined one after the other, links as they are.
use super::files;
use crate::error::DataError;
use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use tar::Header;

/// Bytes of a tar's block.
const BLOCK: u64 = 512;
/// Bytes of a long name or of an extended header, at most: real ones have some hundreds.
const NAME_BYTES: u64 = 1 << 20;
/// Blocks of zeros that end an archive.
const END: u64 = 2;

/// What a tar holds under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// `size` bytes from `offset` of the archive.
    Bytes { offset: u64, size: u64 },
    /// What another name of the same archive holds: the target of a hard link, from where names begin.
    HardLink(Vec<u8>),
    /// The target of a symbolic link, from the folder that the link is in.
    SymbolicLink(Vec<u8>),
    /// Bytes that are stored with gaps.
    Sparse,
    /// A pipe or device.
    NotAFile,
    /// A folder, or a label of the archive.
    Nothing,
}

/// An entry of a tar.
#[derive(Clone, Debug)]
pub(super) struct TarEntry {
    pub(super) name: Vec<u8>,
    pub(super) content: Content,
}

/// What a tar holds under a name, for its readers.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// The name as the tar has it.
    pub(super) raw: Vec<u8>,
    pub(super) content: Content,
    /// Contents of a text, which are read while the tar is passed through.
    pub(super) bytes: Option<Vec<u8>>,
}

/// What a tar holds, by [`super::names::normal`].
pub(super) type Names = BTreeMap<Vec<u8>, Held>;

/// What PAX headers and GNU's long names say of the entry after them.
#[derive(Debug, Default)]
struct Extended {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

/// Reads the entries of a tar, one after the other.
pub(super) struct Entries<'a, R: Read + Seek> {
    reader: BufReader<R>,
    /// The file, for messages.
    path: &'a str,
    length: u64,
    /// Where the next header is.
    at: u64,
    /// Blocks of zeros just before `at`.
    zeros: u64,
    /// The last name, for messages.
    last: String,
    any: bool,
    /// Bytes behind the end that are no archive: where they begin.
    pub(super) rubbish: Option<u64>,
}

impl<'a, R: Read + Seek> Entries<'a, R> {
    /// The entries of the tar of `length` bytes that `reader` reads; `path` is for messages.
    pub(super) fn new(reader: R, length: u64, path: &'a str) -> Self {
        let (reader, last) = (BufReader::new(reader), String::from("(none)"));
        Self { reader, path, length, at: 0, zeros: 0, last, any: false, rubbish: None }
    }

    fn truncated(&self) -> DataError {
        DataError::Truncated { path: self.path.to_owned(), entry: self.last.clone() }
    }

    fn not_a_tar(&self, source: io::Error) -> DataError {
        DataError::NotATar { path: self.path.to_owned(), source }
    }

    fn damaged(&self, reason: &str) -> DataError {
        DataError::metadata(
            self.path,
            &self.last,
            format!("{reason} after this entry; copy or make the tar again"),
        )
    }

    /// The bytes of an entry, at most `limit`.
    ///
    /// # Errors
    /// More bytes than `limit`; what the system reports.
    pub(super) fn bytes(&mut self, offset: u64, size: u64, limit: u64) -> io::Result<Vec<u8>> {
        if size > limit {
            return Err(files::too_large(limit));
        }
        self.seek(offset)?;
        let mut bytes = Vec::new();
        self.reader.by_ref().take(size).read_to_end(&mut bytes)?;
        match bytes.len() as u64 == size {
            true => Ok(bytes),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Moves the reader; near by, without a call to the system.
    fn seek(&mut self, to: u64) -> io::Result<()> {
        let here = self.reader.stream_position()?;
        match i64::try_from(to).ok().zip(i64::try_from(here).ok()) {
            Some((to, here)) => self.reader.seek_relative(to - here),
            None => self.reader.seek(SeekFrom::Start(to)).map(drop),
        }
    }

    /// The next header's block, where one begins.
    fn block(&mut self) -> Result<Option<[u8; BLOCK as usize]>, DataError> {
        let mut block = [0; BLOCK as usize];
        while self.at.saturating_add(BLOCK) <= self.length {
            let read = self.seek(self.at).and_then(|()| self.reader.read_exact(&mut block));
            read.map_err(|e| self.not_a_tar(e))?;
            if block.iter().any(|byte| *byte != 0) {
                return Ok(Some(block));
            }
            self.at += BLOCK;
            self.zeros += 1;
        }
        // The format ends with two blocks of zeros; without any, the rest was cut off.
        match (self.zeros, self.any) {
            (0, false) => Err(self.not_a_tar(io::Error::other("no entries and no end marker"))),
            (0, true) => Err(self.truncated()),
            _ => Ok(None),
        }
    }

    /// The next entry; none at the end.
    ///
    /// # Errors
    /// No tar, or one that ends before its end marker; a header that is damaged or claims more than there is.
    pub(super) fn next(&mut self) -> Result<Option<TarEntry>, DataError> {
        let mut extended = Extended::default();
        loop {
            let Some(block) = self.block()? else { return Ok(None) };
            let header = Header::from_byte_slice(&block);
            if !is_header(header, &block) {
                return match (self.any || self.zeros > 0, self.zeros >= END) {
                    (false, _) => Err(self.not_a_tar(io::Error::other("its first block is no tar header"))),
                    // What stands behind the end marker and is no archive belongs to whoever put it there.
                    (true, true) => {
                        self.rubbish = Some(self.at);
                        Ok(None)
                    }
                    (true, false) => Err(self.damaged("no header")),
                };
            }
            let own = header.entry_size().map_err(|_| self.damaged("a header without a size"))?;
            let kind = header.entry_type();
            let mut offset = self.at.saturating_add(BLOCK);
            if kind.is_gnu_sparse() {
                offset = self.after_sparse_map(header, offset)?;
            }
            // Links have no bytes of their own, whatever their size says; what describes an entry has its own size.
            let described =
                kind.is_gnu_longname() || kind.is_gnu_longlink() || kind.is_pax_local_extensions();
            let size = match () {
                () if kind.is_symlink() => 0,
                () if kind.is_hard_link() => 0,
                () if described || kind.is_pax_global_extensions() => own,
                () => extended.size.unwrap_or(own),
            };
            let end = size.checked_next_multiple_of(BLOCK).and_then(|size| offset.checked_add(size));
            if !described {
                self.last = super::names::shown(extended.name.as_deref().unwrap_or(&header.path_bytes()));
            }
            let Some(end) = end.filter(|end| *end <= self.length) else { return Err(self.truncated()) };
            (self.at, self.zeros, self.any) = (end, 0, true);
            if kind.is_pax_global_extensions() {
                continue;
            }
            if described {
                let bytes = self.bytes(offset, size, NAME_BYTES);
                let bytes = bytes.map_err(|_| self.damaged("a name of more than 1 MiB"))?;
                match () {
                    () if kind.is_gnu_longname() => extended.name = Some(until_nul(bytes)),
                    () if kind.is_gnu_longlink() => extended.link = Some(until_nul(bytes)),
                    () if !extended.read_pax(&bytes) => return Err(self.damaged("a damaged extended header")),
                    () => {}
                }
                continue;
            }
            let name = extended.name.unwrap_or_else(|| header.path_bytes().into_owned());
            let link = || extended.link.or_else(|| header.link_name_bytes().map(|link| link.into_owned()));
            let content = match () {
                () if kind.is_gnu_sparse() || extended.sparse => Content::Sparse,
                // A name that ends with a slash is a folder in the oldest tars.
                () if kind.is_dir() || name.ends_with(b"/") => Content::Nothing,
                () if kind.is_file() || kind.is_contiguous() => Content::Bytes { offset, size },
                () if kind.is_hard_link() => Content::HardLink(link().unwrap_or_default()),
                () if kind.is_symlink() => Content::SymbolicLink(link().unwrap_or_default()),
                () if kind.is_fifo() || kind.is_character_special() || kind.is_block_special() => {
                    Content::NotAFile
                }
                () => Content::Nothing,
            };
            return Ok(Some(TarEntry { name, content }));
        }
    }

    /// Where the bytes of an old GNU sparse entry begin: behind the blocks that continue its map.
    fn after_sparse_map(&mut self, header: &Header, mut offset: u64) -> Result<u64, DataError> {
        let mut more = header.as_gnu().is_some_and(tar::GnuHeader::is_extended);
        let mut block = [0; BLOCK as usize];
        while more {
            let read = self.seek(offset).and_then(|()| self.reader.read_exact(&mut block));
            read.map_err(|_| self.truncated())?;
            offset = offset.saturating_add(BLOCK);
            // 21 pieces of 24 bytes, then whether another block follows.
            more = block[504] == 1;
        }
        Ok(offset)
    }
}

/// Whether these first bytes of a file are a tar's first header.
pub(super) fn begins_a_tar(first: &[u8]) -> bool {
    first.get(..BLOCK as usize).is_some_and(|block| is_header(Header::from_byte_slice(block), block))
}

/// Whether a block's checksum is right: the sum of its bytes with the checksum's own field as spaces.
fn is_header(header: &Header, block: &[u8]) -> bool {
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    let field: u32 = block[148..156].iter().map(|byte| u32::from(*byte)).sum();
    header.cksum().is_ok_and(|written| written == sum - field + 8 * u32::from(b' '))
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}

impl Extended {
    /// Reads records `LENGTH KEY=VALUE\n`; a value may hold anything, newlines too. Whether all are whole.
    fn read_pax(&mut self, mut rest: &[u8]) -> bool {
        while !rest.is_empty() && rest[0] != 0 {
            let Some(space) = rest.iter().position(|byte| *byte == b' ') else { return false };
            let length = std::str::from_utf8(&rest[..space]).ok().and_then(|text| text.parse::<usize>().ok());
            let Some(record) = length.and_then(|length| rest.get(space + 1..length)) else { return false };
            let Some((b'\n', record)) = record.split_last() else { return false };
            let Some(equals) = record.iter().position(|byte| *byte == b'=') else { return false };
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"GNU.sparse.name" => (self.name, self.sparse) = (Some(value.to_vec()), true),
                b"path" if !self.sparse => self.name = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => {
                    self.size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                    if self.size.is_none() {
                        return false;
                    }
                }
                key if key.starts_with(b"GNU.sparse.") => self.sparse = true,
                _ => {}
            }
            rest = &rest[space + 2 + record.len()..];
        }
        true
    }
}
