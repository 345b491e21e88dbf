//! Results and errors, as a delegate prints them.

use anyhow::{Context, Result, ensure};
use cni_types::{AddResult, Error, Version, json};
use serde_json::Value;

pub(super) fn feed(input: &[u8]) -> Result<()> {
    // The error of a failed delegate is passed on, in the version of the configuration.
    if let Ok(error) = json::from_slice::<Error>(input) {
        for version in Version::ALL {
            let printed = serde_json::to_string(&error.at_version(version));
            printed.with_context(|| format!("{error:?} cannot be printed"))?;
        }
    }
    let Ok(text) = std::str::from_utf8(input) else {
        return Ok(());
    };
    for version in Version::ALL {
        let Ok(passed_on) = AddResult::pass_on(text, version) else {
            continue;
        };
        let again = || -> Result<()> {
            AddResult::decode(&passed_on, Version::LATEST).context("it cannot be read")?;
            let twice = AddResult::pass_on(&passed_on, version);
            let twice = twice.context("it cannot be passed on twice")?;
            // The order of keys may be another one.
            let [one, two] = [&passed_on, &twice].map(|it| serde_json::from_str::<Value>(it).ok());
            ensure!(one == two, "passed on twice it differs: {twice}");
            Ok(())
        };
        again().with_context(|| format!("what is passed on at {version}: {passed_on}"))?;
    }
    Ok(())
}
