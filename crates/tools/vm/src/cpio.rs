//! The format of an initramfs: a cpio archive of the kind "newc" (Documentation/driver-api/early-userspace/buffer-format.rst
//! of the kernel).

use std::collections::BTreeSet;
use std::path::Path;

const FOLDER: u32 = 0o040_755;
const CHARACTER_DEVICE: u32 = 0o020_600;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_777;

/// An archive that is being written. Folders above an entry are made as needed.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
    count: u32,
}

impl Archive {
    /// A file with these permissions, such as `0o755`.
    pub(crate) fn file(&mut self, path: &Path, contents: &[u8], permissions: u32) {
        self.entry(path, FILE | permissions, (0, 0), contents);
    }

    /// A symbolic link.
    pub(crate) fn link(&mut self, path: &Path, target: &Path) {
        let target = target.as_os_str().as_encoded_bytes();
        self.entry(path, LINK, (0, 0), target);
    }

    pub(crate) fn character_device(&mut self, path: &Path, major: u32, minor: u32) {
        self.entry(path, CHARACTER_DEVICE, (major, minor), b"");
    }

    pub(crate) fn folder(&mut self, path: &Path) {
        let name = name_of(path);
        if !name.is_empty() && self.folders.insert(name) {
            self.entry(path, FOLDER, (0, 0), b"");
        }
    }

    /// The archive, with its end.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.write("TRAILER!!!", 0, (0, 0), b"");
        self.bytes
    }

    fn entry(&mut self, path: &Path, mode: u32, device: (u32, u32), contents: &[u8]) {
        if let Some(parent) = path.parent() {
            self.folder(parent);
        }
        self.write(&name_of(path), mode, device, contents);
    }

    fn write(&mut self, name: &str, mode: u32, (major, minor): (u32, u32), contents: &[u8]) {
        self.count += 1;
        let fields = [
            self.count,
            mode,
            0,
            0,
            1,
            0,
            contents.len() as u32,
            0,
            0,
            major,
            minor,
            name.len() as u32 + 1,
            0,
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// Names in the archive do not start with a slash.
fn name_of(path: &Path) -> String {
    let text = path.to_string_lossy();
    text.trim_start_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    // busybox, which is in the machine anyhow, or cpio itself can read it.
    #[test]
    fn others_can_read_it() {
        let mut archive = Archive::default();
        archive.folder(Path::new("/proc"));
        archive.file(Path::new("/usr/bin/hello"), b"hello\n", 0o755);
        archive.file(Path::new("/usr/bin/odd"), b"abc", 0o644);
        archive.link(Path::new("/usr/bin/link"), Path::new("hello"));
        let bytes = archive.finish();
        assert_eq!(&bytes[..6], b"070701");
        assert_eq!(bytes.len() % 4, 0);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("archive");
        fs::write(&file, &bytes).unwrap();
        let list = |program: &str, args: &[&str]| {
            let input = fs::File::open(&file).unwrap();
            Command::new(program).args(args).stdin(input).output()
        };
        let listed = list("cpio", &["-t"]).or_else(|_| list("busybox", &["cpio", "-t"]));
        let Ok(listed) = listed else {
            return testkit::requirements::skip("needs cpio or busybox");
        };
        let names = String::from_utf8(listed.stdout).unwrap();
        let names: Vec<&str> = names.lines().collect();
        let files = ["usr/bin/hello", "usr/bin/odd", "usr/bin/link"];
        assert_eq!(names, [&["proc", "usr", "usr/bin"][..], &files].concat());
    }
}
