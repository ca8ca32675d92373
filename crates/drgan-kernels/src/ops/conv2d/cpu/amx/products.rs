//! The innermost loop: two tiles of pixels times two tiles of channels.
use super::unit::Tiles;
use std::arch::asm;

/// Channels of one block, the length of one product's sums.
pub(super) const BLOCK: usize = 32;
/// Pixels of a tile, and output channels of a tile.
pub(super) const SIDE: usize = 16;

/// One position of a map: a block's channels in bf16.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
pub(super) struct Position(pub(super) [u16; BLOCK]);

/// Weights of one block of input channels and one tile of output channels, as the unit wants them: pair of inputs,
/// output, input of the pair.
#[repr(C, align(64))]
#[derive(Clone)]
pub(super) struct WeightTile(pub(super) [[u16; BLOCK]; SIDE]);

/// Sums of a tile of pixels and one of channels.
pub(super) type SumTile = [[f32; SIDE]; SIDE];

/// Sums by tile of pixels, tile of channels, pixel, channel.
#[repr(C, align(64))]
pub(super) struct Sums(pub(super) [[SumTile; 2]; 2]);

impl Sums {
    pub(super) const ZERO: Self = Self([[[[0.; SIDE]; SIDE]; 2]; 2]);
}

/// `sums[p][t][i][o] = sum_k <pixels[p][offsets[k] + i], channels[t][k][..][o]>`, in f32; `offsets` are in bytes.
///
/// # Safety
/// `pixels[p] + offsets[k]` and 15 positions after it are readable for every `k`, `channels[t]` has a tile for
/// every `k`, and `offsets` is not empty.
#[inline(always)]
pub(super) unsafe fn products(
    _: &Tiles,
    offsets: &[u32],
    pixels: [*const Position; 2],
    channels: [*const WeightTile; 2],
    sums: &mut Sums,
) {
    debug_assert!(!offsets.is_empty());
    let range = offsets.as_ptr_range();
    // SAFETY: the tiles are configured as 16 rows of 64 bytes; reads are the caller's promise; the stores are the four
    // KiB of `sums`.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "mov {o:e}, dword ptr [{next}]",
            "lea {a}, [{a0} + {o}]",
            "add {o}, {a1}",
            "tileloadd tmm6, [{b0} + {row}]",
            "tileloadd tmm4, [{a} + {row}]",
            "tileloadd tmm7, [{b1} + {row}]",
            "tileloadd tmm5, [{o} + {row}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {next}, 4",
            "add {b0}, 1024",
            "add {b1}, 1024",
            "cmp {next}, {end}",
            "jb 2b",
            "tilestored [{sums} + {row}], tmm0",
            "tilestored [{sums} + {row} + 1024], tmm1",
            "tilestored [{sums} + {row} + 2048], tmm2",
            "tilestored [{sums} + {row} + 3072], tmm3",
            next = inout(reg) range.start => _,
            end = in(reg) range.end,
            o = out(reg) _,
            a = out(reg) _,
            a0 = in(reg) pixels[0],
            a1 = in(reg) pixels[1],
            b0 = inout(reg) channels[0] => _,
            b1 = inout(reg) channels[1] => _,
            sums = in(reg) sums,
            row = in(reg) 64usize,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
