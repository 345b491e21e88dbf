//! Network namespaces that are mounted somewhere, as runtimes and ip-netns(8) do.

use std::path::PathBuf;

/// The network namespaces among the mounts of `/proc/<pid>/mountinfo` (proc_pid_mountinfo(5)), each
/// with its number and its mount point.
pub fn mounted(mountinfo: &str) -> impl Iterator<Item = (u64, PathBuf)> {
    mountinfo.lines().filter_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let number = number_in(root).filter(|_| file_system.starts_with("nsfs "))?;
        Some((number, unescaped(point).into()))
    })
}

/// The number in the name of a network namespace: `net:[4026531840]`, as a link in `/proc/<pid>/ns`
/// has it.
pub fn number_in(name: &str) -> Option<u64> {
    name.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}

/// A path of mountinfo, in which white space and backslashes are octal numbers: `\040`.
fn unescaped(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.get(..3).and_then(|it| u8::from_str_radix(it, 8).ok());
        match (digits, part.get(3..)) {
            (Some(byte), Some(rest)) => {
                text.push(char::from(byte));
                text.push_str(rest);
            }
            _ => {
                text.push('\\');
                text.push_str(part);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_found_among_the_mounts() {
        let mountinfo = "\
22 28 0:21 / /proc rw,nosuid - proc proc rw\n\
311 28 0:4 net:[4026532281] /run/netns/cni-0a1b rw shared:140 - nsfs nsfs rw\n\
312 28 0:4 mnt:[4026532282] /run/snapd/ns/x.mnt rw shared:141 - nsfs nsfs rw\n\
313 28 0:4 net:[4026532283] /run/my\\040pods/b\\134c rw - nsfs nsfs rw\n\
garbled\n";
        let found: Vec<_> = mounted(mountinfo).collect();
        assert_eq!(
            found,
            [
                (4_026_532_281, "/run/netns/cni-0a1b".into()),
                (4_026_532_283, "/run/my pods/b\\c".into())
            ]
        );
    }
}
