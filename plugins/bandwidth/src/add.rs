//! ADD: limits ingress at the node's end of the veth pair, and egress at an ifb.

use std::fmt;

use cni_plugin::{Call, ContainerNetns, Log};
use cni_types::json::{self, Object};
use cni_types::{Attachment, Error, Interface, Version};
use container_link::{LinkAlias, Rollback, Undone, Whose};
use netlink::traffic::{Handle, TrafficChange};
use netlink::{Change, Link, LinkChange, LinkKind, NetlinkError, NewLink, Rtnetlink};
use nix::errno::Errno;
use serde_json::value::{RawValue, to_raw_value};

use crate::config::Config;
use crate::error::{BandwidthError, ConfigError};
use crate::names::{IFB, SHAPER};
use crate::plan::Plan;
use crate::{burst, check, del, node_end};

pub(crate) fn add(
    call: &Call<'_>,
    attachment: &Attachment,
    netns: &ContainerNetns,
) -> Result<String, Error> {
    let config = Config::of(call)?;
    let json = call.conf.passed_on_prev_result()?;
    let json = json.ok_or(ConfigError::NotChained)?;
    if config.is_empty() {
        return Ok(json);
    }
    let previous = call.conf.prev_result()?.ok_or(ConfigError::NotChained)?;
    let mut kernel = Rtnetlink::open().map_err(BandwidthError::from)?;
    let alias = LinkAlias::new(&call.conf.name, attachment);
    let node_end = node_end::find(attachment, netns, &previous, &alias.ifb_name(), &mut kernel)?;
    let mut attempt = Attempt {
        alias,
        log: call.log,
        kernel,
        rollback: Rollback::default(),
    };
    let result = attempt
        .limit(&config, &node_end)
        .map_err(Error::from)
        .and_then(|ifb| match ifb {
            Some(ifb) => with_interface(&json, &ifb, call.conf.version),
            None => Ok(json),
        });
    if result.is_err() {
        attempt.roll_back();
    }
    result
}

/// An ADD, and how to undo what it has changed so far.
struct Attempt<'a> {
    alias: LinkAlias,
    log: &'a Log,
    kernel: Rtnetlink,
    rollback: Rollback<Undo>,
}

/// A step of the rollback. Links and qdiscs of an earlier ADD stay.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Undo {
    /// Remove an ifb.
    RemoveIfb { link: u32 },
    /// Remove a qdisc and its children.
    RemoveQdisc {
        link: u32,
        parent: Handle,
        handle: Handle,
    },
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RemoveIfb { link } => write!(f, "remove ifb {link}"),
            Self::RemoveQdisc { link, handle, .. } => {
                write!(f, "remove qdisc {handle} of link {link}")
            }
        }
    }
}

