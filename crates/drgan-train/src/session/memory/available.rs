//! Memory that a process may still take: what the system has left, or what a control group leaves of its limit.
use std::path::Path;

/// Bytes that this process can still take, as far as the system says: the smaller of `MemAvailable` and of what each control
/// group (version 1 or 2) that the process is in leaves of its limit. None where the system does not tell.
pub fn available_memory() -> Option<u64> {
    available_under(Path::new("/"))
}

/// [`available_memory`] of a system whose files lie under `root`.
fn available_under(root: &Path) -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(root.join(path.trim_start_matches('/'))).ok();
    let system = read("proc/meminfo").and_then(|text| field(&text, "MemAvailable:")?.checked_mul(1024));
    let groups = read("proc/self/cgroup").unwrap_or_default();
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let files = match controllers {
            "" => Files {
                mount: "sys/fs/cgroup",
                limit: "memory.max",
                used: "memory.current",
                file: "inactive_file",
            },
            c if c.split(',').any(|c| c == "memory") => Files {
                mount: "sys/fs/cgroup/memory",
                limit: "memory.limit_in_bytes",
                used: "memory.usage_in_bytes",
                file: "total_inactive_file",
            },
            _ => return None,
        };
        files.left(&read, path)
    });
    limits.chain(system).min()
}

/// Names of one version's files.
struct Files {
    mount: &'static str,
    limit: &'static str,
    used: &'static str,
    /// The field of `memory.stat` for pages of files that can be dropped.
    file: &'static str,
}

impl Files {
    /// The least that `path` or a group above it leaves. In a container the path may be the host's, which is not seen; its root is.
    fn left(&self, read: &impl Fn(&str) -> Option<String>, path: &str) -> Option<u64> {
        let above = Path::new(path).ancestors().filter_map(Path::to_str);
        let of = |group: &str| {
            let at = |name: &str| read(&format!("{}/{}/{name}", self.mount, group.trim_matches('/')));
            let limit: u64 = at(self.limit)?.trim().parse().ok()?; // `max` is no limit
            let used: u64 = at(self.used)?.trim().parse().ok()?;
            let dropped = at("memory.stat").and_then(|text| field(&text, self.file)).unwrap_or(0);
            Some(limit.saturating_sub(used.saturating_sub(dropped)))
        };
        above.filter_map(of).min()
    }
}

/// The number behind a name in lines of `name number`.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        available_under(root.path())
    }

    #[test]
    fn the_smallest_of_the_system_and_all_groups_counts() {
        let meminfo = ("proc/meminfo", "MemTotal: 9 kB\nMemAvailable:    4000 kB\n");
        assert_eq!(system(&[]), None);
        assert_eq!(system(&[meminfo]), Some(4_096_000));
        let v2 = ("proc/self/cgroup", "0::/a/b\n");
        let unlimited =
            [("sys/fs/cgroup/a/b/memory.max", "max\n"), ("sys/fs/cgroup/a/b/memory.current", "5\n")];
        assert_eq!(system(&[&[meminfo, v2][..], &unlimited].concat()), Some(4_096_000));
        let above = [("sys/fs/cgroup/a/memory.max", "1000\n"), ("sys/fs/cgroup/a/memory.current", "400\n")];
        assert_eq!(system(&[&[meminfo, v2][..], &unlimited, &above].concat()), Some(600));
        let stat = [("sys/fs/cgroup/a/memory.stat", "anon 100\ninactive_file 300\n")];
        assert_eq!(system(&[&[meminfo, v2][..], &unlimited, &above, &stat].concat()), Some(900));
        // A container that sees its own group as the root.
        let root = [("sys/fs/cgroup/memory.max", "70\n"), ("sys/fs/cgroup/memory.current", "80\n")];
        assert_eq!(system(&[&[meminfo, v2][..], &root].concat()), Some(0));
        let v1 = [
            ("proc/self/cgroup", "5:cpu:/\n4:memory:/c\n0::/\n"),
            ("sys/fs/cgroup/memory/c/memory.limit_in_bytes", "2000\n"),
            ("sys/fs/cgroup/memory/c/memory.usage_in_bytes", "500\n"),
        ];
        assert_eq!(system(&[&[meminfo][..], &v1].concat()), Some(1500));
    }
}
