//! Work on rows of values, compiled for each instruction set and chosen at run time.
pub(crate) mod affine;
pub(crate) mod reduce;
pub(crate) mod softmax;
