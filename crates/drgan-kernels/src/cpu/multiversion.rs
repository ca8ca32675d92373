//! Plain loops that compilers vectorize, compiled once for each instruction set.
//!
//! Which sets there are, and which this machine has, is [`Isa`](super::simd::Isa)'s to say: a loop runs as a
//! [`Kernel`](super::simd::Kernel) that ignores the register type and is only compiled for its instructions.
use super::simd::{Kernel, Simd};

/// A plain loop, compiled for each instruction set.
pub(crate) struct Loop<F>(pub(crate) F);

impl<F: FnOnce() -> R, R> Kernel for Loop<F> {
    type Output = R;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> R {
        (self.0)()
    }
}

/// Defines `fn name(args)`, whose body runs with the best instructions that the machine has.
macro_rules! multiversion {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments, reason = "rows, each with its scale")]
        pub(crate) fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments, reason = "as above")]
            fn body($($arg: $ty),*) $(-> $ret)? $body
            $crate::cpu::simd::dispatch(
                $crate::cpu::simd::Isa::best(),
                $crate::cpu::multiversion::Loop(
                    #[inline(always)]
                    move || body($($arg),*),
                ),
            )
        }
    };
}

pub(crate) use multiversion;
