//! A complete plugin for the end of a chain: it sets kernel parameters in the container's network
//! namespace, and passes on the result of the plugins before it.
//!
//! ```json
//! { "type": "sysctl", "sysctl": { "net.ipv4.conf.eth0.arp_announce": "2" } }
//! ```
//!
//! ADD writes the values, and CHECK compares them. DEL has nothing to do, because the parameters
//! disappear with the namespace. To try the plugin, as root:
//!
//! ```console
//! # cargo build -p cni-plugin --example sysctl
//! # ip netns add demo
//! # export CNI_CONTAINERID=c1 CNI_IFNAME=eth0 CNI_NETNS=/run/netns/demo CNI_PATH=/opt/cni/bin
//! # echo '{ "cniVersion": "1.0.0", "name": "n", "sysctl": { "net.ipv4.ip_forward": "1" },
//!     "prevResult": {} }' | CNI_COMMAND=ADD target/debug/examples/sysctl
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use cni_plugin::{Call, ContainerNetns, Plugin};
use cni_types::{Attachment, Code, Error, NetConf};

fn main() -> ExitCode {
    cni_plugin::main(&Sysctl)
}

/// The plugin. A plugin keeps nothing between two calls, so its type is usually empty.
#[derive(Debug)]
struct Sysctl;

impl Plugin for Sysctl {
    fn name(&self) -> &'static str {
        "sysctl"
    }

    fn add(
        &self,
        call: &Call<'_>,
        _attachment: &Attachment,
        netns: &ContainerNetns,
    ) -> Result<String, Error> {
        // Whatever can be refused is refused before the first change.
        let parameters = parameters(call.conf)?;
        let result = call.conf.passed_on_prev_result()?.ok_or_else(|| {
            invalid("prevResult is missing: the plugin must come after the one that creates the interface")
        })?;
        let (netns, home) = netns.open_pair()?;
        netns.enter(&home, || {
            parameters.iter().try_for_each(|parameter| {
                call.log.debug(format_args!("set {}", parameter.key));
                parameter.write()
            })
        })?;
        Ok(result)
    }

    fn del(
        &self,
        _call: &Call<'_>,
        _attachment: &Attachment,
        _netns: Option<&ContainerNetns>,
    ) -> Result<(), Error> {
        Ok(())
    }

    fn check(
        &self,
        call: &Call<'_>,
        _attachment: &Attachment,
        netns: &ContainerNetns,
    ) -> Result<(), Error> {
        let parameters = parameters(call.conf)?;
        let (netns, home) = netns.open_pair()?;
        netns.enter(&home, || parameters.iter().try_for_each(Parameter::compare))
    }
}

/// A valid parameter and its value.
struct Parameter {
    key: String,
    value: String,
    file: PathBuf,
}

/// Decodes and validates the key `sysctl`: an object from parameters to values.
fn parameters(conf: &NetConf<'_>) -> Result<Vec<Parameter>, Error> {
    let raw: Option<BTreeMap<String, String>> = conf.value("sysctl")?;
    let parameters = raw.into_iter().flatten();
    parameters
        .map(|(key, value)| Parameter::new(key, value))
        .collect()
}

impl Parameter {
    /// Validates a parameter: `net.core.somaxconn`, or `net/ipv4/conf/eth0.5/arp_announce` where a
    /// part of the name has a dot in it. Only parameters below `net` belong to a network namespace.
    fn new(key: String, value: String) -> Result<Self, Error> {
        let separator = if key.contains('/') { '/' } else { '.' };
        let parts: Vec<&str> = key.split(separator).collect();
        let is_path = !parts.iter().any(|part| matches!(*part, "" | "." | ".."));
        if !matches!(*parts, ["net", _, ..]) || !is_path {
            return Err(invalid(format!(
                "sysctl: {key:?} is no parameter of a network namespace, such as \
                    net.ipv4.ip_forward"
            )));
        }
        let file = PathBuf::from("/proc/sys").join(parts.join("/"));
        Ok(Self { key, value, file })
    }

    /// Sets the parameter in the namespace that the thread is in.
    fn write(&self) -> Result<(), Error> {
        fs::write(&self.file, &self.value).map_err(|error| self.failed("write", &error))
    }

    /// Compares the parameter in the namespace that the thread is in.
    fn compare(&self) -> Result<(), Error> {
        let found = fs::read_to_string(&self.file).map_err(|error| self.failed("read", &error))?;
        let (found, expected) = (found.trim(), self.value.trim());
        if found == expected {
            return Ok(());
        }
        Err(Error::new(
            Code::CHECK_FAILED,
            format!("sysctl: {} is {found:?} instead of {expected:?}", self.key),
        ))
    }

    fn failed(&self, action: &str, error: &std::io::Error) -> Error {
        let file = self.file.display();
        Error::new(
            Code::IO_FAILURE,
            format!("sysctl: cannot {action} {file}: {error}"),
        )
    }
}

fn invalid(msg: impl std::fmt::Display) -> Error {
    Error::new(Code::INVALID_NETWORK_CONFIG, msg)
}

#[cfg(test)]
mod tests {
    use cni_plugin::{Reply, Request, dispatch};
    use testkit::NetNs;
    use testkit::requirements::require_root;

    use super::*;

    fn call(command: &str, netns: &str, sysctl: &str) -> Reply {
        let conf = format!(
            r#"{{"cniVersion":"1.0.0","name":"n","sysctl":{sysctl},"prevResult":{{"ips":[]}}}}"#
        );
        let environment = [
            ("CNI_COMMAND", command),
            ("CNI_CONTAINERID", "c1"),
            ("CNI_IFNAME", "eth0"),
            ("CNI_NETNS", netns),
            ("CNI_PATH", "/opt/cni/bin"),
        ];
        dispatch(
            &Sysctl,
            &Request {
                environment: environment.into_iter().collect(),
                stdin: conf.into_bytes(),
            },
        )
    }

    #[test]
    fn add_sets_a_parameter_and_check_compares_it() {
        if !require_root() {
            return;
        }
        let container = NetNs::new().unwrap();
        let netns = container.path().display().to_string();
        let set = r#"{"net.ipv4.ip_forward":"1"}"#;
        let added = call("ADD", &netns, set);
        assert!(!added.failed, "{added:?}");
        assert_eq!(added.stdout, "{\"ips\":[],\"cniVersion\":\"1.0.0\"}\n");
        let read = || fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap();
        assert_eq!(container.enter(read), "1\n");
        assert_eq!(call("CHECK", &netns, set), Reply::default());
        let other = call("CHECK", &netns, r#"{"net.ipv4.ip_forward":"0"}"#);
        assert_eq!(
            other.stdout,
            "{\"cniVersion\":\"1.0.0\",\"code\":120,\"msg\":\"sysctl: net.ipv4.ip_forward is \
                \\\"1\\\" instead of \\\"0\\\"\"}\n"
        );
        assert_eq!(call("DEL", &netns, set), Reply::default());
    }

    #[test]
    fn a_parameter_outside_of_net_is_refused() {
        for key in ["kernel.hostname", "net/../kernel/hostname", "net", ""] {
            let reply = call("ADD", "/none", &format!(r#"{{"{key}":"x"}}"#));
            let error =
                format!("{{\"cniVersion\":\"1.0.0\",\"code\":7,\"msg\":\"sysctl: \\\"{key}\\\" is");
            assert!(reply.stdout.starts_with(&error), "{}", reply.stdout);
        }
    }
}
