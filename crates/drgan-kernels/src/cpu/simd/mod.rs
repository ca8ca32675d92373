//! Vector registers of f32 as the machine has them, and the choice between them at run time.
//!
//! A [`Kernel`] is written once over [`Simd`] and compiled for AVX-512, AVX2 and the baseline of the target; [`dispatch`]
//! runs it on an [`Isa`]. Everything in between is `#[inline(always)]`, so that intrinsics end up inside a function that has
//! their instructions enabled.
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod kernel;
mod portable;
mod register;

pub(crate) use kernel::Kernel;
pub(crate) use register::{Dots, Simd, Tap, TapLoop, Tile};

use std::sync::OnceLock;

/// Which instructions a kernel is run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Isa {
    /// The best that this machine has.
    #[inline]
    pub(crate) fn best() -> Self {
        #[cfg(test)]
        if let Some(isa) = forced::ISA.get() {
            return isa;
        }
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| Self::all()[0])
    }

    /// All that this machine has, the best first.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::with_capacity(3);
        #[cfg(target_arch = "x86_64")]
        {
            if avx512::available() {
                all.push(Self::Avx512);
            }
            if avx2::available() {
                all.push(Self::Avx2);
            }
        }
        all.push(Self::Portable);
        all
    }

    /// Rows of a product's tile.
    pub(crate) fn rows(self) -> usize {
        dispatch(self, TileSize).0
    }

    /// Columns of a product's tile.
    pub(crate) fn cols(self) -> usize {
        dispatch(self, TileSize).1
    }
}

/// The choice of an instruction set by a test, for all that the calling thread and the tasks it starts compute.
#[cfg(test)]
pub(crate) mod forced {
    use super::Isa;
    use std::cell::Cell;

    thread_local! {
        pub(super) static ISA: Cell<Option<Isa>> = const { Cell::new(None) };
    }

    /// Runs `f` with the instructions of `isa` only. Tasks run on one thread of their own, where the choice holds too.
    pub(crate) fn with_isa<R: Send>(isa: Isa, f: impl FnOnce() -> R + Send) -> R {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).start_handler(move |_| ISA.set(Some(isa)));
        pool.build().expect("a thread").install(f)
    }
}

struct TileSize;

impl Kernel for TileSize {
    type Output = (usize, usize);

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> (usize, usize) {
        (S::ROWS, S::COLS)
    }
}

/// Runs `kernel` on `isa`, which must come from [`Isa::best`] or [`Isa::all`].
#[inline]
pub(crate) fn dispatch<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    match isa {
        // SAFETY (both): `Isa` values of these names are only made where the machine has the instructions.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512::run(kernel) },
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2::run(kernel) },
        // SAFETY: needs nothing.
        Isa::Portable => unsafe { kernel.run::<portable::Portable>() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Shuffles;

    impl Kernel for Shuffles {
        type Output = ();

        #[inline(always)]
        unsafe fn run<S: Simd>(self) {
            let n = S::LANES;
            let x: Vec<f32> = (0..n * n).map(|i| i as f32).collect();
            let mut y = vec![0f32; n * n];
            let mut row = vec![0f32; n];
            // SAFETY: LANES is at least 4, so that every read and write lies within LANES^2 values.
            unsafe {
                let four = S::split4(x.as_ptr());
                for (k, v) in four.into_iter().enumerate() {
                    S::store(row.as_mut_ptr(), v);
                    assert!(row.iter().enumerate().all(|(t, v)| *v == (4 * t + k) as f32), "split4: {row:?}");
                }
                S::join4(four, y.as_mut_ptr());
                assert_eq!(x[..4 * n], y[..4 * n], "join4");
                let two = S::split2(x.as_ptr());
                for (k, v) in two.into_iter().enumerate() {
                    S::store(row.as_mut_ptr(), v);
                    assert!(row.iter().enumerate().all(|(t, v)| *v == (2 * t + k) as f32), "split2: {row:?}");
                }
                y.fill(0.);
                S::join2(two, y.as_mut_ptr());
                assert_eq!(x[..2 * n], y[..2 * n], "join2");
                S::transpose(x.as_ptr(), n, y.as_mut_ptr(), n);
            }
            for (i, v) in y.iter().enumerate() {
                assert_eq!(*v, x[i % n * n + i / n], "transpose");
            }
        }
    }

    struct Tiles;

    impl Kernel for Tiles {
        type Output = ();

        #[inline(always)]
        unsafe fn run<S: Simd>(self) {
            let (k, m, n) = (7, S::ROWS, S::COLS);
            let a: Vec<f32> = (0..k * m).map(|i| (i % 5) as f32 - 2.).collect();
            let b: Vec<f32> = (0..k * n).map(|i| (i % 7) as f32 - 3.).collect();
            let mut c = vec![1f32; m * n];
            // SAFETY: a, b and c have the sizes of the tile.
            unsafe {
                S::tile(Tile {
                    k,
                    a: a.as_ptr(),
                    a_step: m,
                    b: b.as_ptr(),
                    b_step: n,
                    c: c.as_mut_ptr(),
                    c_row: n,
                    accumulate: true,
                });
            }
            for (at, c) in c.iter().enumerate() {
                let (i, j) = (at / n, at % n);
                let want = 1. + (0..k).map(|k| a[k * m + i] * b[k * n + j]).sum::<f32>();
                assert_eq!(*c, want, "row {i}, column {j}");
            }
        }
    }

    #[test]
    fn every_register_shuffles_and_multiplies_as_the_plain_one() {
        for isa in Isa::all() {
            dispatch(isa, Shuffles);
            dispatch(isa, Tiles);
        }
    }
}
