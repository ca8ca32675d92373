//! Faults of a disk, injected into [`write_atomic`](crate::file::write_atomic): one write of a thread's fails, once.
use std::cell::Cell;
use std::io::{Error, ErrorKind, Result, Write};

/// What goes wrong with a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// No file can be made: the disk is full.
    Create,
    /// Half of the bytes are written, then the disk is full.
    Write,
    /// The file cannot be synced: an error of the device.
    Sync,
    /// The file cannot be renamed: an error of the device.
    Rename,
    /// The file is there, its folder cannot be synced.
    SyncFolder,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 5] = [Self::Create, Self::Write, Self::Sync, Self::Rename, Self::SyncFolder];

    /// What the system reports.
    fn error(self) -> Error {
        match self {
            Self::Create | Self::Write => ErrorKind::StorageFull.into(),
            Self::Sync | Self::Rename | Self::SyncFolder => Error::other("Input/output error (injected)"),
        }
    }
}

#[derive(Clone, Copy)]
struct Plan {
    /// Writes until the one that fails: 0 for the next.
    left: usize,
    fault: Fault,
    /// Writes begun.
    begun: usize,
}

thread_local! {
    static PLAN: Cell<Option<Plan>> = const { Cell::new(None) };
}

/// Does `work`, whose write number `nth` (from 0) in this thread fails by `fault`; what it gave, and how many writes it began.
/// With an `nth` that is not reached nothing fails.
pub fn failing<T>(nth: usize, fault: Fault, work: impl FnOnce() -> T) -> (T, usize) {
    PLAN.set(Some(Plan { left: nth, fault, begun: 0 }));
    let done = work();
    (done, PLAN.take().map_or(0, |plan| plan.begun))
}

/// The fault of the present write, if it is the one that fails.
fn due() -> Option<Fault> {
    PLAN.get().filter(|plan| plan.begun == plan.left + 1).map(|plan| plan.fault)
}

/// Fails where a fault is due at this step; the first step of a write counts it.
pub(crate) fn at(step: Fault) -> Result<()> {
    if let (Fault::Create, Some(plan)) = (step, PLAN.get()) {
        PLAN.set(Some(Plan { begun: plan.begun + 1, ..plan }));
    }
    match due() {
        Some(fault) if fault == step => Err(fault.error()),
        _ => Ok(()),
    }
}

/// A writer on a disk that may be full.
pub(crate) struct Faulty<W>(W);

impl<W: Write> Faulty<W> {
    pub(crate) fn new(to: W) -> Self {
        Self(to)
    }
}

impl<W: Write> Write for Faulty<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        if due() != Some(Fault::Write) {
            return self.0.write(bytes);
        }
        self.0.write_all(&bytes[..bytes.len() / 2])?;
        Err(Fault::Write.error())
    }

    fn flush(&mut self) -> Result<()> {
        self.0.flush()
    }
}
