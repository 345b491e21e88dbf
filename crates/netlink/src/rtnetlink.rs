//! The rtnetlink socket: reading and changing links, addresses and routes.

use nix::libc;

use crate::attributes::{Attributes, Malformed};
use crate::link::LinkHeader;
use crate::socket::{RequestOutcome, garbled};
use crate::{
    Answer, Change, Counters, Family, KernelMessage, KernelRequest, Link, LinkAddress, LinkKind,
    MAIN_TABLE, Neighbour, NetlinkError, Netns, PortVlans, Protocol, Route, Socket, address,
    neighbour, peer, route, vlan,
};

/// The longest name of a link in bytes. Alternative names may be longer.
const LONGEST_NAME: usize = libc::IFNAMSIZ - 1;

/// The largest datagram with several changes, in bytes. The kernel's limit is the send buffer, 208
/// KiB by default.
const DATAGRAM: usize = 32 << 10;

/// The largest number of changes per datagram. An error takes about 1 KiB of the receive buffer,
/// 208 KiB by default.
const DATAGRAM_CHANGES: usize = 128;

/// The outcome of a change.
#[derive(Debug)]
#[must_use = "the change may have been refused"]
pub struct Applied<'c> {
    /// The change.
    pub change: &'c Change,
    /// The kernel's refusal, if it refused.
    pub result: Result<(), NetlinkError>,
}

/// The selection of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRef<'a> {
    /// By its index.
    Index(u32),
    /// By its name.
    Name(&'a str),
}

/// Links, addresses and routes of one namespace (rtnetlink(7)).
///
/// Each method returns when the kernel has done its work: one system call for the request, and
/// mostly one for the answer.
#[derive(Debug)]
pub struct Rtnetlink {
    pub(crate) socket: Socket,
}

impl Rtnetlink {
    /// Opens a socket in the namespace that the calling thread is in.
    ///
    /// # Errors
    /// [`NetlinkError::Socket`].
    pub fn open() -> Result<Self, NetlinkError> {
        let socket = Socket::open(Protocol::Route)?;
        Ok(Self { socket })
    }

    /// Opens a socket in another namespace; `home` is the one that the calling thread is in.
    ///
    /// # Errors
    /// [`NetlinkError::Netns`] and [`NetlinkError::Socket`].
    pub fn open_in(netns: &Netns, home: &Netns) -> Result<Self, NetlinkError> {
        netns.enter(home, Self::open)
    }

    /// Carries out changes in order, a hundred or so per datagram. All of them are tried, even if
    /// one fails.
    ///
    /// # Errors
    /// The first refusal. It names its change.
    pub fn apply(&mut self, changes: &[Change]) -> Result<(), NetlinkError> {
        let applied = self.apply_each(changes)?;
        applied.into_iter().try_for_each(|applied| applied.result)
    }

