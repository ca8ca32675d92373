//! Convolution algorithms in f32 on the CPU, and the choice between them.
#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
pub(crate) mod direct;
pub(crate) mod epilogue;
pub(crate) mod im2col;
#[cfg(test)]
pub(crate) mod oracle;
pub(crate) mod packed;
pub(crate) mod select;
pub(crate) mod winograd;
