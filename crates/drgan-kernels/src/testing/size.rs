//! The size of the maps that operations are called with.

/// The maps that [`operations`](super::operations) are called with; vectors, words and weights follow from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Images, at least two.
    pub batch: usize,
    /// Channels, a multiple of four.
    pub channels: usize,
    /// Height and width, at least five.
    pub side: usize,
}

impl Size {
    /// A few hundred values: one block of threads or two.
    pub const SMALL: Self = Self { batch: 2, channels: 4, side: 6 };
    /// Sides and numbers of values that are multiples of nothing.
    pub const ODD: Self = Self { batch: 3, channels: 12, side: 13 };
    /// As in the middle of a network: many blocks, and more values than one block takes.
    pub const LARGE: Self = Self { batch: 4, channels: 64, side: 64 };
}
