//! Ctrl-C: the first time the run stops at the next safe place, the second time at once.
use anyhow::Result;
use drgan_train::Interrupt;

/// Exit status after the second Ctrl-C, as shells have it for SIGINT.
const INTERRUPTED: i32 = 130;

/// A request to stop that Ctrl-C (or a termination signal) makes.
///
/// # Errors
/// The process already has a handler.
pub(crate) fn install() -> Result<Interrupt> {
    let interrupt = Interrupt::default();
    let handler = interrupt.clone();
    ctrlc::set_handler(move || {
        if handler.request() > 1 {
            std::process::exit(INTERRUPTED);
        }
    })?;
    Ok(interrupt)
}
