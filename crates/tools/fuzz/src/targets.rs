//! The targets: which input goes to which plugin, and what must be true of the replies.

mod index;
mod list;
mod netconf;
mod prev_result;
mod result;
mod state;

use std::path::Path;

use anyhow::{Context, Error, Result, ensure};
use twill_bandwidth::BANDWIDTH;
use twill_bridge::BRIDGE;
use twill_flannel::FLANNEL;
use twill_host_local::HOST_LOCAL;
use twill_portmap::PORTMAP;

use crate::jail::{Jail, write};
use crate::reply::{Checked, LoneCall};

/// All targets. Those whose names end in `-conf` feed a plugin's network configurations.
static TARGETS: [Target; 14] = [
    Target::new("flannel-conf", |input| netconf::feed(&FLANNEL, input)),
    Target::new("host-local-conf", |input| netconf::feed(&HOST_LOCAL, input)),
    Target::new("bridge-conf", |input| netconf::feed(&BRIDGE, input)),
    Target::new("portmap-conf", |input| netconf::feed(&PORTMAP, input)),
    Target::new("bandwidth-conf", |input| netconf::feed(&BANDWIDTH, input)),
    // subnet.env, to flannel.
    Target::new("lease", lease),
    // CNI_ARGS, to host-local and bridge.
    Target::new("args", args),
    // Results as prevResult, to chained plugins and delegates.
    Target::new("prev-result", prev_result::feed),
    // Results and errors, as a delegate prints them.
    Target::new("delegate-output", result::feed),
    // resolv.conf, to host-local.
    Target::new("resolv-conf", resolv_conf),
    // The files in host-local's directory, and changes to the index of such a directory.
    Target::new("state", state::feed),
    Target::new("index", index::feed),
    // Network lists, and results in a runtime's cache, to conflist.
    Target::new("list", list::feed),
    // Datagrams as the kernel's answers, to netlink and firewall.
    Target::new("answers", |datagram| {
        firewall::answers::read_all(datagram).map_err(Error::msg)
    }),
];

const SUBNET_FILE: &str = "/run/flannel/subnet.env";
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// host-local's directory and network.
const DATA_DIR: &str = "/data";
const NETWORK: &str = "cbr0";

/// A kind of input.
#[derive(Debug)]
pub struct Target {
    /// The name on the command line, and of its directory in `testdata/fuzz`.
    name: &'static str,
    /// Feeds one input, in a jail without files; the error says what is wrong with the replies.
    feed: fn(&[u8]) -> Result<()>,
}

impl Target {
    const fn new(name: &'static str, feed: fn(&[u8]) -> Result<()>) -> Self {
        Self { name, feed }
    }

    /// The target of a name.
    ///
    /// # Errors
    /// If there is none.
    pub fn find(name: &str) -> Result<&'static Self> {
        let found = TARGETS.iter().find(|target| target.name == name);
        found.with_context(|| format!("there is no target `{name}`"))
    }

    /// A function that feeds inputs, each to a jail without files. Its error says what is wrong
    /// with the replies. Needs root.
    pub fn feeder(&self) -> impl Fn(&[u8]) -> Result<()> + Send + use<> {
        let jail = Jail::new(self.feed);
        move |input| jail.feed(input)
    }
}

/// A configuration of host-local for its directory here, with more keys of `ipam` and of its own.
fn host_local_conf(ipam: &str, others: &str) -> String {
    format!(
        r#"{{"cniVersion":"1.1.0","name":"{NETWORK}","type":"host-local",{others}
        "ipam":{{"type":"host-local","dataDir":"{DATA_DIR}",{ipam}
        "ranges":[[{{"subnet":"10.244.1.0/24"}}],[{{"subnet":"fd00:10:244:1::/64"}}]]}}}}"#
    )
}

fn lease(input: &[u8]) -> Result<()> {
    let conf = br#"{"cniVersion":"1.1.0","name":"cbr0","type":"flannel","subnetFileWait":0}"#;
    write(Path::new(SUBNET_FILE), input)?;
    for command in ["ADD", "STATUS"] {
        let reply = LoneCall::new(&FLANNEL, command, conf).run()?;
        ensure!(
            matches!(reply, Checked::Failed),
            "{command} succeeds without a delegate"
        );
    }
    Ok(())
}

