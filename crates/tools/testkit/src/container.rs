//! A container: its network namespace, with the links and routes in it.

use std::fs;

use serde_json::Value;

use crate::link::Link;
use crate::netns::NetNs;

/// A container that may be attached.
#[derive(Debug)]
pub struct Container {
    /// Its id, as the runtime passes it.
    pub id: String,
    /// Its network namespace.
    pub sandbox: NetNs,
}

impl Container {
    /// A container with nothing but `lo`.
    ///
    /// # Panics
    /// If [`NetNs::new`] fails.
    #[must_use]
    #[track_caller]
    pub fn new(id: &str) -> Self {
        let sandbox = NetNs::new().unwrap();
        let id = id.to_owned();
        Self { id, sandbox }
    }

    /// A link inside, which must be there.
    #[track_caller]
    pub fn link(&self, name: &str) -> Link {
        let id = &self.id;
        self.links()
            .into_iter()
            .find(|link| link.name() == name)
            .unwrap_or_else(|| panic!("container {id} has no link {name}"))
    }

    /// All links inside.
    #[track_caller]
    pub fn links(&self) -> Vec<Link> {
        Link::all(self.sandbox.ip_json(&["-d", "address"]))
    }

    /// The names of all links inside.
    #[track_caller]
    pub fn link_names(&self) -> Vec<String> {
        let links = self.links();
        links.iter().map(|link| link.name().to_owned()).collect()
    }

    /// The routes inside that the kernel has not made itself, such as `default via 10.1.1.1`,
    /// sorted, IPv4 first.
    #[track_caller]
    pub fn routes(&self) -> Vec<String> {
        self.routes_as(|route| with_words(route, &[("gateway", "via")]))
    }

    /// As [`Container::routes`], with link, metric and scope: `10.9.0.0/16 dev eth0 scope link`.
    #[track_caller]
    pub fn routes_in_full(&self) -> Vec<String> {
        self.routes_as(|route| {
            let words = [("gateway", "via"), ("dev", "dev"), ("metric", "metric")];
            let printed = with_words(route, &words);
            match route["scope"].as_str() {
                None | Some("global") => printed,
                Some(scope) => format!("{printed} scope {scope}"),
            }
        })
    }

    #[track_caller]
    fn routes_as(&self, print: fn(&Value) -> String) -> Vec<String> {
        let mut all = Vec::new();
        for family in ["-4", "-6"] {
            let routes = self.sandbox.ip_json(&[family, "-d", "route"]);
            let own = routes.as_array().unwrap().iter();
            let own = own.filter(|route| route["protocol"] != "kernel");
            let mut printed: Vec<String> = own.map(print).collect();
            printed.sort_unstable();
            all.extend(printed);
        }
        all
    }

    /// Runs `ip` inside.
    #[track_caller]
    pub fn ip(&self, args: &str) {
        self.sandbox.ip(args);
    }

    /// A kernel setting, as a number; `path` is below `/proc/sys/net`.
    #[track_caller]
    pub fn setting(&self, path: &str) -> i64 {
        let path = format!("/proc/sys/net/{path}");
        let text = self.sandbox.enter(|| fs::read_to_string(&path));
        text.unwrap_or_else(|error| panic!("{path}: {error}"))
            .trim()
            .parse()
            .unwrap()
    }

    /// Changes a kernel setting.
    #[track_caller]
    pub fn set(&self, path: &str, value: &str) {
        let path = format!("/proc/sys/net/{path}");
        let written = self.sandbox.enter(|| fs::write(&path, value));
        written.unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

/// A route's destination, and after their words what it has of these.
fn with_words(route: &Value, keys: &[(&str, &str)]) -> String {
    let mut printed = route["dst"].as_str().unwrap().to_owned();
    for (key, word) in keys {
        match &route[key] {
            Value::String(text) => printed = format!("{printed} {word} {text}"),
            // What the kernel gives those of IPv6 that ask for none.
            Value::Number(number) if number.as_u64() != Some(1024) => {
                printed = format!("{printed} {word} {number}");
            }
            _ => {}
        }
    }
    printed
}
