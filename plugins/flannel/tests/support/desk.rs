//! A directory with a lease and a scripted delegate, and calls of flannel that use both.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Invocation, ScriptedDelegate, binaries};

pub(crate) const SUBNET_ENV: &str = "\
FLANNEL_NETWORK=10.244.0.0/16
FLANNEL_SUBNET=10.244.1.1/24
FLANNEL_MTU=1450
FLANNEL_IPMASQ=true
";

/// The state of one test, which is removed with the value.
pub(crate) struct Desk {
    directory: TempDir,
    pub(crate) delegate: ScriptedDelegate,
}

/// Files and directories: modes and contents by path, directories without contents.
pub(crate) type Listing = BTreeMap<PathBuf, (u32, Option<Vec<u8>>)>;

impl Desk {
    /// The delegate has the type `bridge`.
    pub(crate) fn new() -> Self {
        let desk = Self {
            directory: TempDir::with_prefix("twill-flannel-").unwrap(),
            delegate: ScriptedDelegate::new("bridge"),
        };
        fs::write(desk.subnet_file(), SUBNET_ENV).unwrap();
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn subnet_file(&self) -> PathBuf {
        self.path("subnet.env")
    }

    /// The directory of the kept configurations, which the first ADD creates.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.path("kept")
    }

    /// A configuration of 1.0.0 that leaves the delegate to flannel's defaults.
    pub(crate) fn netconf(&self) -> Value {
        json!({
            "cniVersion": "1.0.0",
            "name": "cbr0",
            "type": "flannel",
            "subnetFile": self.subnet_file(),
            "dataDir": self.data_dir(),
        })
    }

    /// A call for `eth0` of the container `c1`.
    #[track_caller]
    pub(crate) fn call(&self, command: &str) -> Invocation {
        Invocation::attach(binaries::plugin("flannel"), command, "c1")
            .path(self.delegate.dir())
            .config(&self.netconf())
    }

    /// The whole contents of the directory.
    pub(crate) fn listing(&self) -> Listing {
        let mut listing = Listing::new();
        list(self.directory.path(), &mut listing);
        listing
    }

    /// The kept configurations, by their paths below the data directory.
    pub(crate) fn kept(&self) -> BTreeMap<String, String> {
        let mut listing = Listing::new();
        if self.data_dir().exists() {
            list(&self.data_dir(), &mut listing);
        }
        let files = listing.into_iter().filter_map(|(path, (_, contents))| {
            let path = path.strip_prefix(self.data_dir()).unwrap();
            Some((
                path.to_str().unwrap().to_owned(),
                String::from_utf8(contents?).unwrap(),
            ))
        });
        files.collect()
    }
}

fn list(directory: &Path, listing: &mut Listing) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        let contents = metadata.is_file().then(|| fs::read(&path).unwrap());
        if metadata.is_dir() {
            list(&path, listing);
        }
        listing.insert(path, (metadata.mode(), contents));
    }
}
