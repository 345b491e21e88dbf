//! ADD.

use cni_plugin::{Call, Command, ContainerNetns};
use cni_types::{AddResult, Attachment, Error, Interface, IpConfig, Version};
use netlink::{Change, Child, Link, MacvlanMode, NewLink, Rtnetlink};

use super::conf::{Addresses, ChildConf};
use super::error::CreateError;
use super::{kind_name, master};
use crate::{
    ContainerLink, DuplicateDetection, Ipam, IpamCall, IpamError, KernelError, Mark, Sandbox, Undo,
    configure,
};

/// Makes the link inside the container, with addresses and routes, and returns the result in the
/// configuration's version.
///
/// # Errors
/// All that may go wrong; then everything is as it was.
pub fn add(
    call: &Call<'_>,
    attachment: &Attachment,
    netns: &ContainerNetns,
    conf: &ChildConf,
) -> Result<String, Error> {
    let sandbox_name = netns.sandbox()?;
    let (sandbox, mut inside) = Sandbox::open(netns)?;
    let mut outside = Rtnetlink::open().map_err(KernelError::from)?;
    let ipam = match &conf.addresses {
        Addresses::Ipam(plugin_type) => Some(Ipam::find(call, plugin_type.clone())?),
        Addresses::None | Addresses::Given(_) => None,
    };
    let master = if conf.link_in_container {
        master::find(conf, &mut inside)?
    } else {
        master::find(conf, &mut outside)?
    };
    master::fits(conf, &master)?;
    // It takes the kernel as long to start a program as to make the link.
    let started = ipam.as_ref().map(|ipam| ipam.start(Command::Add));
    let started = started.transpose()?;

    let mark = Mark::new(&call.conf.name, attachment);
    let mut undo = Undo::new(call.log);
    let blueprint = Blueprint {
        attachment,
        conf,
        master: &master,
        mark: &mark,
    };
    let link = blueprint.create(&sandbox, &mut outside, &mut inside)?;
    let (index, in_sandbox) = (link.index, &sandbox);
    undo.push("remove the link", move || {
        in_sandbox.remove_link(index).map_err(Error::from)
    });
    call.log.debug(format_args!(
        "{} {} made on {}",
        kind_name(conf.child),
        link.name,
        master.name
    ));

    let given = ask(started, &conf.addresses, &mut undo)?;
    if let Some(given) = &given {
        // An address can be used at once: nothing in the configuration asks for the kernel to look
        // for duplicates.
        let detection = DuplicateDetection::Off;
        let link = ContainerLink {
            index: link.index,
            name: &link.name,
            mtu: link.mtu,
            mac: link.mac,
            alias: Some(mark.alias()),
            can_announce: has_own_mac(conf.child),
        };
        configure(&sandbox, &mut inside, link, given, detection, &mut undo)?;
        call.log.debug(format_args!(
            "{} addresses and {} routes given",
            given.ips.len(),
            given.routes.len()
        ));
    }
    let version = call.conf.version;
    let result = finish(
        given.unwrap_or_default(),
        &link,
        sandbox_name,
        version,
        conf,
    );
    let encoded = result.encode(version)?;
    undo.commit();
    Ok(encoded)
}

/// Whether a link has an Ethernet address that its neighbours do not know yet.
fn has_own_mac(child: Child) -> bool {
    !matches!(
        child,
        Child::Ipvlan(_) | Child::Macvlan(MacvlanMode::Passthru)
    )
}

/// The addresses and routes, from wherever they come.
fn ask<'a>(
    started: Option<IpamCall<'a>>,
    addresses: &Addresses,
    undo: &mut Undo<'a>,
) -> Result<Option<AddResult>, IpamError> {
    match (started, addresses) {
        (Some(started), _) => Ok(Some(started.ask_for_addresses(undo)?)),
        (None, Addresses::Given(given)) => Ok(Some(AddResult::clone(given))),
        (None, Addresses::None | Addresses::Ipam(_)) => Ok(None),
    }
}

/// What IPAM or the chain gave, as this link's own.
fn finish(
    given: AddResult,
    link: &Link,
    sandbox: &str,
    version: Version,
    conf: &ChildConf,
) -> AddResult {
    let interface = Interface {
        name: link.name.clone(),
        mac: link.mac.map(|mac| mac.to_string()),
        mtu: (version >= Version::V1_1_0).then_some(link.mtu),
        sandbox: Some(sandbox.to_owned()),
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
        dns: conf.dns.clone().or(given.dns),
    }
}

/// The link that is wanted.
struct Blueprint<'a> {
    attachment: &'a Attachment,
    conf: &'a ChildConf,
    master: &'a Link,
    mark: &'a Mark,
}

impl Blueprint<'_> {
    fn create(
        &self,
        sandbox: &Sandbox,
        outside: &mut Rtnetlink,
        inside: &mut Rtnetlink,
    ) -> Result<Link, CreateError> {
        let (conf, parent) = (self.conf, self.master.index);
        let new = NewLink {
            mtu: conf.mtu,
            mac: conf.mac,
            // With addresses it is set up after it got them, so that it tells its neighbours.
            is_up: conf.addresses == Addresses::None,
            ..NewLink::named(self.attachment.ifname.as_str())
        };
        // With addresses it gets it when it is set up.
        let alias = new.is_up.then(|| self.mark.alias());
        let created = if conf.link_in_container {
            let change = Change::create_child(&new, conf.child, parent, None);
            inside.create(change, new.name)
        } else {
            let netns = sandbox.netns();
            outside.create_child_in(&new, conf.child, parent, alias, netns, inside)
        };
        created.map_err(|error| {
            CreateError::new(
                error,
                conf.child,
                &self.master.name,
                &self.attachment.ifname,
                sandbox.netns().path(),
            )
        })
    }
}
