//! Whether a JPEG holds all the picture that its header announces. Decoders fill what is missing with gray and say nothing, so
//! the codes are walked once, without computing a pixel: every block must be there.
use super::huffman::{Bits, Huffman, Incomplete};

type Result<T> = std::result::Result<T, Incomplete>;

/// A component of the frame, in blocks of 8 x 8 samples.
#[derive(Debug)]
struct Component {
    id: u8,
    /// Blocks across and down in an MCU of several components.
    sampling: (usize, usize),
    /// Blocks across and down of the component alone.
    own: (usize, usize),
    /// Blocks across, with those that fill the last MCU.
    stride: usize,
    /// Per block, which coefficients are not zero; of a progressive picture alone.
    set: Vec<u64>,
    /// Per coefficient, the lowest bit that was coded; none: not coded yet.
    coded: [Option<u8>; 64],
}

/// What a scan codes: coefficients `first..=last`, down to bit `low`, `refine` if higher bits were coded before.
#[derive(Clone, Copy, Debug)]
struct Band {
    first: usize,
    last: usize,
    refine: bool,
    low: u8,
}

#[derive(Debug, Default)]
struct Walker {
    progressive: bool,
    components: Vec<Component>,
    /// MCUs across and down.
    mcus: (usize, usize),
    dc: [Option<Huffman>; 4],
    ac: [Option<Huffman>; 4],
    restart: usize,
}

/// Whether the end mark is there.
///
/// # Errors
/// Data that ends before the picture does, or that no table decodes.
pub(super) fn ends(bytes: &[u8]) -> Result<bool> {
    let mut walker = Walker::default();
    let mut at = 2;
    loop {
        let Some(found) = marker(bytes, at) else { return walker.whole(false).map(|()| false) };
        at = found.1;
        match found.0 {
            0xd9 => return walker.whole(true).map(|()| true),
            0x01 | 0xd0..=0xd8 => continue,
            _ => {}
        }
        let size = bytes.get(at..at + 2).map_or(0, |b| usize::from(u16::from_be_bytes([b[0], b[1]])));
        let Some(segment) = bytes.get(at + 2..at + size.max(2)) else {
            return walker.whole(false).map(|()| false);
        };
        at += size.max(2);
        match found.0 {
            0xc0..=0xc2 => walker.frame(segment, found.0 == 0xc2)?,
            0xc4 => walker.tables(segment)?,
            0xdd if segment.len() >= 2 => {
                walker.restart = usize::from(u16::from_be_bytes([segment[0], segment[1]]));
            }
            0xda => {
                // Tables that the file leaves out are the decoder's to know: motion JPEG's.
                let Some(end) = walker.scan(segment, bytes, at)? else { return Ok(true) };
                at = end;
                if !walker.progressive && walker.whole(true).is_ok() {
                    return Ok(bytes[at..].windows(2).any(|pair| pair == [0xff, 0xd9]));
                }
            }
            _ => {}
        }
    }
}

/// The next marker from `at` on, and where what follows it begins.
fn marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += bytes.get(at..)?.iter().position(|b| *b == 0xff)? + 1;
        match *bytes.get(at)? {
            0x00 | 0xff => {}
            marker => return Some((marker, at + 1)),
        }
    }
}

impl Walker {
    /// Whether every component was coded; without an end mark, every coefficient to its last bit, since scans may be missing.
    fn whole(&self, marked: bool) -> Result<()> {
        let coded = |c: &Component| match self.progressive && !marked {
            true => c.coded.iter().all(|low| *low == Some(0)),
            false => c.coded[0].is_some(),
        };
        match !self.components.is_empty() && self.components.iter().all(coded) {
            true => Ok(()),
            false => Err(Incomplete::Short),
        }
    }

    fn frame(&mut self, segment: &[u8], progressive: bool) -> Result<()> {
        let [_, h0, h1, w0, w1, count, rest @ ..] = segment else { return Err(Incomplete::Short) };
        let side = |high: &u8, low: &u8| usize::from(u16::from_be_bytes([*high, *low]));
        let (height, width) = (side(h0, h1), side(w0, w1));
        let entries: Vec<&[u8]> = rest.chunks_exact(3).take((*count).into()).collect();
        let sampling = |entry: &[u8]| (usize::from(entry[1] >> 4), usize::from(entry[1] & 15));
        let most = entries.iter().map(|e| sampling(e)).fold((0, 0), |a, b| (a.0.max(b.0), a.1.max(b.1)));
        let odd = |(across, down): (usize, usize)| !(1..=4).contains(&across) || !(1..=4).contains(&down);
        if !self.components.is_empty() || entries.iter().any(|e| odd(sampling(e))) {
            return Err(Incomplete::Damaged);
        }
        self.progressive = progressive;
        self.mcus = (width.div_ceil(8 * most.0.max(1)), height.div_ceil(8 * most.1.max(1)));
        let component = |entry: &&[u8]| {
            let (across, down) = sampling(entry);
            let own = ((width * across).div_ceil(8 * most.0), (height * down).div_ceil(8 * most.1));
            let stride = self.mcus.0 * across;
            let blocks = if progressive { stride * self.mcus.1 * down } else { 0 };
            let (set, coded) = (vec![0; blocks], [None; 64]);
            Component { id: entry[0], sampling: (across, down), own, stride, set, coded }
        };
        self.components = entries.iter().map(component).collect();
        Ok(())
    }