    /// As [`Rtnetlink::apply`], but returns the outcome of each change, in order.
    ///
    /// # Errors
    /// If the netlink socket fails.
    pub fn apply_each<'c>(
        &mut self,
        changes: &'c [Change],
    ) -> Result<Vec<Applied<'c>>, NetlinkError> {
        let requests: Vec<KernelRequest> = changes.iter().map(Change::request).collect();
        let outcomes = self.send_each(&requests)?;
        let applied = changes.iter().zip(outcomes).map(|(change, outcome)| {
            let result = outcome.map(drop);
            let result = result.map_err(|error| self.with_name_of(error, change));
            Applied { change, result }
        });
        Ok(applied.collect())
    }

    /// Carries out a few changes and reads a link afterwards, with no more system calls than for
    /// either.
    ///
    /// # Errors
    /// The first refusal, be it that the link does not exist ([`NetlinkError::is_not_found`]).
    pub fn apply_and_read(
        &mut self,
        changes: &[Change],
        link: LinkRef<'_>,
    ) -> Result<Link, NetlinkError> {
        let requests: Vec<KernelRequest> = changes.iter().map(Change::request).collect();
        let (outcomes, found) = self.exchange_and_read(&requests, link)?;
        for (change, outcome) in changes.iter().zip(outcomes) {
            outcome.map_err(|error| self.with_name_of(error, change))?;
        }
        found
    }

    /// A link by its name, or by an alternative name; `None` if there is none.
    ///
    /// # Errors
    /// If the kernel refuses for another reason.
    pub fn link_by_name(&mut self, name: &str) -> Result<Option<Link>, NetlinkError> {
        some_if_found(self.apply_and_read(&[], LinkRef::Name(name)))
    }

    /// A link by its index; `None` if there is none.
    ///
    /// # Errors
    /// As [`Rtnetlink::link_by_name`].
    pub fn link_by_index(&mut self, index: u32) -> Result<Option<Link>, NetlinkError> {
        some_if_found(self.apply_and_read(&[], LinkRef::Index(index)))
    }

    /// Links by their names, in one exchange; those that exist, in the order of the names.
    ///
    /// # Errors
    /// As [`Rtnetlink::link_by_name`].
    pub fn links_by_names<'n>(
        &mut self,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Result<Vec<Link>, NetlinkError> {
        let names = names.into_iter();
        let questions: Vec<_> = names
            .map(|name| link_request(LinkRef::Name(name)))
            .collect();
        let outcomes = self.send_each(&questions)?;
        let found = questions.iter().zip(outcomes);
        let found = found.map(|(question, outcome)| some_if_found(link_in(outcome, question)));
        found.filter_map(Result::transpose).collect()
    }

    /// The ends of veth pairs in this namespace.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn veths(&mut self) -> Result<Vec<Link>, NetlinkError> {
        let kind = Attributes::new().text(libc::IFLA_INFO_KIND, "veth");
        let message = link_message(0).nest_unmarked(libc::IFLA_LINKINFO, kind);
        let request = question("list veths".to_owned(), message);
        self.socket.dump(&request, |reply| {
            Ok(Some(Link::parse(reply)?).filter(|link| link.kind == LinkKind::Veth))
        })
    }

    /// The links that are ports of a bridge.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn ports(&mut self, bridge: u32) -> Result<Vec<Link>, NetlinkError> {
        let what = |bridge: &str| format!("list ports of bridge {bridge}");
        let message = link_message(0).u32(libc::IFLA_MASTER, bridge);
        let request = question(what(&bridge.to_string()), message);
        let ports = self.socket.dump(&request, |reply| {
            let link = Link::parse(reply)?;
            Ok(Some(link).filter(|link| link.master == Some(bridge)))
        });
        ports.map_err(|error| self.with_link_name(error, bridge, what))
    }

    /// All links.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn links(&mut self) -> Result<Vec<Link>, NetlinkError> {
        let request = question("list links".to_owned(), link_message(0));
        self.socket
            .dump(&request, |reply| Ok(Some(Link::parse(reply)?)))
    }

    /// The VLANs of a bridge or of one of its ports.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn vlans(&mut self, link: u32) -> Result<Vec<PortVlans>, NetlinkError> {
        let of_link = |reply: &KernelMessage<'_>| {
            let is_own = reply.link_index() == Some(link);
            is_own.then(|| vlan::parse(reply)).transpose()
        };
        let found = self.socket.dump(&vlan::list_request(), of_link)?;
        Ok(found.into_iter().flatten().collect())
    }

    /// A link's addresses; of both protocols if `None`.
    ///
    /// # Errors
    /// If there is no such link.
    pub fn addresses(
        &mut self,
        link: u32,
        family: Option<Family>,
    ) -> Result<Vec<LinkAddress>, NetlinkError> {
        let what = |link: &str| format!("list addresses of link {link}");
        let request = address::list_request(what(&link.to_string()), link, family);
        let addresses = self.socket.dump(&request, |reply| {
            if reply.link_index() == Some(link) {
                LinkAddress::parse(reply)
            } else {
                Ok(None)
            }
        });
        addresses.map_err(|error| self.with_link_name(error, link, what))
    }

    /// This namespace's ID for another one ([`Parent::netns`](crate::Parent)); `None` if it has
    /// none.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn number_of(&mut self, netns: &Netns) -> Result<Option<i32>, NetlinkError> {
        let request = peer::number_request(netns);
        let outcomes = self.socket.exchange(&[&request])?;
        let reply = outcomes.into_iter().next().unwrap_or(Ok(None))?;
        let number = reply.map_or(Ok(None), |reply| peer::number_in(&reply));
        number.map_err(|malformed| garbled(&request.what, malformed))
    }

    /// A link's counters; `None` if there is no such link.
    ///
    /// # Errors
    /// If the kernel refuses for another reason.
    pub fn counters(&mut self, link: u32) -> Result<Option<Counters>, NetlinkError> {
        let message = LinkHeader::of(link).attributes();
        let request = question(format!("read counters of link {link}"), message);
        let outcomes = self.socket.exchange(&[&request])?;
        match outcomes.into_iter().next().unwrap_or(Ok(None)) {
            Ok(Some(reply)) => {
                Counters::parse(&reply).map_err(|malformed| garbled(&request.what, malformed))
            }
            Ok(None) => Ok(None),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The neighbours of a link, from ARP and neighbour discovery.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn neighbours(&mut self, link: u32) -> Result<Vec<Neighbour>, NetlinkError> {
        let request = neighbour::list_request(link);
        self.socket.dump(&request, |reply| {
            let is_its = reply.link_index() == Some(link);
            is_its
                .then(|| Neighbour::parse(reply))
                .transpose()
                .map(Option::flatten)
        })
    }

    /// The unicast routes of a table by a link, or by all. A route with several next hops is listed
    /// once per next hop.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn routes(
        &mut self,
        family: Family,
        table: u32,
        link: Option<u32>,
    ) -> Result<Vec<Route>, NetlinkError> {
        let request = route::list_request(family, table, link);
        let wanted = |reply: &KernelMessage<'_>| -> Result<_, Malformed> {
            let mut routes = Route::parse(reply)?;
            routes.retain(|route| route.table == table && (link.is_none() || route.link == link));
            Ok(Some(routes))
        };
        match self.socket.dump(&request, wanted) {
            // A table does not exist before its first route.
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            routes => Ok(routes?.into_iter().flatten().collect()),
        }
    }

    /// The default route with the lowest metric in the main table; `None` if there is none.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn default_route(&mut self, family: Family) -> Result<Option<Route>, NetlinkError> {
        let routes = self.routes(family, MAIN_TABLE, None)?;
        let defaults = routes.into_iter().filter(Route::is_default);
        Ok(defaults.min_by_key(|route| route.priority.unwrap_or(0)))
    }
}

