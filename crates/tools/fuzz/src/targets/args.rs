//! `CNI_ARGS`.

use twill_bridge::Bridge;
use twill_host_local::HostLocal;

use super::room::host_local_conf;
use crate::answer::{Call, ensure};

pub(super) fn feed(input: &[u8]) -> Result<String, String> {
    // No variable has a zero byte in it, and bridge asks no other plugin.
    let args: Vec<u8> = input.iter().copied().filter(|byte| *byte != 0).collect();
    let conf = host_local_conf("", "");
    let call = Call {
        plugin: &HostLocal,
        command: "ADD",
        container: "c",
        args: &args,
        stdin: conf.as_bytes(),
    };
    let added = call.answer()?;
    let deleted = Call {
        command: "DEL",
        ..call
    };
    ensure(!deleted.answer()?.failed, "DEL fails")?;
    let bridge = Call {
        plugin: &Bridge,
        stdin: br#"{"cniVersion":"1.0.0","name":"cbr0","type":"bridge","bridge":"cni0"}"#,
        ..call
    };
    Ok(format!("{}; {}", added.kind, bridge.answer()?.kind))
}
