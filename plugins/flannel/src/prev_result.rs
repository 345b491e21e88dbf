//! Conversion of `prevResult` to another version than the runtime's.
//!
//! An operator may change the version of the network list while containers run. Then the runtime
//! passes `prevResult` in the list's current version, and the kept configuration has the version of
//! the ADD.

use cni_types::json::{self, Object, OptionalText};
use cni_types::{AddResult, Attachment, Interface, Version};
use serde_json::value::RawValue;

/// The key of the result of ADD in a configuration.
pub(crate) const PREV_RESULT: &str = "prevResult";

/// The version that a configuration names; `None` if it is not supported.
pub(crate) fn version_of(conf: &Object) -> Option<Version> {
    let version: Option<String> = conf.decode("cniVersion").ok()?;
    version.unwrap_or_default().parse().ok()
}

/// A `prevResult` in the version `wanted`, that of its configuration. It stays as it was written if
/// it has that version already, or if `wanted` is `None`. A result that does not name its version
/// has `fallback`.
///
/// `None` if that version cannot express it (0.1.0 and 0.2.0 need an address, and have room for one
/// per family), or if it is not a result.
pub(crate) fn of_version(
    given: &RawValue,
    fallback: Version,
    wanted: Option<Version>,
) -> Option<Box<RawValue>> {
    let text = given.get();
    let mut named: Object = json::from_str(text).ok()?;
    let version: Option<OptionalText> = named.decode("cniVersion").ok()?;
    let version = match version.unwrap_or_default().get() {
        Some(version) => version.parse().ok()?,
        None => fallback,
    };
    let Some(wanted) = wanted.filter(|wanted| *wanted != version) else {
        return Some(given.to_owned());
    };
    named.set("cniVersion", version.as_str()).ok()?;
    let named = named.to_json().ok()?;
    let converted = AddResult::pass_on(&named, wanted).ok()?;
    let addresses = |text: &str| Some(AddResult::decode(text, wanted).ok()?.ips.len());
    if addresses(&converted)? != addresses(&named)? {
        return None;
    }
    RawValue::from_string(converted).ok()
}

/// Adds the container's interface to a `prevResult` of an ADD whose version had no `interfaces`.
/// Those on the node are unknown.
///
/// A `prevResult` that cannot be decoded stays as it is: the delegate reports it.
pub(crate) fn name_interface(conf: &mut Object, attachment: &Attachment, netns: &str) {
    let Ok(Some(mut previous)) = conf.decode::<Object>(PREV_RESULT) else {
        return;
    };
    let interfaces = previous.decode::<Vec<Object>>("interfaces");
    if !interfaces.is_ok_and(|interfaces| interfaces.is_none_or(|list| list.is_empty())) {
        return;
    }
    let interface = Interface {
        name: attachment.ifname.to_string(),
        sandbox: Some(netns.to_owned()),
        ..Interface::default()
    };
    // Neither can fail: the values were decoded from JSON.
    let _ = previous.set("interfaces", &[interface]);
    let _ = conf.set(PREV_RESULT, &previous);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn converted(given: &Value, fallback: Version, wanted: Version) -> Option<Value> {
        let given = RawValue::from_string(given.to_string()).unwrap();
        let converted = of_version(&given, fallback, Some(wanted))?;
        Some(serde_json::from_str(converted.get()).unwrap())
    }

    fn modern(version: &str) -> Value {
        json!({
            "cniVersion": version,
            "interfaces": [{"name": "eth0", "sandbox": "/a"}],
            "ips": [{"interface": 0, "address": "10.1.2.3/24", "gateway": "10.1.2.1"}],
            "routes": [{"dst": "0.0.0.0/0"}],
            "x": {"unknown": 1},
        })
    }

    fn with_family(version: &str) -> Value {
        let mut result = modern(version);
        result["ips"][0]["version"] = json!("4");
        result["dns"] = json!({});
        result
    }

    #[test]
    fn a_result_is_raised_and_lowered() {
        use Version as V;
        for (given, wanted, expected) in [
            (modern("1.0.0"), V::V0_3_1, with_family("0.3.1")),
            (modern("1.0.0"), V::V0_4_0, with_family("0.4.0")),
            (modern("1.0.0"), V::V1_1_0, modern("1.1.0")),
            (with_family("0.4.0"), V::V1_0_0, modern("1.0.0")),
            (
                with_family("0.4.0"),
                V::V0_2_0,
                json!({
                    "cniVersion": "0.2.0",
                    "ip4": {"ip": "10.1.2.3/24", "gateway": "10.1.2.1", "routes": [{"dst": "0.0.0.0/0"}]},
                    "dns": {},
                    "x": {"unknown": 1},
                }),
            ),
        ] {
            assert_eq!(
                converted(&given, V::V0_1_0, wanted),
                Some(expected),
                "{given}"
            );
            let mut unnamed = given.clone();
            unnamed.as_object_mut().unwrap().remove("cniVersion");
            let fallback = given["cniVersion"].as_str().unwrap().parse().unwrap();
            assert_eq!(
                converted(&unnamed, fallback, wanted),
                converted(&given, V::V0_1_0, wanted)
            );
        }
    }

    #[test]
    fn a_result_of_the_same_version_keeps_its_text() {
        let given =
            RawValue::from_string(r#"{ "ips": 5,"cniVersion":"1.0.0" }"#.to_owned()).unwrap();
        for wanted in [Some(Version::V1_0_0), None] {
            let same = of_version(&given, Version::V0_1_0, wanted).unwrap();
            assert_eq!(same.get(), given.get());
        }
    }

    #[test]
    fn a_result_that_the_version_cannot_express_is_omitted() {
        let mut two = modern("1.0.0");
        two["ips"] = json!([{"address": "10.1.2.3/24"}, {"address": "10.1.2.4/24"}]);
        let mut none = modern("1.0.0");
        none["ips"] = json!([]);
        for given in [two, none, json!("garbage"), json!({"cniVersion": "9.9.9"})] {
            assert_eq!(converted(&given, Version::V1_0_0, Version::V0_2_0), None);
        }
    }
}
