use cni_types::json::DecodeError;
use cni_types::{AddResult, Code, Error, NetConf, Version};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawPrevious {
    prev_result: Option<Box<RawValue>>,
}

/// `prevResult`: for ADD, what the plugins before this one in a chain answered; for CHECK, what ADD answered in the end.
///
/// # Errors
/// Code 6, with the key that cannot be read.
pub fn previous_result(conf: &NetConf<'_>) -> Result<Option<AddResult>, Error> {
    read(conf, AddResult::decode)
}

/// `prevResult` as the answer of a plugin that adds nothing to it, in the configuration's version.
///
/// # Errors
/// As [`previous_result`]; also if the version cannot express it.
pub fn passed_on_result(conf: &NetConf<'_>) -> Result<Option<String>, Error> {
    read(conf, AddResult::pass_on)
}

fn read<T>(
    conf: &NetConf<'_>,
    decode: impl FnOnce(&str, Version) -> Result<T, DecodeError>,
) -> Result<Option<T>, Error> {
    let raw: RawPrevious = conf.decode()?;
    let Some(previous) = raw.prev_result else {
        return Ok(None);
    };
    let decoded = decode(previous.get(), conf.version).map_err(|error| {
        Error::new(
            Code::DECODING_FAILURE,
            format!(
                "cannot decode the network configuration: {}",
                error.inside("prevResult")
            ),
        )
    });
    decoded.map(Some)
}

/// `prevResult` for CHECK, which cannot do without.
///
/// # Errors
/// As [`previous_result`]; code 7 if there is none.
pub fn required_previous_result(conf: &NetConf<'_>) -> Result<AddResult, Error> {
    previous_result(conf)?.ok_or_else(|| {
        Error::new(
            Code::INVALID_NETWORK_CONFIG,
            "prevResult of the network configuration is missing: CHECK compares with it",
        )
    })
}
