#![doc = include_str!("../README.md")]
mod command_line;
mod ending;
mod output;

pub use command_line::{CommandLine, quoted};
pub use ending::{failed, refused};
pub use output::{Unwritable, passing, printable, remark, result, try_remark};
