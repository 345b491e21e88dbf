//! A node, with all that it holds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::SystemTime;

use allocator::{DEFAULT_DATA_DIR, Owner, RangeSets, Record, StoreKind};
use cni_types::NetworkName;
use cni_types::json::Object;
use conflist::NetworkList;
use firewall::{Inventory, Nftables};
use state::BootId;
use twill_flannel::inspect;

use crate::lists::read_lists;
use crate::{
    CachedAttachment, ContainerNamespaces, KeptConfs, Lease, LeaseFile, ListFile, Network,
    NetworkStore, NodeLinks, Part, Paths, Pod, Problem, Sightings, Stores, conf_of, plugin_of,
    with_conf,
};

/// The plugin whose delegate creates the interface.
const FLANNEL: &str = "flannel";

/// The IPAM plugin whose addresses are read.
const HOST_LOCAL: &str = "host-local";

/// Everything that a node holds, each part as far as it can be read.
#[derive(Clone, Debug)]
pub struct Node {
    /// The files and directories that were read.
    pub paths: Paths,
    /// The time of reading.
    pub now: SystemTime,
    /// The running boot, if the kernel reports it.
    pub boot: Option<BootId>,
    /// The network configurations, in the order in which a runtime looks at them.
    pub lists: Vec<ListFile>,
    /// flanneld's lease: that which the configuration in use names, or the usual one.
    pub lease_file: Part<LeaseFile>,
    /// The records of host-local, one entry per `dataDir`.
    pub stores: Vec<Stores>,
    /// The configurations that flannel keeps, one entry per directory.
    pub kept: Vec<KeptConfs>,
    /// The attachments in the runtime's cache.
    pub cached: Part<Vec<CachedAttachment>>,
    /// The node's links.
    pub links: Part<NodeLinks>,
    /// The namespaces of containers.
    pub namespaces: Part<ContainerNamespaces>,
    /// The links of containers, indexed by address and by alias.
    pub sightings: Sightings,
    /// The entries of Twill's tables in nftables.
    pub firewall: Part<Inventory>,
    /// The networks, in ascending order of their names.
    pub networks: Vec<Network>,
}

/// What the plugins, flanneld and the runtime have recorded, and the node's links: all that may
/// belong to a container that is dead. It is read before anybody is asked which containers live.
#[derive(Debug)]
pub struct Recorded {
    /// The records of host-local, one entry per `dataDir`.
    pub stores: Vec<Stores>,
    /// The configurations that flannel keeps, one entry per directory.
    pub kept: Vec<KeptConfs>,
    /// The node's links.
    pub links: Part<NodeLinks>,
    paths: Paths,
    now: SystemTime,
    boot: Option<BootId>,
    lists: Vec<ListFile>,
    lease_file: Part<LeaseFile>,
    cached: Part<Vec<CachedAttachment>>,
    plans: BTreeMap<NetworkName, Plan>,
}

impl Recorded {
    /// Reads the files at these paths, and the links that the calling thread sees.
    pub fn read(paths: &Paths) -> Self {
        Self::with_cached(paths, || crate::cached::read_cached(&paths.cache_dirs))
    }

    /// As [`Recorded::read`], without what the runtime has recorded.
    pub fn of_plugins(paths: &Paths) -> Self {
        Self::with_cached(paths, || Ok(Vec::new()))
    }

    fn with_cached(
        paths: &Paths,
        read_cached: impl FnOnce() -> Part<Vec<CachedAttachment>>,
    ) -> Self {
        let now = SystemTime::now();
        let boot = BootId::read();
        let lists = read_lists(&paths.conf_dirs);
        let usable: Vec<_> = usable(&lists).collect();
        let flannel = usable.iter().find_map(|(_, list)| flannel_conf(list));
        let subnet_file = flannel.and_then(|conf| with_conf(&conf, inspect::subnet_file).ok());
        let subnet_file = or_set(subnet_file, inspect::DEFAULT_SUBNET_FILE, &paths.lease_file);
        let lease_file = LeaseFile::read(&subnet_file);

        let mut flannel_dirs: BTreeSet<PathBuf> = [paths.flannel_dir.clone()].into();
        flannel_dirs.extend(usable.iter().filter_map(|(_, list)| {
            let dir = with_conf(&flannel_conf(list)?, inspect::data_dir).ok();
            Some(or_set(dir, inspect::DEFAULT_DATA_DIR, &paths.flannel_dir))
        }));
        let kept: Vec<_> = flannel_dirs
            .iter()
            .map(|dir| KeptConfs::read(dir))
            .collect();

        let mut plans: BTreeMap<NetworkName, Plan> = BTreeMap::new();
        for (path, list) in &usable {
            let plan = Plan::of_list(path, list, &lease_file, paths);
            plans.entry(list.name.clone()).or_insert(plan);
        }
        for kept in kept.iter().flat_map(KeptConfs::iter) {
            if let Some(network) = &kept.network {
                let plan = plans
                    .entry(network.clone())
                    .or_insert_with(|| Plan::none(paths));
                plan.or_kept(&kept.conf, paths);
            }
        }

        let mut data_dirs: BTreeSet<PathBuf> = [paths.data_dir.clone()].into();
        data_dirs.extend(plans.values().map(|plan| plan.data_dir.clone()));
        // The leases before the links: see the crate's documentation.
        let stores: Vec<_> = data_dirs
            .iter()
            .map(|dir| Stores::read(dir, boot))
            .collect();
        Self {
            stores,
            kept,
            cached: read_cached(),
            links: NodeLinks::of_node(),
            paths: paths.clone(),
            now,
            boot,
            lease_file,
            lists,
            plans,
        }
    }

