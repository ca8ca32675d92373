//! Random numbers that depend on a seed and a name only.
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The 64-bit FNV-1a hash of `bytes`: the same in every version and on every machine.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

/// The source of the parameter `name`'s initial values under `seed`.
pub(super) fn name_rng(seed: u64, name: &str) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed ^ fnv1a(name.as_bytes()))
}
