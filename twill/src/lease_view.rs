//! A lease as commands print it.

use std::time::SystemTime;

use allocator::{Age, Unowned};
use node::{Lease, Life};
use serde::Serialize;

use crate::age;
use crate::table::{Cell, Style};

/// A lease as a command prints it; the fields are the keys of its JSON.
#[derive(Debug, Serialize)]
pub(crate) struct LeaseView<'a> {
    network: &'a str,
    address: String,
    store: String,
    #[serde(rename = "containerID", skip_serializing_if = "Option::is_none")]
    container_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ifname: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<PodView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    boot: &'static str,
    state: &'static str,
    why: String,
}

#[derive(Debug, Serialize)]
struct PodView<'a> {
    namespace: &'a str,
    name: &'a str,
}

/// The columns of [`LeaseView::cells`].
pub(crate) const HEADER: [&str; 9] = [
    "NETWORK",
    "ADDRESS",
    "CONTAINER",
    "INTERFACE",
    "POD",
    "SINCE",
    "BOOT",
    "STATE",
    "WHY",
];

impl<'a> LeaseView<'a> {
    pub(crate) fn of(network: &'a str, lease: &'a Lease) -> Self {
        let owner = lease.owner.as_ref().ok();
        Self {
            network,
            address: lease.address.to_string(),
            store: lease.store.to_string(),
            container_id: owner.map(|owner| owner.container_id.as_str()),
            ifname: owner.and_then(|owner| Some(owner.ifname.as_ref()?.as_str())),
            pod: lease.pod.as_ref().map(|pod| PodView {
                namespace: &pod.namespace,
                name: &pod.name,
            }),
            since: lease.since.map(age::rfc3339),
            boot: match lease.age {
                Age::ThisBoot => "this",
                Age::EarlierBoot => "earlier",
            },
            state: state(lease).0,
            why: why(lease),
        }
    }

    /// The lease in a line.
    pub(crate) fn in_words(&self) -> String {
        let pod = self
            .pod
            .as_ref()
            .map(|pod| format!(", pod {}/{}", pod.namespace, pod.name));
        let since = self.since.as_ref().map(|since| format!(", since {since}"));
        let boot = if self.boot == "this" {
            ""
        } else {
            ", of an earlier boot"
        };
        format!(
            "{} is {}: {}{}{}{boot}",
            self.address,
            self.state,
            self.why,
            since.unwrap_or_default(),
            pod.unwrap_or_default()
        )
    }

    /// The lease as a row of a table.
    pub(crate) fn cells(self, lease: &Lease, now: SystemTime) -> [Cell<'a>; HEADER.len()] {
        let pod = self.pod.as_ref().map(|pod| match pod.namespace {
            "" => pod.name.to_owned(),
            namespace => format!("{namespace}/{}", pod.name),
        });
        let since = lease.since.map(|since| age::since(since, now));
        [
            self.network.into(),
            self.address.into(),
            self.container_id.unwrap_or_default().into(),
            self.ifname.unwrap_or_default().into(),
            pod.unwrap_or_default().into(),
            since.unwrap_or_default().into(),
            self.boot.into(),
            Cell::new(self.state, state(lease).1),
            self.why.into(),
        ]
    }
}

/// The state of a lease in a word, and the word's style.
fn state(lease: &Lease) -> (&'static str, Style) {
    match (&lease.owner, &lease.life) {
        (Err(Unowned::Debris), _) => ("debris", Style::Warning),
        (Err(Unowned::Text | Unowned::NotAFile), _) => ("blocked", Style::Warning),
        (Ok(_), Some(Life::Alive(_))) => ("alive", Style::Good),
        (Ok(_), Some(Life::Dead(_))) => ("dead", Style::Bad),
        (Ok(_), Some(Life::Unknown(_)) | None) => ("unknown", Style::Warning),
    }
}

fn why(lease: &Lease) -> String {
    match (&lease.owner, &lease.life) {
        (Err(Unowned::Debris), _) => "the file is empty or garbled: the next ADD may use it".into(),
        (Err(Unowned::Text), _) => "the file has somebody's own text".into(),
        (Err(Unowned::NotAFile), _) => "it is no regular file".into(),
        (Ok(_), Some(Life::Alive(evidence))) => evidence.to_string(),
        (Ok(_), Some(Life::Dead(death))) => death.to_string(),
        (Ok(_), Some(Life::Unknown(doubt))) => doubt.to_string(),
        (Ok(_), None) => String::new(),
    }
}
