//! Changes to a file: four bytes for the place, one for the number of bytes, and these bytes.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use twill_host_local::HOST_LOCAL;

use super::{DATA_DIR, NETWORK, host_local_conf};
use crate::reply::{Checked, LoneCall};

const CONTAINERS: [&str; 3] = ["a", "b", "c"];

/// The addresses' own files are whole, so a damaged index changes nothing for callers.
pub(super) fn feed(input: &[u8]) -> Result<()> {
    let conf = host_local_conf("", "");
    let call = |command, container| LoneCall {
        container,
        ..LoneCall::new(&HOST_LOCAL, command, conf.as_bytes())
    };
    let add = |container| -> Result<Vec<String>> {
        let result = call("ADD", container)
            .succeeds()?
            .context("ADD has no result")?;
        Ok(result
            .ips
            .iter()
            .map(|ip| ip.address.ip().to_string())
            .collect())
    };
    let held: Vec<Vec<String>> = CONTAINERS.into_iter().map(add).collect::<Result<_>>()?;
    let held = held.concat();
    damage(input).context("there is no index")?;
    let given = add("d")?;
    ensure!(
        given.len() == 2,
        "ADD does not return an address of each range set"
    );
    let is_new = !given.iter().any(|address| held.contains(address));
    ensure!(is_new, "ADD returns an address that has an owner");
    let repeated = call("ADD", "a").run()?;
    ensure!(
        matches!(repeated, Checked::Failed),
        "a repeated ADD succeeds"
    );
    for container in CONTAINERS.into_iter().chain(["d"]) {
        call("DEL", container).succeeds()?;
    }
    for address in held.iter().chain(&given) {
        let file = Path::new(DATA_DIR).join(NETWORK).join(address);
        ensure!(!file.exists(), "{address} is still there after DEL");
    }
    Ok(())
}

fn damage(changes: &[u8]) -> std::io::Result<()> {
    let path = Path::new(DATA_DIR).join(".index").join(NETWORK);
    let length = fs::metadata(&path)?.len();
    let file = OpenOptions::new().write(true).open(path)?;
    let mut rest = changes;
    while let Some(([a, b, c, d, count], after)) = rest.split_first_chunk() {
        let (bytes, after) = after.split_at(after.len().min(usize::from(*count)));
        let place = u64::from(u32::from_le_bytes([*a, *b, *c, *d]));
        match bytes {
            // The file may be too short as well.
            [] => file.set_len(place % (length + 1))?,
            _ => file.write_all_at(bytes, place % length)?,
        }
        rest = after;
    }
    Ok(())
}