    fn tables(&mut self, mut segment: &[u8]) -> Result<()> {
        while let [class, rest @ ..] = segment {
            let (table, used) = Huffman::read(rest).ok_or(Incomplete::Damaged)?;
            let tables = if class >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            *tables.get_mut(usize::from(class & 15)).ok_or(Incomplete::Damaged)? = Some(table);
            segment = &rest[used..];
        }
        Ok(())
    }

    /// Walks a scan's codes; where what follows begins, none if a table is not in the file.
    fn scan(&mut self, header: &[u8], bytes: &[u8], at: usize) -> Result<Option<usize>> {
        let [count, rest @ ..] = header else { return Err(Incomplete::Short) };
        let count = usize::from(*count);
        let (Some(chosen), Some([first, last, high_low])) =
            (rest.get(..2 * count), rest.get(2 * count..2 * count + 3))
        else {
            return Err(Incomplete::Short);
        };
        let band = match self.progressive {
            true => {
                let (first, last) = (usize::from(*first), usize::from(*last));
                Band { first, last, refine: high_low >> 4 != 0, low: high_low & 15 }
            }
            false => Band { first: 0, last: 63, refine: false, low: 0 },
        };
        if band.first > band.last || band.last > 63 || (count > 1 && self.progressive && band.first > 0) {
            return Err(Incomplete::Damaged);
        }
        let mut plan = Vec::new();
        for pair in chosen.chunks_exact(2) {
            let place = self.components.iter().position(|c| c.id == pair[0]).ok_or(Incomplete::Damaged)?;
            let table = |all: &[Option<Huffman>; 4], n: u8| all.get(usize::from(n)).cloned().flatten();
            let tables = (table(&self.dc, pair[1] >> 4), table(&self.ac, pair[1] & 15));
            let dc_needed = band.first == 0 && !band.refine;
            if (dc_needed && tables.0.is_none()) || (band.last > 0 && tables.1.is_none()) {
                return Ok(None);
            }
            plan.push((place, tables.0.unwrap_or_default(), tables.1.unwrap_or_default()));
        }
        let single = plan.len() == 1;
        let (across, down) = match plan.first() {
            Some((place, ..)) if single => self.components[*place].own,
            _ => self.mcus,
        };
        let (mut bits, mut run) = (Bits::new(bytes, at), 0);
        for mcu in 0..across * down {
            if self.restart > 0 && mcu > 0 && mcu % self.restart == 0 {
                run = 0;
                if !bits.restart() {
                    return Err(Incomplete::Short);
                }
            }
            let (x, y) = (mcu % across, mcu / across);
            for (place, dc, ac) in &plan {
                let component = &mut self.components[*place];
                let (wide, high) = if single { (1, 1) } else { component.sampling };
                for block in 0..wide * high {
                    if self.progressive {
                        let at = (y * high + block / wide) * component.stride + x * wide + block % wide;
                        let set = component.set.get_mut(at).ok_or(Incomplete::Damaged)?;
                        progressive(&mut bits, band, (dc, ac), set, &mut run)?;
                    } else {
                        sequential(&mut bits, dc, ac)?;
                    }
                }
            }
        }
        for (place, ..) in &plan {
            self.components[*place].coded[band.first..=band.last].fill(Some(band.low));
        }
        Ok(Some(bits.end()))
    }
}

/// A block of a sequential picture.
fn sequential(bits: &mut Bits<'_>, dc: &Huffman, ac: &Huffman) -> Result<()> {
    let size = bits.symbol(dc)?;
    bits.take(size.min(16))?;
    let mut k = 1;
    while k < 64 {
        let symbol = bits.symbol(ac)?;
        let (run, size) = (usize::from(symbol >> 4), symbol & 15);
        match (run, size) {
            (15, 0) => k += 16,
            (_, 0) => break,
            _ if k + run > 63 => return Err(Incomplete::Damaged),
            _ => {
                k += run + 1;
                bits.take(size)?;
            }
        }
    }
    Ok(())
}

/// A block's part in a scan of a progressive picture; `run` blocks from this one on end early.
fn progressive(
    bits: &mut Bits<'_>,
    band: Band,
    tables: (&Huffman, &Huffman),
    set: &mut u64,
    run: &mut u32,
) -> Result<()> {
    if band.first == 0 {
        let size = if band.refine { 1 } else { bits.symbol(tables.0)? };
        bits.take(size.min(16))?;
        // The specification keeps the first coefficient and the others in scans of their own.
        return if band.last == 0 { Ok(()) } else { Err(Incomplete::Damaged) };
    }
    let mut k = band.first;
    while *run == 0 && k <= band.last {
        let symbol = bits.symbol(tables.1)?;
        let (mut zeros, size) = (symbol >> 4, symbol & 15);
        if size == 0 && zeros < 15 {
            *run = (1 << zeros) + bits.take(zeros)?;
            break;
        }
        bits.take(if band.refine { size.min(1) } else { size })?;
        while k <= band.last {
            if band.refine && *set >> k & 1 == 1 {
                bits.take(1)?;
            } else if zeros == 0 {
                break;
            } else {
                zeros -= 1;
            }
            k += 1;
        }
        if k > band.last && size > 0 {
            return Err(Incomplete::Damaged);
        }
        if size > 0 {
            *set |= 1 << k;
        }
        k += 1;
    }
    if *run > 0 {
        let known = (k..=band.last).filter(|k| band.refine && *set >> k & 1 == 1).count();
        (0..known).try_for_each(|_| bits.take(1).map(drop))?;
        *run -= 1;
    }
    Ok(())
}
