//! ADD: the sub-interface is created in the container while the IPAM plugin starts; then it gets
//! its addresses and routes.

use cni_plugin::{Call, Command, ContainerNetns};
use cni_types::{AddResult, Attachment, Error, Interface, IpConfig, Version};
use container_link::{
    ContainerLink, DuplicateDetection, InContainer, Ipam, IpamCall, IpamError, LinkAlias, Rollback,
    Sandbox, UndoInContainer, Undone, configure, wait_for_ipv6,
};
use netlink::{Link, MacvlanMode, NewLink, NewSubInterface, Rtnetlink, SubInterface};

use crate::config::{Addresses, Config};
use crate::error::CreateError;
use crate::master;

/// Creates the link in the container, with addresses and routes, and returns the result in the
/// configuration's version. An ADD that fails is rolled back.
pub(crate) fn add(
    call: &Call<'_>,
    attachment: &Attachment,
    netns: &ContainerNetns,
    config: &Config,
) -> Result<String, Error> {
    let sandbox_name = netns.sandbox()?;
    let (sandbox, mut inside) = Sandbox::open(netns)?;
    let mut outside = Rtnetlink::open()?;
    let ipam = match &config.addresses {
        Addresses::Ipam(plugin_type) => Some(Ipam::find(call, plugin_type.clone())?),
        Addresses::None | Addresses::Given(_) => None,
    };
    let master = if config.link_in_container {
        master::find(config, &mut inside)?
    } else {
        master::find(config, &mut outside)?
    };
    master::fits(config, &master)?;
    // The plugin's process starts while the kernel creates the link.
    let started = ipam.as_ref().map(|ipam| ipam.start(Command::Add));
    let started = started.transpose()?;

    let alias = LinkAlias::new(&call.conf.name, attachment);
    let blueprint = Blueprint {
        attachment,
        config,
        master: &master,
        alias: &alias,
    };
    let link = blueprint.create(&sandbox, &mut outside, &mut inside)?;
    let mut rollback = Rollback::default();
    rollback.record(UndoInContainer::RemoveLink { link: link.index });
    call.log.debug(format_args!(
        "{} {} made on {}",
        config.kind.kind_name(),
        link.name,
        master.name
    ));
    let created = Created {
        call,
        config,
        sandbox: &sandbox,
        sandbox_name,
        alias: &alias,
        link: &link,
    };
    let outcome = created.finish(started, &mut inside, &mut rollback);
    if outcome.is_err() {
        let mut container = InContainer {
            sandbox: &sandbox,
            inside: &mut inside,
            ipam: ipam.as_ref(),
        };
        rollback.carry_out(call.log, |step| {
            container.carry_out(step).map(|()| Undone::Yes)
        });
    }
    outcome
}

/// An ADD whose link has been created.
struct Created<'a> {
    call: &'a Call<'a>,
    config: &'a Config,
    sandbox: &'a Sandbox,
    /// The container's namespace, for the result.
    sandbox_name: &'a str,
    alias: &'a LinkAlias,
    link: &'a Link,
}

impl Created<'_> {
    /// Gives the link its addresses and routes, and returns the result.
    fn finish(
        &self,
        ipam: Option<IpamCall<'_>>,
        inside: &mut Rtnetlink,
        rollback: &mut Rollback<UndoInContainer>,
    ) -> Result<String, Error> {
        let given = ask(ipam, &self.config.addresses, rollback)?;
        if let Some(given) = &given {
            // These plugins have no key for duplicate address detection.
            let detection = DuplicateDetection::Off;
            let link = ContainerLink {
                index: self.link.index,
                name: &self.link.name,
                mtu: self.link.mtu,
                mac: self.link.mac,
                alias: Some(self.alias.as_str()),
                can_announce: has_own_mac(self.config.kind),
            };
            let log = self.call.log;
            configure(self.sandbox, inside, link, given, detection, log, rollback)?;
            log.debug(format_args!(
                "{} addresses and {} routes given",
                given.ips.len(),
                given.routes.len()
            ));
        }
        let version = self.call.conf.version;
        let result = self.result(given.unwrap_or_default(), version);
        let encoded = result.encode(version)?;
        wait_for_ipv6(inside, result.addresses(), self.call.log);
        Ok(encoded)
    }

    /// The result: the addresses from IPAM or the chain, assigned to the link.
    fn result(&self, given: AddResult, version: Version) -> AddResult {
        let link = self.link;
        let interface = Interface {
            name: link.name.clone(),
            mac: link.mac.map(|mac| mac.to_string()),
            mtu: (version >= Version::V1_1_0).then_some(link.mtu),
            sandbox: Some(self.sandbox_name.to_owned()),
            ..Interface::default()
        };
        let own = |ip: IpConfig| IpConfig {
            interface: Some(0),
            ..ip
        };
        AddResult {
            interfaces: vec![interface],
            ips: given.ips.into_iter().map(own).collect(),
            routes: given.routes,
            dns: self.config.dns.clone().or(given.dns),
        }
    }
}

/// Whether a link has a MAC of its own, which its neighbours do not know yet.
fn has_own_mac(kind: SubInterface) -> bool {
    !matches!(
        kind,
        SubInterface::Ipvlan(_) | SubInterface::Macvlan(MacvlanMode::Passthru)
    )
}

/// The addresses and routes, from IPAM or from the chain.
fn ask(
    started: Option<IpamCall<'_>>,
    addresses: &Addresses,
    rollback: &mut Rollback<UndoInContainer>,
) -> Result<Option<AddResult>, IpamError> {
    match (started, addresses) {
        (Some(started), _) => Ok(Some(started.ask_for_addresses(rollback)?)),
        (None, Addresses::Given(given)) => Ok(Some(AddResult::clone(given))),
        (None, Addresses::None | Addresses::Ipam(_)) => Ok(None),
    }
}

/// The properties of the link to create.
struct Blueprint<'a> {
    attachment: &'a Attachment,
    config: &'a Config,
    master: &'a Link,
    alias: &'a LinkAlias,
}

impl Blueprint<'_> {
    fn create(
        &self,
        sandbox: &Sandbox,
        outside: &mut Rtnetlink,
        inside: &mut Rtnetlink,
    ) -> Result<Link, CreateError> {
        let config = self.config;
        let link = NewLink {
            mtu: config.mtu,
            mac: config.mac,
            // A link with addresses is set up after it gets them, so that it announces them.
            is_up: config.addresses == Addresses::None,
            ..NewLink::named(self.attachment.ifname.as_str())
        };
        // A link with addresses gets its alias when it is set up.
        let alias = link.is_up.then(|| self.alias.as_str());
        let new = NewSubInterface {
            link,
            kind: config.kind,
            parent: self.master.index,
        };
        let created = if config.link_in_container {
            inside.create_sub_interface(&new)
        } else {
            let netns = sandbox.netns();
            outside.create_sub_interface_in(&new, alias, netns, inside)
        };
        created.map_err(|error| {
            CreateError::new(
                error,
                config.kind,
                &self.master.name,
                &self.attachment.ifname,
                sandbox.netns().path(),
            )
        })
    }
}
