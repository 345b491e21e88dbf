//! A node that is well, on which a test seeds a fault.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use serde_json::Value;
use testkit::Container;

use crate::support;
use crate::support::{Inhabitant, Kind, Stage, container};

pub(crate) const DISK: Kind = Kind {
    flannel: true,
    backend: "disk",
};

pub(crate) const DB: Kind = Kind {
    flannel: true,
    backend: "db",
};

/// A node with one container that runs.
pub(crate) struct Ward {
    pub(crate) stage: Stage,
    pub(crate) one: Container,
    _inhabitant: Inhabitant,
}

impl Ward {
    /// A node without faults; `None` if the machine lacks what a test needs.
    pub(crate) fn new(kind: Kind, net: &str) -> Option<Self> {
        let ward = Self::on(Stage::new(kind, net)?);
        let text = ward.run(&["doctor"]).text(0);
        assert_eq!(text, "nothing is wrong\n");
        Some(ward)
    }

    /// Adds the container.
    pub(crate) fn on(stage: Stage) -> Self {
        let one = container("c1");
        stage.add(&one);
        Self {
            _inhabitant: Inhabitant::of(&one),
            stage,
            one,
        }
    }

    pub(crate) fn run(&self, words: &[&str]) -> support::Printed {
        let bin = self.stage.bin();
        let options = ["--older-than", "0s", "--path", bin.to_str().unwrap()];
        self.stage.twill(&[words, &options].concat())
    }

    /// The kinds of the faults that are found, with their subjects.
    pub(crate) fn faults(&self) -> Vec<(String, String)> {
        let printed = self.run(&["doctor", "--json"]).any();
        let faults: Value = serde_json::from_str(&printed).unwrap();
        let text = |fault: &Value, key: &str| fault[key].as_str().unwrap().to_owned();
        let faults = faults.as_array().unwrap().iter();
        faults
            .map(|fault| {
                for key in ["evidence", "effect", "command"] {
                    assert!(!text(fault, key).is_empty(), "{fault}");
                }
                (text(fault, "kind"), text(fault, "subject"))
            })
            .collect()
    }

    /// Asserts that this fault and no other is found, that a look changes nothing, and that it is
    /// found no more once it is mended.
    #[track_caller]
    pub(crate) fn mend(&self, kind: &str, subject: &str) {
        let expected = vec![(kind.to_owned(), subject.to_owned())];
        assert_eq!(self.faults(), expected);
        let text = self.run(&["repair"]).text(1);
        assert!(
            text.starts_with(&format!("{kind}: {subject}: would ")),
            "{text}"
        );
        assert!(
            text.ends_with("\nnothing was changed: add --apply\n"),
            "{text}"
        );
        assert_eq!(self.faults(), expected);
        let text = self.run(&["repair", kind, "--apply"]).text(0);
        assert!(text.starts_with(&format!("{kind}: {subject}: ")), "{text}");
        assert_eq!(self.faults(), []);
        assert_eq!(self.run(&["repair", "--apply"]).text(0), "");
        self.stage.check(&self.one);
    }

    /// Asserts that this fault and no other is found, which only a person can mend.
    #[track_caller]
    pub(crate) fn find(&self, kind: &str, subject: &str) {
        assert_eq!(self.faults(), [(kind.to_owned(), subject.to_owned())]);
        let text = self.run(&["repair", "--apply"]).text(1);
        assert!(
            text.starts_with(&format!("{kind}: {subject}: only you can: ")),
            "{text}"
        );
    }

    pub(crate) fn write(&self, path: impl AsRef<Path>, text: &str) {
        self.stage.node.write(path, text);
    }

    pub(crate) fn nft(&self, commands: &str) {
        let nft = || Command::new("nft").arg(commands).status();
        assert!(self.stage.node.enter(nft).unwrap().success(), "{commands}");
    }

    pub(crate) fn network_file(&self, name: &str) -> PathBuf {
        Path::new("/var/lib/cni/networks")
            .join(self.stage.network())
            .join(name)
    }

    pub(crate) fn remove(&self, path: impl AsRef<Path>) {
        let path = path.as_ref();
        self.stage.node.enter(|| fs::remove_file(path)).unwrap();
    }
}

/// Has files below `dir` stand in for the kernel's settings, for the calling thread's mount
/// namespace.
pub(crate) fn stand_in_for_settings(dir: &Path) {
    for (name, value) in [
        ("bridge/bridge-nf-call-iptables", "1"),
        ("ipv4/ip_forward", "1"),
        ("ipv4/conf/all/rp_filter", "0"),
    ] {
        let file = dir.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, value).unwrap();
    }
    let none = None::<&str>;
    mount(Some(dir), "/proc/sys/net", none, MsFlags::MS_BIND, none).unwrap();
}
