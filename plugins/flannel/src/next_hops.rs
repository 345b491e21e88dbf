//! The next hops of the routes in `prevResult`, for the CHECK of a delegate.
//!
//! For a route in `ipam.routes` without a next hop, the delegates' ADD creates a route through the
//! first gateway of its family. In CHECK the Go plugins up to 1.2.0 look for a route without a next
//! hop, and fail for each container that flannel has attached. A route with its next hop is right
//! for them, for newer Go plugins and for Twill's.

use std::net::IpAddr;

use cni_types::json::{DecodeError, Object};
use cni_types::{AddResult, IpConfig, Route, Version};
use ipnetwork::IpNetwork;

/// Adds the next hop to the routes of a configuration's `prevResult` that are in `ipam.routes`
/// without one. All others stay as they are, because another plugin of the list may have added
/// them.
///
/// A `prevResult` that cannot be decoded stays as it is too: the delegate reports it.
pub(crate) fn complete(conf: &mut Object) {
    if let Ok(Some(previous)) = completed(conf) {
        // Cannot fail: the value was decoded from JSON.
        let _ = conf.set("prevResult", &previous);
    }
}

/// The `prevResult` with complete routes; `None` if there is nothing to do.
fn completed(conf: &Object) -> Result<Option<Object>, DecodeError> {
    let ipam: Object = conf.decode("ipam")?.unwrap_or_default();
    let rendered: Vec<Route> = ipam.decode("routes")?.unwrap_or_default();
    let given: Vec<IpNetwork> = rendered
        .into_iter()
        .filter(|route| route.gw.is_none())
        .map(|route| route.dst)
        .collect();
    let Some(mut previous) = conf.decode::<Object>("prevResult")? else {
        return Ok(None);
    };
    let result = AddResult::decode(&previous.to_json()?, Version::LATEST)?;
    let mut routes: Vec<Object> = previous.decode("routes")?.unwrap_or_default();
    let mut is_changed = false;
    for (route, decoded) in routes.iter_mut().zip(&result.routes) {
        if decoded.gw.is_none()
            && given.contains(&decoded.dst)
            && let Some(gateway) = gateway(&result.ips, decoded.dst.is_ipv4())
        {
            route.set("gw", &gateway)?;
            is_changed = true;
        }
    }
    if is_changed {
        previous.set("routes", &routes)?;
    }
    Ok(is_changed.then_some(previous))
}

/// The first gateway of a family. An unspecified one, such as 0.0.0.0, does not count: the route is
/// created without a next hop.
fn gateway(ips: &[IpConfig], is_ipv4: bool) -> Option<IpAddr> {
    ips.iter()
        .filter_map(|ip| ip.gateway)
        .find(|gateway| gateway.is_ipv4() == is_ipv4)
        .filter(|gateway| !gateway.is_unspecified())
}

#[cfg(test)]
mod tests {
    use cni_types::json;

    use super::*;

    fn completed(conf: &str) -> String {
        let mut conf: Object = json::from_str(conf).unwrap();
        complete(&mut conf);
        conf.to_json().unwrap()
    }

    #[test]
    fn a_route_without_a_next_hop_gets_the_gateway_of_its_family() {
        let conf = r#"{"type":"bridge",
            "ipam":{"routes":[{"dst":"10.244.0.0/16"},{"dst":"fd00::/56"},{"dst":"10.9.0.0/16","gw":"10.244.1.9"}]},
            "prevResult":{"ips":[{"address":"10.244.1.2/24","gateway":"10.244.1.1","interface":2,"version":"4"},
                {"address":"10.7.1.2/24","gateway":"10.7.1.1"},{"address":"fd00::2/64","gateway":"fd00::1"}],
                "routes":[{"Dst":"10.244.0.0/16","GW":"","x":[1 ]},{"dst":"fd00::/56","gw":null},{"dst":"10.9.0.0/16"},
                    {"dst":"10.8.0.0/16"},{"dst":"0.0.0.0/0","gw":"10.244.1.1"}],"y":1.50}}"#;
        let conf = completed(conf);
        let (_, routes) = conf.split_once(r#""routes":[{"Dst""#).unwrap();
        assert_eq!(
            routes,
            concat!(
                r#":"10.244.0.0/16","x":[1 ],"gw":"10.244.1.1"},{"dst":"fd00::/56","gw":"fd00::1"},{"dst":"10.9.0.0/16"},"#,
                r#"{"dst":"10.8.0.0/16"},{"dst":"0.0.0.0/0","gw":"10.244.1.1"}]}}"#
            )
        );
        assert!(conf.contains(r#""y":1.50,"#), "{conf}");
    }

    #[test]
    fn a_route_without_a_known_gateway_stays() {
        for conf in [
            r#"{"ipam":{"routes":[{"dst":"10.244.0.0/16"}]}}"#,
            r#"{"ipam":{"routes":[{"dst":"10.244.0.0/16"}]},"prevResult":{"routes":[{"dst":"10.244.0.0/16"}]}}"#,
            r#"{"ipam":{"routes":[{"dst":"10.244.0.0/16"}]},"prevResult":{"ips":[{"address":"10.1.1.2/24","gateway":"0.0.0.0"}],"routes":[{"dst":"10.244.0.0/16"}]}}"#,
            r#"{"ipam":{"routes":[{"dst":"10.244.0.0/16"}]},"prevResult":{"ips":[{"address":"fd00::2/64","gateway":"fd00::1"}],"routes":[{"dst":"10.244.0.0/16"}]}}"#,
            r#"{"ipam":{"routes":[{"dst":"10.244.0.0/16"}]},"prevResult":{"ips":[{"address":"x"}],"routes":[{"dst":"10.244.0.0/16"}]}}"#,
            r#"{"ipam":{"routes":[{"dst":"10.244.0.0/16"}]},"prevResult":{"ips":[{"address":"10.1.1.2/24","gateway":"10.1.1.1"}],"routes":[5]}}"#,
            r#"{"ipam":5,"prevResult":{"ips":[{"address":"10.1.1.2/24","gateway":"10.1.1.1"}],"routes":[{"dst":"10.244.0.0/16"}]}}"#,
            r#"{"prevResult":[]}"#,
        ] {
            assert_eq!(completed(conf), conf);
        }
    }
}
