//! Changes to a file: four bytes that say where, one that says how much, and so many that are put
//! there.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use twill_host_local::HostLocal;

use super::room::{DATA_DIR, NETWORK, host_local_conf};
use crate::answer::{Answer, Call, ensure};

const CONTAINERS: [&str; 3] = ["a", "b", "c"];

pub(super) fn feed(input: &[u8]) -> Result<String, String> {
    let conf = host_local_conf("", "");
    let call = |command, container| -> Result<Answer, String> {
        let call = Call {
            plugin: &HostLocal,
            command,
            container,
            args: b"",
            stdin: conf.as_bytes(),
        };
        call.answer()
    };
    let mut held = Vec::new();
    for container in CONTAINERS {
        held.extend(addresses(&call("ADD", container)?)?);
    }
    damage(input).map_err(|error| format!("there is no index: {error}"))?;
    // The addresses' own files are whole, so the index must not be missed.
    let given = addresses(&call("ADD", "d")?)?;
    ensure(
        given.len() == 2,
        "it does not give an address of each range set",
    )?;
    ensure(
        !given.iter().any(|address| held.contains(address)),
        "it gives an address that has an owner",
    )?;
    let again = call("ADD", "a")?;
    ensure(again.failed, "it gives an attachment addresses once more")?;
    for container in CONTAINERS.into_iter().chain(["d"]) {
        ensure(!call("DEL", container)?.failed, "DEL fails")?;
    }
    let dir = Path::new(DATA_DIR).join(NETWORK);
    let left = held
        .iter()
        .chain(&given)
        .find(|address| dir.join(address).exists());
    match left {
        Some(address) => Err(format!("{address} is still there after DEL")),
        None => Ok("well".into()),
    }
}

fn addresses(answer: &Answer) -> Result<Vec<String>, String> {
    let result = answer.result.as_ref();
    let result = result.ok_or_else(|| format!("ADD fails: {}", answer.kind))?;
    let ips = result.ips.iter();
    Ok(ips.map(|ip| ip.address.ip().to_string()).collect())
}

fn damage(changes: &[u8]) -> std::io::Result<()> {
    let path = Path::new(DATA_DIR).join(".index").join(NETWORK);
    let length = fs::metadata(&path)?.len();
    let file = OpenOptions::new().write(true).open(path)?;
    let mut rest = changes;
    while let Some(([a, b, c, d, count], after)) = rest.split_first_chunk() {
        let (bytes, after) = after.split_at(after.len().min(usize::from(*count)));
        let place = u64::from(u32::from_le_bytes([*a, *b, *c, *d]));
        if bytes.is_empty() {
            // It may be too short as well.
            file.set_len(place % (length + 1))?;
        } else {
            file.write_all_at(bytes, place % length)?;
        }
        rest = after;
    }
    Ok(())
}