    /// The node: what is recorded, with the namespaces and the rules as they are now.
    pub fn into_node(self) -> Node {
        let Self {
            stores,
            kept,
            links,
            paths,
            now,
            boot,
            lists,
            lease_file,
            cached,
            mut plans,
        } = self;
        let namespaces = ContainerNamespaces::read(&paths);
        let sightings = Sightings::of(&links, &namespaces);
        let firewall = Nftables::open().and_then(|mut nftables| nftables.inventory());
        let firewall = firewall.map_err(Problem::of);

        let pods = Pods::of(cached.as_ref().map_or(&[], Vec::as_slice));
        let mut leases: BTreeMap<NetworkName, Vec<Lease>> = BTreeMap::new();
        for store in &stores {
            for network in store.networks() {
                let plan = plans.entry(network.network.clone());
                let plan = plan.or_insert_with(|| Plan {
                    data_dir: store.data_dir.clone(),
                    ..Plan::none(&paths)
                });
                // Two directories may have a network of the same name; that of its configuration
                // counts.
                if plan.data_dir == store.data_dir {
                    let all = leases.entry(network.network.clone()).or_default();
                    all.extend(leases_of(network, &sightings, &pods));
                }
            }
        }
        let networks = plans.into_iter().map(|(name, plan)| {
            let mut leases = leases.remove(&name).unwrap_or_default();
            leases.sort_unstable_by_key(|lease| lease.address);
            let mut own = stores.iter().filter(|it| it.data_dir == plan.data_dir);
            Network {
                is_read: own.all(|store| store.has_read(&name)),
                list: plan.list,
                conf: plan.conf,
                data_dir: plan.data_dir,
                backend: plan.backend,
                leases,
                ranges: plan.ranges,
                name,
            }
        });
        Node {
            networks: networks.collect(),
            paths,
            now,
            boot,
            lease_file,
            stores,
            kept,
            cached,
            links,
            namespaces,
            sightings,
            firewall,
            lists,
        }
    }
}

impl Node {
    /// Reads a node: the files at these paths, and the kernel as the calling thread sees it.
    pub fn read(paths: &Paths) -> Self {
        Recorded::read(paths).into_node()
    }

    /// The configuration in use: the first that a runtime can use.
    pub fn list_in_use(&self) -> Option<(&Path, &NetworkList)> {
        usable(&self.lists).next()
    }

    /// A network by its name.
    pub fn network(&self, name: &str) -> Option<&Network> {
        self.networks
            .iter()
            .find(|network| network.name.as_str() == name)
    }

    /// Why parts of the node could not be read.
    pub fn problems(&self) -> Vec<&Problem> {
        let mut problems: Vec<&Problem> = Vec::new();
        problems.extend(
            self.lists
                .iter()
                .filter_map(|file| file.list.as_ref().err()),
        );
        problems.extend(self.stores.iter().flat_map(Stores::problems));
        problems.extend(
            self.kept
                .iter()
                .filter_map(|kept| kept.files.as_ref().err()),
        );
        problems.extend(self.cached.as_ref().err());
        problems.extend(self.links.as_ref().err());
        problems.extend(self.namespaces.as_ref().err());
        problems.extend(
            self.namespaces
                .iter()
                .flat_map(ContainerNamespaces::problems),
        );
        problems.extend(self.firewall.as_ref().err());
        for network in &self.networks {
            problems.extend(network.conf.as_ref().err());
            problems.extend(network.ranges.as_ref().err());
        }
        problems
    }
}

/// The parts of a network's configurations that matter for reading it.
#[derive(Debug)]
struct Plan {
    list: Option<PathBuf>,
    conf: Part<Option<Object>>,
    data_dir: PathBuf,
    backend: Option<StoreKind>,
    ranges: Part<Option<RangeSets>>,
}

