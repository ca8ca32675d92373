//! The type of a product's factors.
use std::fmt;
use std::str::FromStr;

/// What the factors of convolutions and linear maps are rounded to before they are multiplied. Tensors are f32 and sums are
/// f32 whatever it is; so is all else: normalizations, attention, losses, the optimizer.
///
/// ```
/// use drgan_kernels::Precision;
///
/// assert_eq!("tf32".parse::<Precision>()?, Precision::Tf32);
/// assert_eq!(Precision::Bf16.to_string(), "bf16");
/// # Ok::<(), drgan_kernels::UnknownPrecision>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Precision {
    /// Not rounded: single precision.
    #[default]
    F32,
    /// 10 bits of fraction and f32's range, in the tensor cores of CUDA devices alone.
    Tf32,
    /// bfloat16, 7 bits of fraction and f32's range, in the tensor cores of CUDA devices, where a convolution's result is
    /// rounded too; on the CPU in packed layers alone, by AMX, and f32 on processors without it ([`Precision::is_native`]).
    Bf16,
}

/// A text that names no [`Precision`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPrecision(String);

impl Precision {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::F32, Self::Tf32, Self::Bf16];

    /// Whether this machine's processor computes in it, rather than in f32 in its place.
    pub fn is_native(self) -> bool {
        match self {
            Self::F32 => true,
            Self::Tf32 => false,
            #[cfg(target_arch = "x86_64")]
            Self::Bf16 => crate::ops::conv2d::cpu::amx::available(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Bf16 => false,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        })
    }
}

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(text: &str) -> Result<Self, UnknownPrecision> {
        let named = Self::ALL.into_iter().find(|precision| precision.to_string() == text);
        named.ok_or_else(|| UnknownPrecision(text.to_owned()))
    }
}

impl fmt::Display for UnknownPrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a precision; expected `f32`, `tf32` or `bf16`", self.0)
    }
}

impl std::error::Error for UnknownPrecision {}