impl Rtnetlink {
    /// Sends requests and returns the first refusal. All are tried.
    pub(crate) fn send(&mut self, requests: &[KernelRequest]) -> Result<(), NetlinkError> {
        let outcomes = self.send_each(requests)?.into_iter();
        outcomes
            .map(|outcome| outcome.map(drop))
            .find(Result::is_err)
            .unwrap_or(Ok(()))
    }

    /// Sends requests and returns the outcome of each, in order.
    pub(crate) fn send_each(
        &mut self,
        requests: &[KernelRequest],
    ) -> Result<Vec<RequestOutcome>, NetlinkError> {
        let mut outcomes = Vec::new();
        for datagram in datagrams(requests) {
            let some: Vec<_> = datagram.iter().collect();
            outcomes.append(&mut self.socket.exchange(&some)?);
        }
        Ok(outcomes)
    }

    /// Sends a few requests, reads a link with them, and returns the link or the first refusal.
    pub(crate) fn send_and_read(
        &mut self,
        requests: &[KernelRequest],
        link: LinkRef<'_>,
    ) -> Result<Link, NetlinkError> {
        let (outcomes, found) = self.exchange_and_read(requests, link)?;
        outcomes.into_iter().find(Result::is_err).transpose()?;
        found
    }

    /// The outcomes of a few requests, in order, and the link or the reason why it cannot be read.
    fn exchange_and_read(
        &mut self,
        requests: &[KernelRequest],
        link: LinkRef<'_>,
    ) -> Result<(Vec<RequestOutcome>, Result<Link, NetlinkError>), NetlinkError> {
        let read = link_request(link);
        let all: Vec<_> = requests.iter().chain([&read]).collect();
        let mut outcomes = self.socket.exchange(&all)?;
        let found = link_in(outcomes.pop().unwrap_or(Ok(None)), &read);
        Ok((outcomes, found))
    }

