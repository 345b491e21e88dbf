//! The network outside of the node.

use std::thread;
use std::time::{Duration, Instant};

use testkit::NetNs;

use crate::support::lab::Lab;

/// The node's addresses on the wire to the outside.
pub(crate) const NODE: &str = "198.51.100.1";
pub(crate) const NODE6: &str = "2001:db8:51::1";
/// The other machine's addresses. The machine has no routes to the containers' networks.
pub(crate) const OUTSIDE: &str = "198.51.100.2";
pub(crate) const OUTSIDE6: &str = "2001:db8:51::2";

/// Another machine on a wire of the node.
#[track_caller]
pub(crate) fn connect(lab: &Lab) -> NetNs {
    let outside = NetNs::new().unwrap();
    let netns = outside.path();
    let netns = netns.to_str().unwrap();
    lab.ip(&format!(
        "link add wire0 type veth peer name wire1 netns {netns}"
    ));
    lab.ip(&format!("address add {NODE}/24 dev wire0"));
    lab.ip(&format!("address add {NODE6}/64 dev wire0 nodad"));
    lab.ip("link set wire0 up");
    outside.ip(&format!("address add {OUTSIDE}/24 dev wire1"));
    outside.ip(&format!("address add {OUTSIDE6}/64 dev wire1 nodad"));
    outside.ip("link set wire1 up");
    outside
}

/// The links of the node's IPv6 default routes.
#[track_caller]
pub(crate) fn default_routes(lab: &Lab) -> Vec<String> {
    let routes = lab.node.ip_json(&["-6", "route", "show", "default"]);
    let routes = routes.as_array().unwrap().iter();
    let mut links: Vec<String> = routes
        .map(|route| route["dev"].as_str().unwrap().to_owned())
        .collect();
    links.sort_unstable();
    links
}

#[track_caller]
pub(crate) fn wait_for_default_routes(lab: &Lab, expected: &[&str]) {
    let until = Instant::now() + Duration::from_secs(10);
    while default_routes(lab) != expected {
        let found = default_routes(lab);
        assert!(Instant::now() < until, "{found:?}, not {expected:?}");
        thread::sleep(Duration::from_millis(10));
    }
}
