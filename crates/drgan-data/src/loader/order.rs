//! Which records make batch n: a function of the seed and n.
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

/// Set in the seed of epoch orders, so that they never meet the random numbers of batches.
const EPOCHS: u64 = 0x6f72_6465_7200_0000;

/// The draws of an epoch before shuffling, and the batches of it.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) draws: Vec<usize>,
    pub(super) batch: usize,
    pub(super) seed: u64,
}

impl Order {
    /// Whole batches per epoch; what is left over is dropped, another remainder each epoch.
    pub(super) fn batches_per_epoch(&self) -> u64 {
        (self.draws.len() / self.batch) as u64
    }

    /// The epoch of batch `n`.
    pub(super) fn epoch(&self, n: u64) -> u64 {
        n / self.batches_per_epoch()
    }

    /// The seeded permutation of an epoch.
    pub(super) fn permutation(&self, epoch: u64) -> Vec<usize> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ EPOCHS);
        rng.set_stream(epoch);
        let mut order = self.draws.clone();
        order.shuffle(&mut rng);
        order
    }

    /// First position of batch `n` in its epoch's permutation.
    pub(super) fn start(&self, n: u64) -> usize {
        // A remainder below batches_per_epoch, which came from a usize.
        usize::try_from(n % self.batches_per_epoch()).unwrap_or(0) * self.batch
    }

    /// The random source of batch `n`'s captions and augmentation.
    pub(super) fn rng(&self, n: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(n);
        rng
    }
}
