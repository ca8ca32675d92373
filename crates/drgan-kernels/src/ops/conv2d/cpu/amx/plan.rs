//! Where everything lies: taps, bands of positions, tiles and the pixels that they make.
//!
//! A *band* is some rows of one image or several small images. Its input lies in scratch memory by blocks of input
//! channels, each a *plane* of positions: rows one after the other, `pitch` apart, with the zeros that pad one row's
//! right side and the next one's left side shared. So every tap of every pixel is a fixed distance away, and sixteen
//! neighbours of a plane, across rows and images if need be, make a tile.
use super::products::{BLOCK, Position, SIDE};
use crate::ops::conv2d::shape::{ConvShape, Panel};

/// Positions of a band, about.
const BAND: usize = 1024;
/// Bytes of a band's input, about: half of a core's L2 cache, the weights have the other.
const BAND_BYTES: usize = 1 << 20;
/// Tasks that suffice: with fewer bands, output channels are shared out too, though each share loads the band anew.
const TASKS: usize = 8;

/// The taps of one phase: where each reads, and the large kernel's taps whose sum it weighs with.
pub(super) struct Taps(Vec<(usize, usize, Vec<usize>)>);

impl Taps {
    /// The phases of `g`: one; of an upsampled map four, one per parity of row and column, each of two by two taps on the
    /// small map.
    pub(super) fn phases(g: &ConvShape) -> Vec<Self> {
        let (kh, kw) = (g.kh, g.kw);
        if !g.upsample {
            return vec![Self((0..kh * kw).map(|t| (t / kw, t % kw, vec![t])).collect())];
        }
        // The small tap that tap `u` of the large kernel falls on.
        let small = |parity: usize, u: usize| if parity == 0 { u.min(1) } else { u / 2 };
        let phase = |py: usize, px: usize| {
            let tap = |a: usize, b: usize| {
                let onto = |t: &usize| small(py, t / 3) == a && small(px, t % 3) == b;
                (py + a, px + b, (0..9).filter(onto).collect())
            };
            Self((0..4).map(|t| tap(t / 2, t % 2)).collect())
        };
        (0..4).map(|p| phase(p / 2, p % 2)).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The large kernel's taps that `tap` sums.
    pub(super) fn tap(&self, tap: usize) -> &[usize] {
        &self.0[tap].2
    }
}

/// Neighbours within a tile that make neighbours of the result.
pub(super) struct Segment {
    /// The lanes of the tile that belong to the segment, one bit each.
    pub(super) lanes: u16,
    /// For each half of the lanes, the same bits, every one twice.
    pub(super) upsampled: [u16; 2],
    /// Where the first lane of the tile, whether it is in the segment or not, would go in the image's first channel.
    pub(super) to: isize,
}

pub(super) struct Tile {
    /// The position that the first lane's first tap reads, relative to the plane, unless taps are shifted.
    pub(super) at: usize,
    pub(super) segments: Vec<Segment>,
}

pub(super) struct Plan {
    /// Sides of the input as it lies in memory.
    pub(super) h: usize,
    pub(super) w: usize,
    pub(super) top: usize,
    pub(super) left: usize,
    /// Distance of neighbouring rows of a plane, in positions.
    pub(super) pitch: usize,
    /// Blocks of input channels.
    pub(super) blocks: usize,
    /// Pixels of the result, in each direction, that a position makes.
    pub(super) scale: usize,
    pub(super) taps: Vec<Taps>,
    /// Positions that make pixels.
    rows: usize,
    cols: usize,
    /// Rows of input that a row needs, less one.
    span: usize,
    slack: usize,
}

impl Plan {
    /// Whether there is a plan for `g`.
    pub(super) fn takes(g: &ConvShape) -> bool {
        let p = g.padding;
        let upsample = (g.kh, g.kw) == (3, 3) && [p.top, p.bottom, p.left, p.right] == [1; 4];
        g.stride == 1 && (!g.upsample || upsample) && g.b * g.c * g.o * g.oh * g.ow > 0
    }

