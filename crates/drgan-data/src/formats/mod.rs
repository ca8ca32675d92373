//! Readers of the layouts that a data set may have.
pub(crate) mod folder;
pub(crate) mod published;
pub(crate) mod webdataset;
