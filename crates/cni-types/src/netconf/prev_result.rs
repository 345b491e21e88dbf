//! `prevResult` of a configuration.

use crate::json::{DecodeError, Entries};
use crate::{AddResult, Code, Error, NetConf, Version};

const KEY: &str = "prevResult";

impl NetConf<'_> {
    /// `prevResult`: on ADD, the result of the plugins before this one in a chain; on CHECK, the
    /// result of the whole ADD. A result that names no version has the configuration's.
    ///
    /// # Errors
    /// Code 6; the message names the key that cannot be decoded.
    pub fn prev_result(&self) -> Result<Option<AddResult>, Error> {
        self.read_prev_result(AddResult::of_entries)
    }

    /// `prevResult` for CHECK, which cannot do without it.
    ///
    /// # Errors
    /// As [`NetConf::prev_result`]; code 7 if there is none.
    pub fn required_prev_result(&self) -> Result<AddResult, Error> {
        self.prev_result()?.ok_or_else(|| {
            Error::new(
                Code::INVALID_NETWORK_CONFIG,
                "prevResult of the network configuration is missing: CHECK compares with it",
            )
        })
    }

    /// `prevResult` as the reply of a plugin that adds nothing to it, in the configuration's
    /// version.
    ///
    /// # Errors
    /// As [`NetConf::prev_result`]; also if the version cannot express the result.
    pub fn passed_on_prev_result(&self) -> Result<Option<String>, Error> {
        self.read_prev_result(AddResult::pass_on_entries)
    }

    fn read_prev_result<T>(
        &self,
        read: impl FnOnce(&Entries<'_>, Version) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, Error> {
        let Some(result) = self.entries.section(KEY).map_err(super::undecodable)? else {
            return Ok(None);
        };
        read(&result, self.version)
            .map(Some)
            .map_err(|error| super::undecodable(error.inside(KEY)))
    }
}

#[cfg(test)]
mod tests {
    use crate::NetConf;

    fn conf(prev_result: &str) -> String {
        format!(r#"{{"cniVersion":"1.0.0","name":"a","PrevResult":{prev_result}}}"#)
    }

    #[test]
    fn prev_result_is_optional() {
        let text = conf(r#"{"cniVersion":"0.2.0","ip4":{"ip":"10.1.0.2/24"}}"#);
        let conf = NetConf::parse(text.as_bytes()).unwrap();
        let result = conf.prev_result().unwrap().unwrap();
        assert_eq!(result.ips[0].address.to_string(), "10.1.0.2/24");
        assert_eq!(
            conf.passed_on_prev_result().unwrap().as_deref(),
            Some(r#"{"cniVersion":"1.0.0","ips":[{"address":"10.1.0.2/24"}]}"#)
        );
        for text in [self::conf("null"), r#"{"name":"a"}"#.to_owned()] {
            let conf = NetConf::parse(text.as_bytes()).unwrap();
            assert_eq!(conf.prev_result(), Ok(None));
            assert_eq!(conf.required_prev_result().unwrap_err().code.0, 7);
        }
    }

    #[test]
    fn errors_name_the_key() {
        for (prev_result, message) in [
            ("[]", "prevResult: an object is expected, not an array"),
            (
                r#"{"ips":[{"address":5}]}"#,
                "prevResult.ips[0].address: invalid type: integer `5`, expected a string",
            ),
        ] {
            let text = conf(prev_result);
            let conf = NetConf::parse(text.as_bytes()).unwrap();
            assert_eq!(
                conf.prev_result().unwrap_err().msg,
                format!("cannot decode the network configuration: {message}")
            );
        }
    }
}
