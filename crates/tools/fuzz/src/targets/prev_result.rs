//! Results as `prevResult`.

use anyhow::{Result, ensure};
use cni_plugin::Plugin;
use twill_bandwidth::BANDWIDTH;
use twill_bridge::BRIDGE;
use twill_flannel::FLANNEL;
use twill_portmap::PORTMAP;

use crate::reply::{COMMANDS, Checked, LoneCall};

/// Has keys of each plugin, and no `ipam`, since no other plugin is found.
const CONF: &str = r#""name":"cbr0","bridge":"cni0","ipMasq":true,"subnetFileWait":0,
    "runtimeConfig":{
        "portMappings":[
            {"hostPort":8080,"containerPort":80},
            {"hostPort":5353,"containerPort":53,"protocol":"udp","hostIP":"10.0.0.1"}
        ],
        "bandwidth":{"ingressRate":8000000,"ingressBurst":800000}
    }"#;

/// DEL does without a `prevResult` that it cannot use, and every other command gets a reply.
pub(super) fn feed(input: &[u8]) -> Result<()> {
    let plugins: [(&str, &dyn Plugin); 4] = [
        ("portmap", &PORTMAP),
        ("bandwidth", &BANDWIDTH),
        ("bridge", &BRIDGE),
        ("flannel", &FLANNEL),
    ];
    let is_json = serde_json::from_slice::<&serde_json::value::RawValue>(input).is_ok();
    for version in ["0.3.1", "1.1.0"] {
        for (name, plugin) in plugins {
            let start =
                format!(r#"{{"cniVersion":"{version}","type":"{name}",{CONF},"prevResult":"#);
            let conf = [start.as_bytes(), input, b"}"].concat();
            for command in COMMANDS {
                let reply = LoneCall::new(plugin, command, &conf).run()?;
                let fails = matches!(reply, Checked::Failed);
                ensure!(
                    !(command == "DEL" && is_json && fails),
                    "DEL of {name} fails"
                );
            }
        }
    }
    Ok(())
}