    pub(super) fn new(g: &ConvShape) -> Self {
        assert!(Self::takes(g), "no plan for {g:?}");
        let scale = if g.upsample { 2 } else { 1 };
        let (w, cols) = (g.w / scale, g.ow / scale);
        Self {
            h: g.h / scale,
            w,
            top: g.padding.top,
            left: g.padding.left,
            pitch: (w + g.padding.left.max(g.padding.right)).max(cols),
            blocks: g.c.div_ceil(BLOCK),
            scale,
            taps: Taps::phases(g),
            rows: g.oh / scale,
            cols,
            span: g.kh - 1,
            slack: SIDE + g.kw,
        }
    }

    /// Positions of a row that make pixels.
    pub(super) fn cols(&self) -> usize {
        self.cols
    }

    /// Products of one sum: taps of all blocks.
    pub(super) fn steps(&self) -> usize {
        self.blocks * self.taps[0].len()
    }

    /// All bands of `b` images.
    pub(super) fn bands(&self, b: usize) -> Vec<Panel> {
        let pixels = self.rows * self.cols;
        if pixels <= BAND / 2 {
            let bytes = self.blocks * (self.rows + self.span) * self.pitch * size_of::<Position>();
            return Panel::groups(b, self.rows, (BAND / pixels).min(BAND_BYTES / bytes));
        }
        let fit = BAND_BYTES / (self.blocks * self.pitch * size_of::<Position>());
        let rows = (BAND / self.cols).min(fit.saturating_sub(self.span)).clamp(1, self.rows);
        Panel::bands(b, self.rows, rows)
    }

    /// How many shares the `pairs` of tiles of output channels are cut into, for so many bands.
    pub(super) fn shares(bands: usize, pairs: usize) -> usize {
        TASKS.div_ceil(bands.max(1)).min(pairs)
    }

    /// Rows that each image of a band has in a plane.
    pub(super) fn height(&self, band: Panel) -> usize {
        band.rows + self.span
    }

    /// Positions of a plane.
    pub(super) fn plane(&self, band: Panel) -> usize {
        band.images * self.height(band) * self.pitch + self.slack
    }

    /// Bytes from a tile's place to what each product reads, in the order of the weights.
    pub(super) fn offsets(&self, band: Panel, phase: usize) -> Vec<u32> {
        let plane = self.plane(band);
        let taps = &self.taps[phase].0;
        let of_block = |block: usize| {
            taps.iter().map(move |(u, v, _)| {
                let bytes = (block * plane + u * self.pitch + v) * size_of::<Position>();
                u32::try_from(bytes).expect("a band's input is a few MiB")
            })
        };
        (0..self.blocks).flat_map(of_block).collect()
    }

    /// Tiles that make all pixels of a band, each pixel once. A image of the result has `image_len` values and rows
    /// of `scale cols`.
    pub(super) fn tiles(&self, band: Panel, image_len: usize) -> Vec<Tile> {
        let height = self.height(band);
        let end = band.images * height * self.pitch;
        // Pixels from position `p` on: column, how many; or where to look next.
        let run = |p: usize| {
            let (line, x) = (p / self.pitch, p % self.pitch);
            match (line % height < band.rows, x < self.cols) {
                (true, true) => Ok((line, x, self.cols - x)),
                (true, false) => Err((line + 1) * self.pitch),
                _ => Err((line / height + 1) * height * self.pitch),
            }
        };
        let mut tiles = Vec::new();
        let mut at = 0;
        while at < end {
            if let Err(next) = run(at) {
                at = next;
                continue;
            }
            let mut segments = Vec::new();
            let mut p = at;
            while p < (at + SIDE).min(end) {
                let (line, x, n) = match run(p) {
                    Ok(run) => run,
                    Err(next) => {
                        p = next;
                        continue;
                    }
                };
                let (lane, n) = (p - at, n.min(at + SIDE - p));
                let lanes = (((1u32 << n) - 1) << lane) as u16;
                let (image, y) = (band.image + line / height, band.row + line % height);
                let row = image * image_len + self.scale * self.scale * y * self.cols;
                segments.push(Segment {
                    lanes,
                    upsampled: [twice(lanes as u8), twice((lanes >> 8) as u8)],
                    to: row as isize + (self.scale * x) as isize - (self.scale * lane) as isize,
                });
                p += n;
            }
            tiles.push(Tile { at, segments });
            at += SIDE;
        }
        tiles
    }
}

/// Every bit twice.
fn twice(bits: u8) -> u16 {
    (0..8).map(|i| u16::from(bits >> i & 1) * (3 << (2 * i))).sum()
}
