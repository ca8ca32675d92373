//! Bits and Huffman codes of a JPEG's scans.

/// A JPEG that does not hold its whole picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Incomplete {
    #[error("truncated: the data ends before the picture does")]
    Short,
    #[error("damaged: its data holds a code that no table has")]
    Damaged,
}

/// Bits of a code that are looked up at once.
const AHEAD: u32 = 8;

/// A table of codes: by their first bits where they are short, by their range where they are long.
#[derive(Clone, Debug, Default)]
pub(super) struct Huffman {
    /// Length and value of the code that begins with these bits; length 0: it is longer, or none.
    short: Vec<(u8, u8)>,
    /// By length: one more than the last code, in the upper bits of 16, and what its place in `values` is beyond it.
    limits: [(u32, i64); 17],
    values: Vec<u8>,
}

impl Huffman {
    /// A table as a file has it, and its bytes: 16 counts by length, then the values.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let counts: [u8; 16] = bytes.get(..16)?.try_into().ok()?;
        let total: usize = counts.iter().map(|n| usize::from(*n)).sum();
        let mut table = Self {
            short: vec![(0, 0); 1 << AHEAD],
            limits: [(0, 0); 17],
            values: bytes.get(16..16 + total)?.to_vec(),
        };
        let (mut code, mut place) = (0_u32, 0_usize);
        for (length, count) in (1..=16_u32).zip(counts) {
            table.limits[length as usize].1 = place as i64 - i64::from(code);
            for _ in 0..count {
                if code >= 1 << length {
                    return None;
                }
                if length <= AHEAD {
                    let from = (code << (AHEAD - length)) as usize;
                    table.short[from..from + (1 << (AHEAD - length))]
                        .fill((length as u8, table.values[place]));
                }
                (code, place) = (code + 1, place + 1);
            }
            table.limits[length as usize].0 = code << (16 - length);
            code <<= 1;
        }
        Some((table, 16 + total))
    }

    /// Length and value of the code that 16 bits begin with.
    fn find(&self, bits: u32) -> Option<(u8, u8)> {
        match *self.short.get((bits >> (16 - AHEAD)) as usize)? {
            (0, _) => (AHEAD + 1..=16).find(|n| bits < self.limits[*n as usize].0).and_then(|n| {
                let place = i64::from(bits >> (16 - n)) + self.limits[n as usize].1;
                Some((n as u8, *self.values.get(usize::try_from(place).ok()?)?))
            }),
            found => Some(found),
        }
    }
}

/// The bits of a scan, to its next marker.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    /// The bits from byte `at` on.
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, held: 0, count: 0 }
    }

    fn fill(&mut self) {
        while self.count <= 48 {
            match self.bytes.get(self.at..).unwrap_or_default() {
                [0xff, 0x00, ..] => self.push(0xff, 2),
                [0xff, ..] | [] => return,
                [byte, ..] => self.push(*byte, 1),
            }
        }
    }

    fn push(&mut self, byte: u8, read: usize) {
        self.held = self.held << 8 | u64::from(byte);
        self.count += 8;
        self.at += read;
    }

    /// The next `n` bits, at most 16.
    pub(super) fn take(&mut self, n: u8) -> Result<u32, Incomplete> {
        let n = u32::from(n);
        if self.count < n {
            self.fill();
        }
        self.count = self.count.checked_sub(n).ok_or(Incomplete::Short)?;
        Ok((self.held >> self.count) as u32 & ((1 << n) - 1))
    }

    /// The next code's value.
    pub(super) fn symbol(&mut self, table: &Huffman) -> Result<u8, Incomplete> {
        if self.count < 16 {
            self.fill();
        }
        let ahead = match self.count {
            n if n >= 16 => self.held >> (n - 16),
            n => self.held << (16 - n),
        };
        let short = if self.count < 16 { Incomplete::Short } else { Incomplete::Damaged };
        let (length, value) = table.find(ahead as u32 & 0xffff).ok_or(short)?;
        self.take(length)?;
        Ok(value)
    }

    /// Goes on behind the next marker, if that is one of a restart.
    pub(super) fn restart(&mut self) -> bool {
        let at = self.end();
        let rest = self.bytes.get(at..).unwrap_or_default();
        let fill = rest.iter().take_while(|b| **b == 0xff).count();
        let there = fill > 0 && matches!(rest.get(fill), Some(0xd0..=0xd7));
        if there {
            *self = Self::new(self.bytes, at + fill + 1);
        }
        there
    }

    /// Where the next marker is, or the data ends.
    pub(super) fn end(&self) -> usize {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let marker = |pair: &[u8]| pair[0] == 0xff && pair[1] != 0;
        self.at + rest.windows(2).position(marker).unwrap_or(rest.len())
    }
}