fn args(input: &[u8]) -> Result<()> {
    // No variable has a zero byte in it, and bridge calls no other plugin.
    let args: Vec<u8> = input.iter().copied().filter(|byte| *byte != 0).collect();
    let conf = host_local_conf("", "");
    let add = LoneCall {
        args: &args,
        ..LoneCall::new(&HOST_LOCAL, "ADD", conf.as_bytes())
    };
    add.run()?;
    LoneCall {
        command: "DEL",
        ..add
    }
    .succeeds()?;
    let conf = br#"{"cniVersion":"1.0.0","name":"cbr0","type":"bridge","bridge":"cni0"}"#;
    LoneCall {
        args: &args,
        ..LoneCall::new(&BRIDGE, "ADD", conf)
    }
    .run()?;
    Ok(())
}

fn resolv_conf(input: &[u8]) -> Result<()> {
    write(Path::new(RESOLV_CONF), input)?;
    let conf = host_local_conf(&format!(r#""resolvConf":"{RESOLV_CONF}","#), "");
    let result = LoneCall::new(&HOST_LOCAL, "ADD", conf.as_bytes()).succeeds()?;
    let dns = result.context("ADD has no result")?.dns;
    let text = String::from_utf8_lossy(input);
    let words = dns
        .nameservers
        .iter()
        .chain(&dns.search)
        .chain(&dns.options)
        .chain(&dns.domain);
    for word in words {
        ensure!(text.contains(word.as_str()), "{word} is not in the file");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::ops::Range;

    use fastrand::Rng;
    use testkit::requirements::require_root;

    use super::*;

    /// How many random inputs each target gets.
    const MUTATIONS: usize = 500;

    /// Values for which some number is not prepared.
    const NUMBERS: [&[u8]; 8] = [
        b"-1",
        b"0.5",
        b"1e999",
        b"33",
        b"129",
        b"65536",
        b"4294967296",
        b"18446744073709551616",
    ];

    #[test]
    fn the_replies_to_the_corpus_are_as_they_must_be() {
        if !require_root() {
            return;
        }
        for target in &TARGETS {
            let inputs = corpus(target);
            assert!(!inputs.is_empty(), "{target:?}");
            let feed = target.feeder();
            for input in inputs {
                feed(&input).unwrap();
            }
        }
    }

    #[test]
    fn the_replies_to_mutations_of_the_corpus_are_as_they_must_be() {
        if !require_root() {
            return;
        }
        for target in &TARGETS {
            let (inputs, feed) = (corpus(target), target.feeder());
            let mut random = Rng::new();
            for _ in 0..MUTATIONS {
                let input = mutated(&inputs, &mut random);
                let name = target.name;
                feed(&input).unwrap_or_else(|error| {
                    panic!("{name} with \"{}\": {error:#}", input.escape_ascii())
                });
            }
        }
    }

    /// The inputs in the target's directory.
    fn corpus(target: &Target) -> Vec<Vec<u8>> {
        let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../testdata/fuzz");
        let entries = fs::read_dir(testdata.join(target.name)).unwrap();
        let inputs = entries.map(|entry| fs::read(entry.unwrap().path()).unwrap());
        inputs.collect()
    }

    /// One of the inputs, in which a few bytes are replaced a few times: by a part of an input, as
    /// an element or a line that is there twice, by a number, by any byte, or by nothing.
    fn mutated(inputs: &[Vec<u8>], random: &mut Rng) -> Vec<u8> {
        let mut bytes = random.choice(inputs).unwrap().clone();
        for _ in 0..random.usize(1..8) {
            let other = random.choice(inputs).unwrap();
            let new = match random.u8(..4) {
                0 => other[span(other, 64, random)].to_vec(),
                1 => random.choice(NUMBERS).unwrap().to_vec(),
                2 => vec![random.u8(..)],
                _ => Vec::new(),
            };
            drop(bytes.splice(span(&bytes, 8, random), new));
        }
        bytes
    }

    /// A place in these bytes, with at most so many of them.
    fn span(bytes: &[u8], most: usize, random: &mut Rng) -> Range<usize> {
        let start = random.usize(..=bytes.len());
        start..(start + random.usize(..=most)).min(bytes.len())
    }
}
