//! What flannel would delegate.

use serde_json::json;
use testkit::requirements::require_root;

use crate::site::{Site, lines};

#[test]
fn keys_that_flannel_adds_are_marked() {
    if !require_root() {
        return;
    }
    let site = Site::of_ours();
    site.lease();
    site.list(&json!({
        "cniVersion": "1.0.0",
        "name": "cbr0",
        "plugins": [{
            "type": "flannel",
            "ipam": {"routes": [{"dst": "10.96.0.0/12"}], "dataDir": "/run/addresses"},
            "delegate": {"hairpinMode": true, "mtu": 1400},
        }],
    }));
    let (text, status) = site.twill(&["render"]);
    assert_eq!(
        (text, status),
        (
            lines(&[
                "  hairpinMode: true",
                "  mtu: 1400",
                "+ name: \"cbr0\"",
                "+ cniVersion: \"1.0.0\"",
                "+ type: \"bridge\"",
                "+ ipMasq: true",
                "+ isGateway: true",
                "  ipam.dataDir: \"/run/addresses\"",
                "+ ipam.type: \"host-local\"",
                "+ ipam.ranges: [[{\"subnet\":\"10.244.1.0/24\"}]]",
                "~ ipam.routes: [{\"dst\":\"10.96.0.0/12\"},{\"dst\":\"10.244.0.0/16\"}]",
            ]),
            0
        )
    );
    // With another lease; nothing was called and nothing was kept.
    let other = "FLANNEL_NETWORK=10.9.0.0/16\nFLANNEL_SUBNET=10.9.7.1/24\nFLANNEL_MTU=9000\nFLANNEL_IPMASQ=true\n";
    site.node.write("/run/other.env", other);
    let (value, status) = site.json(&["render", "--lease", "/run/other.env"]);
    assert_eq!(status, 0);
    assert_eq!(
        value,
        json!({
            "cniVersion": "1.0.0", "name": "cbr0", "type": "bridge", "hairpinMode": true,
            "mtu": 1400, "ipMasq": false, "isGateway": true,
            "ipam": {
                "type": "host-local", "dataDir": "/run/addresses",
                "ranges": [[{"subnet": "10.9.7.0/24"}]],
                "routes": [{"dst": "10.96.0.0/12"}, {"dst": "10.9.0.0/16"}],
            },
        })
    );
    assert!(site.node.list("/var/lib/cni").is_empty());

    site.node.write(
        "/run/plain.conflist",
        r#"{"name": "x", "plugins": [{"type": "bridge"}]}"#,
    );
    site.node.write("/run/partial.env", "FLANNEL_MTU=1450\n");
    let lease = "FLANNEL_NETWORK=10.9.0.0/16\nFLANNEL_SUBNET=10.9.7.1/31\nFLANNEL_MTU=1400\n\
                 FLANNEL_IPMASQ=true\n";
    site.node.write("/run/small.env", lease);
    for (arguments, message) in [
        (
            &["render", "/run/plain.conflist"][..],
            "twill: /run/plain.conflist has no plugin flannel, so nothing is rendered",
        ),
        (
            &["render", "/run/none.conflist"],
            "twill: cannot read /run/none.conflist: No such file or directory (os error 2)",
        ),
        (
            &["render", "--lease", "/run/small.env"],
            "twill: failed to load the lease: /run/small.env: FLANNEL_SUBNET: 10.9.7.0/31 has no room for a gateway and a \
             container: have flanneld get subnets of a prefix length of at most 30",
        ),
        (
            &["render", "--lease", "/run/partial.env"],
            "twill: /run/partial.env: FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK, FLANNEL_SUBNET, \
             FLANNEL_IPV6_SUBNET, FLANNEL_IPMASQ missing: flanneld has not written all of the lease",
        ),
    ] {
        assert_eq!(site.twill(arguments), (message.to_owned(), 2));
    }
}
