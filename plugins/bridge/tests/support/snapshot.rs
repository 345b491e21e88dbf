//! A snapshot of the state that bridge may change, without changes that the kernel makes by itself.

use serde_json::{Value, json};
use testkit::{Link, Observed};

pub(crate) use testkit::{Snapshot, assert_same};

use crate::support::lab::{IP_FORWARD, IPV6_FORWARD, Lab};

impl Observed for Lab {
    fn details(link: &Link) -> Value {
        json!({ "hairpin": link.port("hairpin"), "kind": link.kind(), "master": link.master() })
    }

    fn others(&self) -> Vec<(String, String)> {
        let settings = [IP_FORWARD, IPV6_FORWARD].into_iter();
        let settings = settings.map(|path| (path.to_owned(), self.node.read(path)));
        settings
            .chain([("rules".to_owned(), self.ruleset())])
            .collect()
    }
}
