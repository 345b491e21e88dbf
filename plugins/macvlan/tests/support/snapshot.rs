//! A snapshot of the state that macvlan and ipvlan may change, without the kernel's own changes.

use serde_json::{Value, json};
use testkit::{Link, Observed};

pub(crate) use testkit::{Snapshot, assert_same};

use crate::support::lab::Lab;

impl Observed for Lab {
    fn details(link: &Link) -> Value {
        json!({ "info": link.0["linkinfo"], "promiscuity": link.0["promiscuity"] })
    }

    fn others(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}
