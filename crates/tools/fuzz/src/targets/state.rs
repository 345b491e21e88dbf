//! Files in host-local's data directory, as the input lists them:
//!
//! ```text
//! @@ networks/cbr0/10.244.1.2      a file below the data directory; its contents reach to the next
//! c1\r\neth0
//! @@ …
//! ```

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Result, ensure};
use twill_host_local::HOST_LOCAL;

use super::{DATA_DIR, NETWORK, host_local_conf};
use crate::jail::write;
use crate::reply::{COMMANDS, Checked, LoneCall};

const DATABASE: &str = ".addresses.db";

pub(super) fn feed(input: &[u8]) -> Result<()> {
    for section in sections(input) {
        let mut parts = section.splitn(2, |byte| *byte == b'\n');
        let name = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
        if let Some(path) = below(Path::new(DATA_DIR), &name) {
            // A file may stand where another one's directory would have to be.
            let _ = write(&path, parts.next().unwrap_or_default());
        }
    }
    let held = held();
    // The database takes its time, and only its own files matter to it.
    let has_database = Path::new(DATA_DIR).join(DATABASE).exists();
    for backend in ["disk", "db"]
        .into_iter()
        .take(1 + usize::from(has_database))
    {
        let ipam = format!(r#""backend":"{backend}","lockTimeout":0,"#);
        let conf = host_local_conf(&ipam, r#""cni.dev/valid-attachments":[],"#);
        for command in COMMANDS {
            let reply = LoneCall::new(&HOST_LOCAL, command, conf.as_bytes()).run()?;
            if let (Checked::Added(result), "disk") = (reply, backend) {
                let is_held = |address: String| held.contains(&address);
                let taken = result
                    .ips
                    .iter()
                    .any(|ip| is_held(ip.address.ip().to_string()));
                ensure!(!taken, "ADD returns an address that has an owner");
            }
        }
    }
    Ok(())
}

fn sections(input: &[u8]) -> Vec<&[u8]> {
    let mut sections = Vec::new();
    let mut rest = input;
    while let Some(start) = find(rest, b"@@ ") {
        let (_, section) = rest.split_at(start + 3);
        let end = find(section, b"\n@@ ").unwrap_or(section.len());
        let (section, after) = section.split_at(end);
        sections.push(section);
        rest = after;
    }
    sections
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    let mut windows = bytes.windows(pattern.len());
    windows.position(|window| window == pattern)
}

fn below(dir: &Path, name: &str) -> Option<PathBuf> {
    let is_name = |component| matches!(component, Component::Normal(_));
    let path = Path::new(name);
    let is_path = !name.is_empty() && !name.contains('\0') && path.components().all(is_name);
    is_path.then(|| dir.join(path))
}

/// The addresses whose files are text, as an owner's name is. A power cut leaves other files, which
/// mean nothing.
fn held() -> Vec<String> {
    let dir = Path::new(DATA_DIR).join(NETWORK);
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let is_owned = |path: PathBuf| fs::read_to_string(path).is_ok_and(|owner| is_text(&owner));
    let owned = entries.filter(|entry| is_owned(entry.path()));
    owned
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

fn is_text(contents: &str) -> bool {
    let garbled = |letter: char| letter.is_control() && !letter.is_ascii_whitespace();
    !contents.trim().is_empty() && !contents.contains(garbled)
}
