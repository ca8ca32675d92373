//! Where it was measured: what stands above the table.
use crate::run;
use std::collections::BTreeSet;
use std::process::Command;

/// The value of the first `name` of a processor's block in /proc/cpuinfo.
fn field<'a>(block: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = block.lines().filter_map(|l| l.split_once(':')).find(|(key, _)| key.trim() == name)?;
    Some(value.trim())
}

/// Pairs of package and core in /proc/cpuinfo, 0 where it does not tell.
fn cores(cpuinfo: &str) -> usize {
    let core = |block| Some((field(block, "physical id")?, field(block, "core id")?));
    cpuinfo.split("\n\n").filter_map(core).collect::<BTreeSet<_>>().len()
}

fn cpuinfo() -> String {
    std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default()
}

/// Physical cores that this process may use.
pub(crate) fn physical_cores() -> u16 {
    let usable = std::thread::available_parallelism().map_or(1, |n| n.get());
    let cores = match cores(&cpuinfo()) {
        0 => usable,
        n => n.min(usable),
    };
    u16::try_from(cores).unwrap_or(u16::MAX)
}

/// Bytes that a new program can have without swapping, where the system tells.
pub(crate) fn available() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kib: u64 = field(&meminfo, "MemAvailable")?.split_whitespace().next()?.parse().ok()?;
    Some(1024 * kib)
}

/// The processor, its instruction sets that matter, threads, other programs' versions (each with a `; ` in front), and the
/// commit.
pub(crate) fn describe(threads: u16, others: &str) -> String {
    let cpuinfo = cpuinfo();
    let model = field(&cpuinfo, "model name").unwrap_or("unknown processor");
    let flags: BTreeSet<&str> = field(&cpuinfo, "flags").unwrap_or_default().split(' ').collect();
    let sets: Vec<&str> =
        ["avx2", "avx512f", "avx512_bf16", "amx_bf16"].into_iter().filter(|f| flags.contains(f)).collect();
    let git = |args: &[&str]| {
        let out = Command::new("git").args(args).current_dir(run::root()).output().ok()?;
        Some(String::from_utf8_lossy(&out.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".into());
    let changed = git(&["status", "--porcelain"]).is_some_and(|s| !s.is_empty());
    format!(
        "{model} ({}), {} physical cores, {threads} threads{others}; commit {commit}{}",
        sets.join(", "),
        physical_cores(),
        if changed { " with changes" } else { "" }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_threads_of_a_core_are_one_core() {
        let block =
            |package, core| format!("processor\t: 0\nphysical id\t: {package}\ncore id\t\t: {core}\n");
        let file = [block(0, 0), block(0, 1), block(0, 0), block(1, 0)].join("\n");
        assert_eq!(cores(&file), 3);
        assert_eq!(cores("processor : 0\n"), 0);
        assert!(physical_cores() >= 1);
        assert_eq!(field("a b\t: c: d\n", "a b"), Some("c: d"));
    }
}
