//! A network with an allocated address, for calls with invalid input.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Invocation, binaries};

use crate::directory::contents;

pub(crate) struct Network {
    temp: TempDir,
}

impl Network {
    /// The network `net`, in which the container `held` has 10.1.1.2.
    pub(crate) fn new() -> Self {
        let network = Self {
            temp: tempfile::tempdir().unwrap(),
        };
        network.write("data/net/10.1.1.2", "held\r\neth0");
        network.write("data/net/last_reserved_ip.0", "10.1.1.2");
        network.write("data/net/lock", "");
        network.write("outside", "c1\r\neth0");
        network
    }

    pub(crate) fn path(&self) -> &Path {
        self.temp.path()
    }

    pub(crate) fn write(&self, path: &str, contents: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    /// The network's configuration, with these keys in `ipam`.
    pub(crate) fn conf(&self, mut ipam: Value) -> Value {
        ipam["dataDir"] = self.path().join("data").to_str().unwrap().into();
        json!({ "cniVersion": "1.0.0", "name": "net", "ipam": ipam })
    }

    pub(crate) fn subnet(&self) -> Value {
        self.conf(json!({ "subnet": "10.1.1.0/24" }))
    }

    /// A call for `eth0` of the container `c1`.
    pub(crate) fn call(&self, command: &str, conf: &Value) -> Invocation {
        Invocation::attach(binaries::plugin("host-local"), command, "c1").config(conf)
    }

    /// Runs a call that must fail with this error, in the configuration's version, and change
    /// nothing. `{temp}` in the error stands for the temporary directory.
    #[track_caller]
    pub(crate) fn refuses(&self, call: &Invocation, code: u32, msg: &str) {
        self.refuses_with(
            call,
            &json!({ "cniVersion": "1.0.0", "code": code, "msg": msg }),
        );
    }

    /// As [`Network::refuses`], with the whole error object.
    #[track_caller]
    pub(crate) fn refuses_with(&self, call: &Invocation, error: &Value) {
        let temp = self.path().to_str().unwrap();
        let expected: Value =
            serde_json::from_str(&error.to_string().replace("{temp}", temp)).unwrap();
        let before = contents(self.path());
        let outcome = call.run();
        outcome.failure();
        assert_eq!(outcome.json(), expected, "\n{outcome}");
        assert_eq!(
            outcome.stdout.iter().filter(|byte| **byte == b'\n').count(),
            1,
            "{outcome}"
        );
        assert_eq!(outcome.stderr_text(), "", "{outcome}");
        assert_eq!(contents(self.path()), before, "\n{outcome}");
    }
}