    /// A link's name, or its index if there is no such link any more.
    pub(crate) fn name_of(&mut self, index: u32) -> String {
        match self.apply_and_read(&[], LinkRef::Index(index)) {
            Ok(link) => link.name,
            Err(_) => index.to_string(),
        }
    }

    /// An error with the name of the request's link. Requests contain a link's index: the name is
    /// looked up only when the kernel refuses.
    pub(crate) fn with_link_name(
        &mut self,
        error: NetlinkError,
        link: u32,
        what: impl FnOnce(&str) -> String,
    ) -> NetlinkError {
        match error {
            NetlinkError::Refused { errno, text, .. } => NetlinkError::Refused {
                what: what(&self.name_of(link)),
                errno,
                text,
            },
            error => error,
        }
    }

    fn with_name_of(&mut self, error: NetlinkError, change: &Change) -> NetlinkError {
        match change.link() {
            Some(link) => self.with_link_name(error, link, |name| change.describe(name)),
            None => error,
        }
    }
}

/// The link in the answer to a question for it.
fn link_in(outcome: RequestOutcome, question: &KernelRequest) -> Result<Link, NetlinkError> {
    let reply = outcome?.ok_or(Malformed("it has no link"));
    let link = reply.and_then(|reply| Link::parse(&reply));
    link.map_err(|malformed| garbled(&question.what, malformed))
}

/// `None` for a link that does not exist.
fn some_if_found(found: Result<Link, NetlinkError>) -> Result<Option<Link>, NetlinkError> {
    match found {
        Ok(link) => Ok(Some(link)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Splits requests into datagrams, whose size the kernel limits, and whose errors must fit into the
/// socket's receive buffer.
fn datagrams(requests: &[KernelRequest]) -> impl Iterator<Item = &[KernelRequest]> {
    let mut rest = requests;
    std::iter::from_fn(move || {
        let mut size = 0;
        let fits = |request: &&KernelRequest| {
            size += request.length();
            size <= DATAGRAM
        };
        // At least one, however large it is.
        let count = rest.iter().take(DATAGRAM_CHANGES).take_while(fits).count();
        let (datagram, others) = rest.split_at_checked(count.max(1))?;
        rest = others;
        Some(datagram)
    })
}

/// The start of a question about one link, or about all with the index 0, without counters.
fn link_message(index: u32) -> Attributes {
    let without_counters = libc::RTEXT_FILTER_SKIP_STATS.cast_unsigned();
    LinkHeader::of(index)
        .attributes()
        .u32(libc::IFLA_EXT_MASK, without_counters)
}

fn question(what: String, message: Attributes) -> KernelRequest {
    KernelRequest {
        what,
        message_type: libc::RTM_GETLINK,
        flags: 0,
        payload: message.into_bytes(),
        answer: Answer::Message,
    }
}

fn link_request(link: LinkRef<'_>) -> KernelRequest {
    match link {
        // There is no name to look up for a link that does not exist.
        LinkRef::Index(index) => question(format!("find link {index}"), link_message(index)),
        LinkRef::Name(name) => {
            // The kernel looks for short alternative names among the names.
            let kind = if name.len() <= LONGEST_NAME {
                libc::IFLA_IFNAME
            } else {
                libc::IFLA_ALT_IFNAME
            };
            question(
                format!("find link {name}"),
                link_message(0).text(kind, name),
            )
        }
    }
}
