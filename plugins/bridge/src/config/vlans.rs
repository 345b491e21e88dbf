//! The VLANs of a configuration.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::raw::{RawConf, RawTrunk};
use crate::error::ConfigError;

/// The valid VLAN IDs (IEEE 802.1Q).
const NUMBERS: RangeInclusive<u16> = 1..=4094;

/// The native VLAN of a port with a trunk and no access VLAN.
const USUAL_NATIVE: u16 = 1;

/// The VLANs of a port. They need a bridge that filters VLANs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Vlans {
    /// `vlan`: the access VLAN, whose frames reach the container untagged.
    pub(crate) access: Option<u16>,
    /// The native VLAN, to which untagged frames belong. With `None`, the bridge decides, and there
    /// is no trunk.
    pub(crate) native: Option<u16>,
    /// `vlanTrunk` without the native VLAN: the VLANs whose frames reach the container tagged. The
    /// ranges are in order and do not touch.
    pub(crate) trunk: Vec<RangeInclusive<u16>>,
    /// `preserveDefaultVlan`: whether the port stays in the default VLAN of the bridge.
    pub(crate) keeps_default: bool,
    /// The key that requires VLANs, and its value, for errors.
    pub(crate) asked_by: String,
}

impl Vlans {
    /// `None` if the configuration has no VLANs.
    ///
    /// # Errors
    /// [`ConfigError`], with the key that is invalid.
    pub(super) fn of(raw: &RawConf) -> Result<Option<Self>, ConfigError> {
        let access = match raw.vlan {
            0 => None,
            number => Some(vlan("vlan".to_owned(), number)?),
        };
        let mut numbers = BTreeSet::new();
        for (index, item) in raw.vlan_trunk.iter().flatten().enumerate() {
            add_vlans(*item, &format!("vlanTrunk[{index}]"), &mut numbers)?;
        }
        let asked_by = match (access, &raw.vlan_trunk) {
            (None, None) => return Ok(None),
            (Some(number), _) => format!("vlan {number}"),
            (None, Some(_)) => "vlanTrunk".to_owned(),
        };
        let native = access.or_else(|| (!numbers.is_empty()).then_some(USUAL_NATIVE));
        if let Some(native) = native {
            numbers.remove(&native);
        }
        Ok(Some(Self {
            access,
            native,
            trunk: ranges(numbers),
            keeps_default: raw.preserve_default_vlan,
            asked_by,
        }))
    }

    /// Whether the port has VLANs beside the bridge's default.
    pub(crate) fn is_any(&self) -> bool {
        self.native.is_some()
    }
}

fn add_vlans(item: RawTrunk, key: &str, into: &mut BTreeSet<u16>) -> Result<(), ConfigError> {
    match (item.min_id, item.max_id) {
        (Some(min), Some(max)) => {
            let first = vlan(format!("{key}.minID"), min)?;
            let last = vlan(format!("{key}.maxID"), max)?;
            if first > last {
                return Err(ConfigError::TrunkOrder {
                    key: key.to_owned(),
                    min,
                    max,
                });
            }
            into.extend(first..=last);
        }
        (Some(value), None) => return Err(half(key, "minID", value, "maxID")),
        (None, Some(value)) => return Err(half(key, "maxID", value, "minID")),
        (None, None) => {}
    }
    if let Some(number) = item.id {
        into.insert(vlan(format!("{key}.id"), number)?);
    }
    Ok(())
}

fn vlan(key: String, number: i64) -> Result<u16, ConfigError> {
    let found = u16::try_from(number).ok().filter(|n| NUMBERS.contains(n));
    found.ok_or(ConfigError::Vlan { key, number })
}

fn half(key: &str, has: &'static str, value: i64, lacks: &'static str) -> ConfigError {
    ConfigError::HalfTrunk {
        key: key.to_owned(),
        has,
        value,
        lacks,
    }
}

fn ranges(numbers: BTreeSet<u16>) -> Vec<RangeInclusive<u16>> {
    let mut ranges: Vec<RangeInclusive<u16>> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some(last) if last.end() + 1 == number => *last = *last.start()..=number,
            _ => ranges.push(number..=number),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: serde_json::Value) -> Result<Option<Vlans>, String> {
        let raw: RawConf = serde_json::from_value(json).unwrap();
        Vlans::of(&raw).map_err(|error| error.to_string())
    }

    #[test]
    fn a_trunk_is_a_set() {
        let trunk = serde_json::json!([
            { "id": 7 }, { "minID": 3, "maxID": 5 }, { "id": 6 }, { "id": 9 }, {}
        ]);
        let vlans = of(serde_json::json!({ "vlanTrunk": trunk }))
            .unwrap()
            .unwrap();
        assert_eq!(vlans.trunk, [3..=7, 9..=9]);
        assert_eq!((vlans.access, vlans.native), (None, Some(1)));
    }

    #[test]
    fn the_native_vlan_is_not_tagged() {
        let trunk = serde_json::json!([{ "minID": 1, "maxID": 3 }]);
        let vlans = of(serde_json::json!({ "vlanTrunk": trunk }))
            .unwrap()
            .unwrap();
        assert_eq!((vlans.native, vlans.trunk), (Some(1), vec![2..=3]));
        let vlans = of(serde_json::json!({ "vlan": 2, "vlanTrunk": trunk }))
            .unwrap()
            .unwrap();
        assert_eq!((vlans.native, vlans.trunk), (Some(2), vec![1..=1, 3..=3]));
    }

    #[test]
    fn an_empty_trunk_only_requires_a_filtering_bridge() {
        let vlans = of(serde_json::json!({ "vlanTrunk": [] })).unwrap().unwrap();
        assert!(!vlans.is_any());
        assert_eq!(of(serde_json::json!({ "vlan": 0 })), Ok(None));
    }

    #[test]
    fn errors_name_the_key() {
        let trunk = serde_json::json!({ "vlanTrunk": [{ "id": 4 }, { "minID": 9, "maxID": 5 }] });
        assert_eq!(
            of(trunk),
            Err("vlanTrunk[1]: minID 9 is greater than maxID 5".to_owned())
        );
        assert_eq!(
            of(serde_json::json!({ "vlan": 4095 })),
            Err("vlan 4095 is no VLAN: use 1 to 4094, or 0 for none".to_owned())
        );
    }
}
