//! A container that is attached.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use testkit::Container;
use xtask::command::output;

use crate::twill::Twill;
use crate::{KEPT, MTU};

const IFNAME: &str = "eth0";

/// A container with its address.
pub(crate) struct Attached {
    pub(crate) container: Container,
    /// The address with its prefix length.
    address: String,
}

impl Attached {
    /// Makes a container's network namespace and attaches it. Returns also what to print.
    pub(crate) fn new(twill: &Twill<'_>, id: &str) -> Result<(Self, Vec<String>)> {
        let container = Container::new(id);
        let mut lines = twill.add(&container.sandbox.path(), id)?;
        let link = container.link(IFNAME);
        let addresses = link.addresses();
        let [address] = addresses.as_slice() else {
            bail!("{IFNAME} of {id} has the addresses {addresses:?}");
        };
        ensure!(
            link.mtu() == MTU,
            "{IFNAME} of {id} has another MTU: {link:?}"
        );
        for word in [address, link.mac()] {
            let is_reported = lines.iter().any(|line| line.contains(word));
            ensure!(is_reported, "twill add does not report {word}: {lines:#?}");
        }
        let path = format!("{KEPT}/{id}");
        let delegated: Value = serde_json::from_str(&twill.node.read(&path))
            .with_context(|| format!("{path} is no JSON"))?;
        lines.push(format!("{path}: {delegated}"));
        let address = address.clone();
        Ok((Self { container, address }, lines))
    }

    /// Detaches the container. Returns what to print.
    pub(crate) fn detach(&self, twill: &Twill<'_>) -> Result<Vec<String>> {
        twill.del(&self.container.sandbox.path(), &self.container.id)
    }

    /// The address alone.
    pub(crate) fn ip(&self) -> &str {
        self.address.split('/').next().unwrap_or_default()
    }

    /// One echo request from inside the container. Returns what to print.
    pub(crate) fn ping(&self, to: &str) -> Result<Vec<String>> {
        let mut ping = Command::new("ping");
        ping.args(["-n", "-c1", "-W2", to]);
        let printed = self.container.sandbox.enter(|| output(&mut ping))?;
        let answer = printed.lines().find(|line| line.contains("time="));
        let answer = answer.with_context(|| format!("ping printed no time: {printed}"))?;
        Ok(vec![answer.to_owned()])
    }
}
