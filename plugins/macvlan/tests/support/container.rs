//! A container, and what it has.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::NetNs;

/// How long what must pass may take: a kernel that has much to do is slow.
const PATIENCE: Duration = Duration::from_secs(10);

/// A container that may be attached.
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) sandbox: NetNs,
}

/// A link with all its details and addresses, as `ip -j -d address` shows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Link(pub(crate) Value);

impl Container {
    pub(crate) fn new(id: &str) -> Self {
        let sandbox = NetNs::new().unwrap();
        let container = Self {
            id: id.to_owned(),
            sandbox,
        };
        // Looking for duplicates of an IPv6 address takes the kernel a second or two.
        container.set("ipv6/conf/default/accept_dad", "0");
        container
    }

    /// A link inside, which must be there.
    #[track_caller]
    pub(crate) fn link(&self, name: &str) -> Link {
        let id = &self.id;
        self.links()
            .into_iter()
            .find(|link| link.name() == name)
            .unwrap_or_else(|| panic!("container {id} has no link {name}"))
    }

    #[track_caller]
    pub(crate) fn links(&self) -> Vec<Link> {
        all_links(self.sandbox.ip_json(&["-d", "address"]))
    }

    #[track_caller]
    pub(crate) fn link_names(&self) -> Vec<String> {
        let links = self.links();
        links.iter().map(|link| link.name().to_owned()).collect()
    }

    /// The routes inside that the kernel has not made itself, such as `default via 10.1.1.1`, sorted, IPv4 first.
    #[track_caller]
    pub(crate) fn routes(&self) -> Vec<String> {
        let mut all = Vec::new();
        for family in ["-4", "-6"] {
            let routes = self.sandbox.ip_json(&[family, "-d", "route"]);
            let own = routes.as_array().unwrap().iter();
            let own = own.filter(|route| route["protocol"] != "kernel");
            let mut told: Vec<String> = own.map(tell_route).collect();
            told.sort_unstable();
            all.extend(told);
        }
        all
    }

    /// Runs `ip` inside.
    #[track_caller]
    pub(crate) fn ip(&self, args: &str) {
        let mut ip = Command::new("ip");
        let output = self.sandbox.command(ip.args(args.split(' ')));
        assert!(output.status.success(), "ip {args}: {output:?}");
    }

    /// A kernel setting; `path` is below `/proc/sys/net`.
    #[track_caller]
    pub(crate) fn setting(&self, path: &str) -> String {
        let path = format!("/proc/sys/net/{path}");
        let text = self.sandbox.enter(|| fs::read_to_string(&path));
        text.unwrap_or_else(|error| panic!("{path}: {error}"))
            .trim()
            .to_owned()
    }

    /// Changes a kernel setting.
    #[track_caller]
    pub(crate) fn set(&self, path: &str, value: &str) {
        let path = format!("/proc/sys/net/{path}");
        let written = self.sandbox.enter(|| fs::write(&path, value));
        written.unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// An address answers to pings from inside.
    #[track_caller]
    pub(crate) fn assert_reaches(&self, to: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.pings(to) {
            let id = &self.id;
            assert!(
                Instant::now() < until,
                "no answer from {to} to container {id}"
            );
        }
    }

    /// Whether one ping is answered, soon.
    #[track_caller]
    pub(crate) fn pings(&self, to: &str) -> bool {
        let mut ping = Command::new("ping");
        ping.args(["-n", "-q", "-c1", "-W1", to]);
        self.sandbox.command(&mut ping).status.success()
    }
}

/// What `ip -j -d address` printed.
#[track_caller]
pub(crate) fn all_links(json: Value) -> Vec<Link> {
    let Value::Array(links) = json else {
        panic!("`ip` printed {json}")
    };
    let links = links.into_iter();
    links
        .filter(|link| link.get("ifname").is_some())
        .map(Link)
        .collect()
}

impl Link {
    pub(crate) fn name(&self) -> &str {
        self.0["ifname"].as_str().unwrap()
    }

    pub(crate) fn mac(&self) -> &str {
        self.0["address"].as_str().unwrap()
    }

    pub(crate) fn mtu(&self) -> u64 {
        self.0["mtu"].as_u64().unwrap()
    }

    /// `macvlan`, `veth`; nothing for a device.
    pub(crate) fn kind(&self) -> Option<&str> {
        self.0["linkinfo"]["info_kind"].as_str()
    }

    pub(crate) fn mode(&self) -> Option<&str> {
        self.0["linkinfo"]["info_data"]["mode"].as_str()
    }

    pub(crate) fn index(&self) -> u64 {
        self.0["ifindex"].as_u64().unwrap()
    }

    /// The index of the link whose wire it shares, in that one's namespace.
    pub(crate) fn parent(&self) -> Option<u64> {
        self.0["link_index"].as_u64()
    }

    pub(crate) fn has_flag(&self, flag: &str) -> bool {
        let flags = self.0["flags"].as_array().unwrap();
        flags.iter().any(|own| own == flag)
    }

    /// The global addresses with their prefix lengths, sorted, IPv4 first.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let all = self.0["addr_info"].as_array().unwrap().iter();
        let global = all.filter(|address| address["scope"] == "global");
        let mut told: Vec<(&str, String)> = global
            .map(|address| {
                let (local, length) = (&address["local"], &address["prefixlen"]);
                let text = format!("{}/{length}", local.as_str().unwrap());
                (address["family"].as_str().unwrap(), text)
            })
            .collect();
        told.sort_unstable();
        told.into_iter().map(|(_, text)| text).collect()
    }

    /// The global addresses with everything that the kernel notes of them.
    pub(crate) fn addresses_in_full(&self) -> Vec<Value> {
        let all = self.0["addr_info"].as_array().unwrap().iter();
        let global = all.filter(|address| address["scope"] == "global");
        global.cloned().collect()
    }

    /// Whether an address may not be used yet.
    pub(crate) fn has_tentative_address(&self) -> bool {
        let all = self.0["addr_info"].as_array().unwrap();
        all.iter().any(|address| address.get("tentative").is_some())
    }
}

fn tell_route(route: &Value) -> String {
    let mut told = route["dst"].as_str().unwrap().to_owned();
    for (key, word) in [("gateway", "via"), ("dev", "dev"), ("metric", "metric")] {
        match &route[key] {
            Value::String(text) => told = format!("{told} {word} {text}"),
            // What the kernel gives those of IPv6 that ask for none.
            Value::Number(number) if number.as_u64() != Some(1024) => {
                told = format!("{told} {word} {number}");
            }
            _ => {}
        }
    }
    match route["scope"].as_str() {
        None | Some("global") => told,
        Some(scope) => format!("{told} scope {scope}"),
    }
}
