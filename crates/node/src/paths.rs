//! The files and directories from which a node is read.

use std::path::PathBuf;

/// The directories in which runtimes look for plugins: those of k3s and microk8s, where these run;
/// that of containerd and CRI-O; those of distributions.
pub const PLUGIN_DIRS: [&str; 6] = [
    "/var/lib/rancher/k3s/data/cni",
    "/var/lib/rancher/k3s/data/current/bin",
    "/var/snap/microk8s/current/opt/cni/bin",
    "/opt/cni/bin",
    "/usr/lib/cni",
    "/usr/libexec/cni",
];

/// The files and directories of a node. The defaults are those of the plugins and of the usual
/// runtimes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// flanneld's lease, for a configuration that names none.
    pub lease_file: PathBuf,
    /// The directories of the network configurations, in the order in which they are searched.
    pub conf_dirs: Vec<PathBuf>,
    /// The directories of the plugins, in the order in which they are searched.
    pub plugin_dirs: Vec<PathBuf>,
    /// host-local's directory, for a configuration that names none.
    pub data_dir: PathBuf,
    /// flannel's directory of kept configurations, for a configuration that names none.
    pub flannel_dir: PathBuf,
    /// The directories below which runtimes keep the results of ADD (libcni's caches).
    pub cache_dirs: Vec<PathBuf>,
    /// The directories of named network namespaces.
    pub netns_dirs: Vec<PathBuf>,
    /// The file system of processes.
    pub proc_dir: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        let all = |paths: &[&str]| paths.iter().map(PathBuf::from).collect();
        Self {
            lease_file: twill_flannel::inspect::DEFAULT_SUBNET_FILE.into(),
            conf_dirs: conflist::files::default_dirs(),
            plugin_dirs: all(&PLUGIN_DIRS),
            data_dir: allocator::DEFAULT_DATA_DIR.into(),
            flannel_dir: twill_flannel::inspect::DEFAULT_DATA_DIR.into(),
            cache_dirs: all(&[conflist::DEFAULT_CACHE_DIR, "/var/lib/cni/cache"]),
            netns_dirs: all(&["/run/netns", "/var/run/netns", "/run/docker/netns"]),
            proc_dir: "/proc".into(),
        }
    }
}
