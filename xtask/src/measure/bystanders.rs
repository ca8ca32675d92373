//! How much of the computer other programs took meanwhile: a figure taken beside them is worth little.
use std::time::Instant;

/// Ticks of a second in /proc (USER_HZ), the same on every Linux that Rust supports.
const TICKS: f64 = 100.;

/// Busy ticks of all processors in the first line of /proc/stat: everything but idle, waiting for disks, and guests
/// (which `user` already counts); what a hypervisor took away counts too.
fn busy(stat: &str) -> Option<u64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line.split_whitespace().take(8).map_while(|f| f.parse().ok()).collect();
    let idle: u64 = fields.get(3..5)?.iter().sum();
    Some(fields.iter().sum::<u64>() - idle)
}

/// Ticks that a process has computed, in its /proc/PID/stat. Its name, in parentheses, may hold anything.
fn own(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11).map_while(|f| f.parse::<u64>().ok());
    Some(fields.next()? + fields.next()?)
}

/// A moment before an iteration of a process.
pub(crate) struct Watch {
    pid: u32,
    ticks: Option<(u64, u64)>,
    start: Instant,
}

impl Watch {
    pub(crate) fn start(pid: u32) -> Self {
        Self { pid, ticks: ticks(pid), start: Instant::now() }
    }

    /// The share of all processors that others had since, in [0, 1]; none where /proc does not tell.
    pub(crate) fn others(&self) -> Option<f64> {
        let ((busy0, own0), (busy1, own1)) = (self.ticks?, ticks(self.pid)?);
        let others = busy1.saturating_sub(busy0).saturating_sub(own1.saturating_sub(own0));
        let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
        let all = self.start.elapsed().as_secs_f64() * TICKS * processors as f64;
        Some((others as f64 / all).min(1.))
    }
}

fn ticks(pid: u32) -> Option<(u64, u64)> {
    let read = |path: String| std::fs::read_to_string(path).ok();
    Some((busy(&read("/proc/stat".into())?)?, own(&read(format!("/proc/{pid}/stat"))?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_read() {
        assert_eq!(busy("cpu  10 20 30 400 50 6 7 8 9 9\ncpu0 1 1 1 1\n"), Some(10 + 20 + 30 + 6 + 7 + 8));
        assert_eq!(busy("intr 5\n"), None);
        assert_eq!(own("7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 41 42 0 0 20"), Some(83));
        assert_eq!(own("7"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_is_not_its_own_bystander() {
        let watch = Watch::start(std::process::id());
        let mut x = 0u64;
        while watch.start.elapsed().as_secs_f64() < 0.3 {
            x = std::hint::black_box(x.wrapping_add(1));
        }
        let (_, before) = watch.ticks.expect("/proc tells");
        let (_, after) = ticks(watch.pid).expect("/proc tells");
        assert!(after > before, "{x}");
        assert!((0. ..=1.).contains(&watch.others().expect("/proc tells")));
    }
}
