//! A delegate that does nothing but answer.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::programs;
use xtask::platform::Platform;

/// Its type.
pub(super) const NAME: &str = "idle";

/// What it answers to ADD, whatever it is given.
pub(super) const RESULT: &str = r#"{"cniVersion":"1.0.0","ips":[{"address":"10.244.1.2/24"}]}"#;

/// Builds it and tells where it is.
pub(super) fn build(folder: &Path, platform: &Platform) -> Result<PathBuf> {
    programs::build(folder, NAME, &source(), platform)
}

fn source() -> String {
    format!(
        "fn main() {{
    if std::env::var_os(\"CNI_COMMAND\").is_some_and(|command| command == \"ADD\") {{
        println!(\"{{}}\", {RESULT:?});
    }}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Answer, Call};

    #[test]
    fn it_answers_to_add_alone() {
        let folder = tempfile::tempdir().unwrap();
        let call = Call::bare(&build(folder.path(), &Platform::of_machine().unwrap()).unwrap());
        let answering = |command| call.clone().with("CNI_COMMAND", command);
        let added = answering("ADD").run_for(Answer::Address).unwrap();
        assert_eq!(added.stdout, format!("{RESULT}\n").as_bytes());
        answering("DEL").run_for(Answer::Nothing).unwrap();
    }
}