impl Attempt<'_> {
    /// Limits both directions. Returns the ifb for egress, if there is one.
    fn limit(&mut self, config: &Config, node_end: &Link) -> Result<Option<Link>, BandwidthError> {
        let log = self.log;
        let bucket = |limit, direction| burst::bucket(limit, node_end.mtu, direction, log);
        let (mut plan, mut ifb) = (Plan::default(), None);
        if let Some(limit) = config.ingress {
            let bucket = bucket(limit, "ingress");
            plan = plan.and(Plan::ingress(node_end, bucket, &config.peers));
        }
        if let Some(limit) = config.egress {
            let bucket = bucket(limit, "egress");
            ifb = self.ifb(node_end)?;
            plan = plan.and(match &ifb {
                Some(ifb) => Plan::egress_by_ifb(node_end, ifb.index, bucket, &config.peers),
                None => Plan::egress_by_police(node_end, bucket, &config.peers),
            });
        }
        if !self.add_roots(&plan)? {
            if self.rollback == Rollback::default()
                && check::find_damage(&mut self.kernel, node_end, ifb.as_ref(), config)?.is_none()
            {
                self.log.debug(format_args!("the limits are there already"));
                return Ok(ifb);
            }
            self.replace_roots(&plan, node_end, ifb.as_ref())?;
        }
        if let Some(ifb) = &ifb {
            // It was down until now, so that adding its qdisc did not wait for packets.
            let (link, change) = (ifb.index, LinkChange::up(true));
            self.kernel.apply(&[Change::SetLink { link, change }])?;
        }
        for outcome in self.kernel.control_traffic(&plan.inner)? {
            outcome.map_err(unsupported)?;
        }
        for outcome in self.kernel.control_traffic(&plan.niceties)? {
            if let Err(error) = outcome {
                self.log.info(format_args!("done without: {error}"));
            }
        }
        self.log.debug(format_args!("{} limited", node_end.name));
        Ok(ifb)
    }

    /// Finds or creates the ifb for egress; `None` if the kernel has no ifb.
    fn ifb(&mut self, node_end: &Link) -> Result<Option<Link>, BandwidthError> {
        let name = self.alias.ifb_name();
        let new = NewLink {
            mtu: Some(node_end.mtu),
            ..NewLink::named(&name)
        };
        let alias = self.alias.as_str();
        match self.kernel.create_ifb(&new, alias) {
            Ok(ifb) => {
                self.rollback.record(Undo::RemoveIfb { link: ifb.index });
                Ok(Some(ifb))
            }
            Err(error) if error.is_unsupported() => {
                self.log.info(format_args!(
                    "{error}: what the container sends is limited by dropping what is too much"
                ));
                Ok(None)
            }
            Err(error) if error.is_exists() => {
                let found = self.kernel.link_by_name(&name)?;
                let is_own = |link: &Link| {
                    is_ifb(link) && link.name == name && self.alias.whose(link) == Whose::Own
                };
                match found.filter(is_own) {
                    Some(ifb) => Ok(Some(ifb)),
                    None => Err(BandwidthError::IfbTaken(name)),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Adds the root qdiscs and `clsact`; false if one of these exists already.
    fn add_roots(&mut self, plan: &Plan) -> Result<bool, BandwidthError> {
        let existing = self.add_missing_roots(plan)?;
        Ok(existing.is_empty())
    }

    /// Replaces the qdiscs that an earlier ADD of the attachment has left, with other limits or
    /// incomplete.
    fn replace_roots(
        &mut self,
        plan: &Plan,
        node_end: &Link,
        ifb: Option<&Link>,
    ) -> Result<(), BandwidthError> {
        self.log
            .info(format_args!("limits of an earlier ADD are replaced"));
        del::strip(&mut self.kernel, node_end.index)?;
        if let Some(ifb) = ifb {
            del::strip(&mut self.kernel, ifb.index)?;
        }
        // An existing `clsact` serves as well.
        let existing = self.add_missing_roots(plan)?;
        if existing.into_iter().all(|parent| parent == Handle::CLSACT) {
            return Ok(());
        }
        Err(self.occupied(node_end)?)
    }

    /// Adds the root qdiscs and `clsact`, and returns the parents of those that exist already.
    fn add_missing_roots(&mut self, plan: &Plan) -> Result<Vec<Handle>, BandwidthError> {
        let (mut existing, mut refused) = (Vec::new(), None);
        let outcomes = self.kernel.control_traffic(&plan.roots())?;
        for (root, outcome) in plan.roots.iter().zip(outcomes) {
            match outcome {
                Ok(()) => self.rollback.record(Undo::RemoveQdisc {
                    link: root.link,
                    parent: root.parent,
                    handle: root.qdisc.handle,
                }),
                Err(error) if error.is_exists() => existing.push(root.parent),
                // The kernel tries the others nevertheless.
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        refused.map_or(Ok(existing), |error| Err(unsupported(error)))
    }

    fn occupied(&mut self, node_end: &Link) -> Result<BandwidthError, BandwidthError> {
        let found = self.kernel.qdisc(node_end.index, Handle::ROOT)?;
        let (kind, handle) = found.map_or(("unknown".to_owned(), SHAPER), |qdisc| {
            (qdisc.kind.name().to_owned(), qdisc.handle)
        });
        Ok(BandwidthError::Occupied {
            link: node_end.name.clone(),
            kind,
            handle: handle.to_string(),
        })
    }

    /// Rolls back this ADD.
    fn roll_back(&mut self) {
        let rollback = std::mem::take(&mut self.rollback);
        let kernel = &mut self.kernel;
        rollback.carry_out(self.log, |step| match undo(kernel, step) {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(Undone::Yes),
        });
    }
}

fn undo(kernel: &mut Rtnetlink, step: &Undo) -> Result<(), NetlinkError> {
    match *step {
        Undo::RemoveIfb { link } => kernel.remove_links(&[link]),
        Undo::RemoveQdisc {
            link,
            parent,
            handle,
        } => {
            let removal = TrafficChange::DeleteQdisc {
                link,
                parent,
                handle,
            };
            kernel.control_traffic(&[removal])?.into_iter().collect()
        }
    }
}

pub(crate) fn is_ifb(link: &Link) -> bool {
    matches!(&link.kind, LinkKind::Other(kind) if kind == IFB)
}

/// The kernel returns `ENOENT` for a kind of qdisc, filter or action that it does not have.
fn unsupported(error: NetlinkError) -> BandwidthError {
    if error.errno() == Some(Errno::ENOENT) {
        BandwidthError::Incapable(error)
    } else {
        error.into()
    }
}

/// A result with one more interface on the node, as the Go plugin has it. Results before 0.3.0 have
/// no interfaces.
fn with_interface(result: &str, link: &Link, version: Version) -> Result<String, Error> {
    if version < Version::V0_3_0 {
        return Ok(result.to_owned());
    }
    let interface = Interface {
        name: link.name.clone(),
        mac: link.mac.map(|mac| mac.to_string()),
        ..Interface::default()
    };
    let decoding = |error: json::DecodeError| {
        let code = cni_types::Code::DECODING_FAILURE;
        Error::new(code, format!("prevResult: {error}"))
    };
    let mut object: Object = json::from_str(result).map_err(decoding)?;
    let interfaces: Option<Vec<Box<RawValue>>> = object.decode("interfaces").map_err(decoding)?;
    let mut interfaces = interfaces.unwrap_or_default();
    let interface = to_raw_value(&interface).map_err(|error| {
        let code = cni_types::Code::DECODING_FAILURE;
        Error::new(code, format!("cannot encode the result: {error}"))
    })?;
    interfaces.push(interface);
    object.set("interfaces", &interfaces).map_err(decoding)?;
    object.to_json().map_err(decoding)
}
