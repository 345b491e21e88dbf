//! Results and errors, as a delegate prints them.

use cni_types::{AddResult, Error, Version, json};
use serde_json::Value;

pub(super) fn feed(input: &[u8]) -> Result<String, String> {
    let mut kinds = Vec::new();
    // The error of a failed delegate is passed on, in the version of the configuration.
    match json::from_slice::<Error>(input) {
        Ok(error) => {
            for version in Version::ALL {
                serde_json::to_string(&error.at_version(version))
                    .map_err(|source| format!("{error:?} cannot be printed: {source}"))?;
            }
            kinds.push("an error".to_owned());
        }
        Err(error) => kinds.push(outline(&error)),
    }
    let Ok(text) = std::str::from_utf8(input) else {
        return Ok("no text".into());
    };
    for version in Version::ALL {
        match AddResult::pass_on(text, version) {
            Ok(passed_on) => {
                let again = |problem| format!("at {version}, {problem}: {passed_on}");
                let result = AddResult::decode(&passed_on, Version::LATEST)
                    .map_err(|error| again(format!("what is passed on cannot be read: {error}")))?;
                let twice = AddResult::pass_on(&passed_on, version)
                    .map_err(|error| again(format!("it cannot be passed on twice: {error}")))?;
                // The order of keys may be another one.
                let value = |text: &str| serde_json::from_str::<Value>(text).ok();
                if value(&twice) != value(&passed_on) {
                    return Err(again(format!("passed on twice it is another one: {twice}")));
                }
                kinds.push(format!(
                    "{} {}",
                    result.ips.len(),
                    result.routes.len().min(3)
                ));
            }
            Err(error) => kinds.push(outline(&error)),
        }
    }
    Ok(kinds.join("; "))
}

fn outline(error: &json::DecodeError) -> String {
    let text = error.to_string();
    let letters = text
        .chars()
        .filter(|letter| letter.is_ascii_alphabetic() || *letter == ' ');
    letters.take(60).collect()
}
