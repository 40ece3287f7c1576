//! How much memory this process may use.

use std::fs;
use std::path::{Path, PathBuf};

/// Where nothing tells.
const UNKNOWN: usize = 1 << 30;

/// What the cgroup allows, or what the machine has.
pub fn memory() -> usize {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = files(Path::new("/sys/fs/cgroup"), &groups);
    let limits = limits
        .iter()
        .filter_map(|file| limit(&fs::read_to_string(file).ok()?));
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    limits.chain(total(&meminfo)).min().unwrap_or(UNKNOWN)
}

/// The files that may hold a limit: those of the group and of all above it, of both versions of cgroups.
/// In a container the group's own folder is often not there, and the root is that of the container.
fn files(root: &Path, groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, group) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let (root, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            one if one.split(',').any(|name| name == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let group = root.join(group.trim_start_matches('/'));
        let above = group
            .ancestors()
            .take_while(|folder| folder.starts_with(&root));
        files.extend(above.map(|folder| folder.join(file)));
    }
    files
}

/// `max` is none; the older version writes a number that no machine has.
fn limit(text: &str) -> Option<usize> {
    text.trim().parse().ok().filter(|limit| 0 < *limit)
}

fn total(meminfo: &str) -> Option<usize> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_stand_in_the_group_and_above_it() {
        let cases = [
            ("0::/\n", vec!["r/memory.max"]),
            (
                "0::/pod/one\n",
                vec!["r/pod/one/memory.max", "r/pod/memory.max", "r/memory.max"],
            ),
            (
                "3:cpu,memory:/a\n2:pids:/b\n",
                vec![
                    "r/memory/a/memory.limit_in_bytes",
                    "r/memory/memory.limit_in_bytes",
                ],
            ),
            ("", vec![]),
        ];
        for (groups, expected) in cases {
            let expected: Vec<_> = expected.into_iter().map(PathBuf::from).collect();
            assert_eq!(files(Path::new("r"), groups), expected, "{groups}");
        }
    }

    #[test]
    fn numbers_are_read_as_the_kernel_writes_them() {
        let limits = [
            ("max\n", None),
            ("536870912\n", Some(512 << 20)),
            ("0", None),
        ];
        for (text, expected) in limits {
            assert_eq!(limit(text), expected, "{text}");
        }
        let meminfo = "MemFree:  1 kB\nMemTotal:       24 kB\n";
        assert_eq!(total(meminfo), Some(24 << 10));
        assert_eq!(total(""), None);
        assert!(0 < memory());
    }
}