impl Plan {
    fn none(paths: &Paths) -> Self {
        Self {
            list: None,
            conf: Ok(None),
            data_dir: paths.data_dir.clone(),
            backend: None,
            ranges: Ok(None),
        }
    }

    fn of_list(
        path: &Path,
        list: &NetworkList,
        lease_file: &Part<LeaseFile>,
        paths: &Paths,
    ) -> Self {
        let mut plan = Self {
            list: Some(path.to_owned()),
            ..Self::none(paths)
        };
        let conf = match (flannel_conf(list), list.plugins.first()) {
            (Some(flannel), _) => {
                let file = with_conf(&flannel, inspect::subnet_file).ok();
                let file = or_set(file, inspect::DEFAULT_SUBNET_FILE, &paths.lease_file);
                let same = lease_file.as_ref().ok().filter(|lease| lease.path == file);
                let other = same.is_none().then(|| LeaseFile::read(&file)).transpose();
                other.and_then(|other| {
                    let Some(lease) = same.or(other.as_ref()) else {
                        return Ok(None);
                    };
                    let conf = with_conf(&flannel, |conf| inspect::render(conf, &lease.lease));
                    conf.map(Some)
                })
            }
            (None, first) => first.map(|plugin| conf_of(list, plugin)).transpose(),
        };
        // Without a lease there is no configuration, which the lease itself reports.
        plan.conf = conf.or(Ok(None));
        plan.take_ranges(paths);
        plan
    }

    /// Takes a configuration that was kept, unless there is one already.
    fn or_kept(&mut self, conf: &Object, paths: &Paths) {
        if matches!(self.conf, Ok(None)) {
            self.conf = Ok(Some(conf.clone()));
            self.take_ranges(paths);
        }
    }

    fn take_ranges(&mut self, paths: &Paths) {
        let Ok(Some(conf)) = &self.conf else { return };
        let ipam: Option<Object> = conf.decode("ipam").ok().flatten();
        let ipam_type: Option<String> = ipam.and_then(|ipam| ipam.decode("type").ok().flatten());
        if ipam_type.as_deref() != Some(HOST_LOCAL) {
            return;
        }
        match with_conf(conf, twill_host_local::ranges) {
            Ok((location, sets)) => {
                self.backend = Some(location.backend);
                self.data_dir = or_set(Some(location.data_dir), DEFAULT_DATA_DIR, &paths.data_dir);
                self.ranges = Ok(Some(sets));
            }
            Err(problem) => {
                let network = conf.decode::<String>("name").ok().flatten();
                let network = network.unwrap_or_default();
                self.ranges = Err(Problem::of(format_args!("network {network}: {problem}")));
            }
        }
    }
}

/// The lists that a runtime can use, with their files.
fn usable(lists: &[ListFile]) -> impl Iterator<Item = (&Path, &NetworkList)> {
    let files = lists.iter();
    files.filter_map(|file| Some((file.path.as_path(), file.list.as_ref().ok()?)))
}

/// flannel's configuration in a list, as flannel gets it.
fn flannel_conf(list: &NetworkList) -> Option<Object> {
    conf_of(list, plugin_of(list, FLANNEL)?).ok()
}

/// The path of a configuration; that of the node where the configuration names none.
fn or_set(path: Option<PathBuf>, default: &str, set: &Path) -> PathBuf {
    match path {
        Some(path) if path != Path::new(default) => path,
        _ => set.to_owned(),
    }
}

/// Pods by their attachments.
struct Pods<'a>(HashMap<(&'a str, &'a str), &'a CachedAttachment>);

impl<'a> Pods<'a> {
    fn of(cached: &'a [CachedAttachment]) -> Self {
        let entries = cached.iter().map(|it| {
            let key = (it.network.as_str(), it.attachment.container_id.as_str());
            (key, it)
        });
        Self(entries.collect())
    }

    fn pod_of(&self, network: &NetworkName, owner: &Owner) -> Option<Rc<Pod>> {
        let key = (network.as_str(), owner.container_id.as_str());
        self.0.get(&key)?.pod.clone()
    }
}

fn leases_of<'a>(
    store: &'a NetworkStore,
    sightings: &'a Sightings,
    pods: &'a Pods<'_>,
) -> impl Iterator<Item = Lease> + use<'a> {
    let records = store.records.iter().flat_map(|records| &records.records);
    let lease = move |record: &Record| {
        let owner = record.owner.as_ref().ok();
        let judge = |owner| sightings.judge(&store.network, owner, record.address, record.age);
        Lease {
            address: record.address,
            store: store.kind,
            age: record.age,
            since: record.since,
            life: owner.map(judge),
            pod: owner.and_then(|owner| pods.pod_of(&store.network, owner)),
            owner: record.owner.clone(),
        }
    };
    records.map(lease)
}
