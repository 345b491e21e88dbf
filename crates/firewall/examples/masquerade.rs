//! Masquerades the addresses of a container with nftables, in a network namespace of its own, and
//! prints the rules and sets that this takes.
//!
//! ```console
//! # cargo run -p firewall --example masquerade     # needs root, and `nft` to print the ruleset
//! ```

#![allow(clippy::print_stdout, reason = "a command for the terminal: it prints")]

use std::process::Command;

use cni_types::{Attachment, NetworkName};
use firewall::Nftables;
use testkit::NetNs;

fn main() -> anyhow::Result<()> {
    // The rules of the machine stay as they are.
    NetNs::new()?.enter(|| {
        let network: NetworkName = "demo".parse()?;
        let attachment = Attachment {
            container_id: "c1".parse()?,
            ifname: "eth0".parse()?,
        };
        let addresses = ["10.1.2.3/24".parse()?, "fd00:1::3/64".parse()?];

        let mut nftables = Nftables::open()?;
        nftables.masquerade(&network, &attachment, &addresses)?;
        println!("after an ADD:\n{}", ruleset()?);

        // The rules of a subnet stay for its next container; DEL removes the container's elements.
        nftables.remove(&network, &attachment)?;
        println!("after the DEL:\n{}", ruleset()?);
        Ok(())
    })
}

fn ruleset() -> anyhow::Result<String> {
    let output = Command::new("nft").args(["list", "ruleset"]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
