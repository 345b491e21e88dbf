//! What the plugin is configured with.

use std::path::Path;

use serde_json::{Value, json};

use super::contender::Operation;
use super::idle;

/// A lease, as flanneld writes it.
pub(super) const SUBNET_ENV: &str = "\
FLANNEL_NETWORK=10.244.0.0/16
FLANNEL_SUBNET=10.244.1.1/24
FLANNEL_MTU=1450
FLANNEL_IPMASQ=true
";

/// The network configuration of an operation, with the idle delegate in the place of `bridge`.
pub(super) fn of(operation: Operation, subnet_file: &Path, data_dir: &Path) -> Value {
    let mut netconf = json!({
        "cniVersion": "1.0.0",
        "name": "cbr0",
        "type": "flannel",
        "subnetFile": subnet_file,
        "dataDir": data_dir,
        "delegate": { "type": idle::NAME, "hairpinMode": true, "isDefaultGateway": true },
    });
    let more = match operation {
        Operation::Add => None,
        Operation::Check | Operation::Del => {
            Some(("prevResult", serde_json::from_str(idle::RESULT).ok()))
        }
        // The first version that has it.
        Operation::Status => Some(("cniVersion", Some(json!("1.1.0")))),
    };
    if let (Some(netconf), Some((key, Some(value)))) = (netconf.as_object_mut(), more) {
        netconf.insert(key.to_owned(), value);
    }
    netconf
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_passes_the_result_back() {
        let of = |operation| of(operation, Path::new("/s"), Path::new("/d"));
        assert_eq!(of(Operation::Add).get("prevResult"), None);
        for operation in [Operation::Check, Operation::Del] {
            let address = of(operation).pointer("/prevResult/ips/0/address").cloned();
            assert_eq!(address, Some(json!("10.244.1.2/24")));
        }
        assert_eq!(of(Operation::Status)["cniVersion"], "1.1.0");
    }
}
