//! Where a run's events go on a terminal.
mod console;

pub(crate) use console::Console;
