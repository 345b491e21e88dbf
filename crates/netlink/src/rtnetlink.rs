//! The rtnetlink socket: links, addresses, routes.

use std::marker::PhantomData;

use netlink_packet_core::{DecodeError, DefaultNla, Emitable};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkExtentMask, LinkInfo, LinkMessage};
use nix::libc;

use crate::reply::HEADER;
use crate::socket::garbled;
use crate::subject::LINK;
use crate::{
    Answer, Family, Kind, Link, LinkAddress, MAIN_TABLE, NetlinkError, Netns, PortVlans, Protocol,
    Reply, Request, Route, Socket, address, route, vlan,
};

/// The longest name of a link in bytes. Alternative names may be longer.
const LONGEST_NAME: usize = libc::IFNAMSIZ - 1;

// linux/if_link.h
const IFLA_ALT_IFNAME: u16 = 53;

/// How large a datagram with several changes becomes, in bytes. The kernel's limit is the send
/// buffer, 208 KiB by default.
const DATAGRAM: usize = 32 << 10;

/// How many changes go into one. Each may be refused, which takes about 1 KiB of the receive
/// buffer, 208 KiB by default.
const DATAGRAM_CHANGES: usize = 128;

/// A change of links, addresses or routes that can be asked for; asking is [`Rtnetlink::perform`].
/// It lives no longer than the namespace that it names, whose file it refers to by its descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "nothing is changed until it is performed"]
pub struct Change<'a> {
    pub(crate) request: Request<RouteNetlinkMessage>,
    /// The namespace whose file descriptor's number is in the message.
    netns: PhantomData<&'a Netns>,
}

impl Change<'_> {
    pub(crate) fn new(what: String, payload: RouteNetlinkMessage, flags: u16) -> Self {
        Self {
            request: Request {
                what,
                payload,
                flags,
                answer: Answer::Nothing,
            },
            netns: PhantomData,
        }
    }

    /// The length of the message in bytes.
    fn length(&self) -> usize {
        HEADER + self.request.payload.buffer_len()
    }
}

/// Which link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRef<'a> {
    /// By its index.
    Index(u32),
    /// By its name.
    Name(&'a str),
}

/// Links, addresses and routes of one namespace (rtnetlink(7)).
///
/// What it is told to do is done when the call returns, and it takes one system call to ask and
/// mostly one to get the answer.
#[derive(Debug)]
pub struct Rtnetlink {
    pub(crate) socket: Socket,
}

impl Rtnetlink {
    /// For the namespace that the calling thread is in.
    ///
    /// # Errors
    /// [`NetlinkError::Socket`].
    pub fn open() -> Result<Self, NetlinkError> {
        let socket = Socket::open(Protocol::Route)?;
        Ok(Self { socket })
    }

    /// For another namespace; `home` is the one that the calling thread is in.
    ///
    /// # Errors
    /// [`NetlinkError::Netns`] and [`NetlinkError::Socket`].
    pub fn open_in(netns: &Netns, home: &Netns) -> Result<Self, NetlinkError> {
        netns.enter(home, Self::open)
    }

    /// Carries out changes in order, a few hundred in one datagram. All of them are tried, whatever
    /// becomes of the others.
    ///
    /// # Errors
    /// The first refusal. It names its change.
    pub fn perform(&mut self, changes: &[Change<'_>]) -> Result<(), NetlinkError> {
        self.perform_each(changes)?
            .into_iter()
            .next()
            .map_or(Ok(()), |(_, error)| Err(error))
    }

    /// As [`Rtnetlink::perform`], but gives all refusals with their changes' positions.
    ///
    /// # Errors
    /// If the kernel cannot be asked.
    pub fn perform_each(
        &mut self,
        changes: &[Change<'_>],
    ) -> Result<Vec<(usize, NetlinkError)>, NetlinkError> {
        let mut refusals = Vec::new();
        let mut start = 0;
        for datagram in datagrams(changes) {
            let requests: Vec<_> = datagram.iter().map(|change| &change.request).collect();
            let refused = self.socket.exchange(&requests, |_, _| Ok(()))?;
            for (position, error) in refused {
                let error = match datagram.get(position) {
                    Some(change) => self.name_link(error, &change.request.payload),
                    None => error,
                };
                refusals.push((start + position, error));
            }
            start += datagram.len();
        }
        Ok(refusals)
    }

    /// Carries out a few changes and reads what a link is then, with no more system calls than for
    /// either.
    ///
    /// # Errors
    /// The first refusal, be it that the link does not exist.
    pub fn perform_and_read(
        &mut self,
        changes: &[Change<'_>],
        link: LinkRef<'_>,
    ) -> Result<Link, NetlinkError> {
        let (refusals, found) = self.exchange_and_read(changes, link)?;
        refusals.into_iter().next().map_or(found, Err)
    }

    /// The changes' refusals in order, and the link or why there is none.
    fn exchange_and_read(
        &mut self,
        changes: &[Change<'_>],
        link: LinkRef<'_>,
    ) -> Result<(Vec<NetlinkError>, Result<Link, NetlinkError>), NetlinkError> {
        let read = link_request(link);
        let mut requests: Vec<_> = changes.iter().map(|change| &change.request).collect();
        requests.push(&read);
        let mut found = Err(garbled(&read.what, "it has no link"));
        let refusals = self.socket.exchange(&requests, |position, reply| {
            // Any other message would be an event's.
            if position == changes.len() {
                found = Ok(Link::parse(reply).map_err(|e| garbled(&read.what, e))?);
            }
            Ok(())
        })?;
        let mut refused = Vec::new();
        for (position, error) in refusals {
            match changes.get(position) {
                Some(change) => refused.push(self.name_link(error, &change.request.payload)),
                None => found = Err(error),
            }
        }
        Ok((refused, found))
    }

    /// A link; `None` if there is none.
    ///
    /// # Errors
    /// If the kernel refuses for another reason.
    pub fn link(&mut self, link: LinkRef<'_>) -> Result<Option<Link>, NetlinkError> {
        some_if_found(self.perform_and_read(&[], link))
    }

    /// Links by their names, in one exchange; those that there are, in the order of the names.
    ///
    /// # Errors
    /// As [`Rtnetlink::link`].
    pub fn links_by_names<'n>(
        &mut self,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Result<Vec<Link>, NetlinkError> {
        let names = names.into_iter();
        let questions: Vec<_> = names
            .map(|name| link_request(LinkRef::Name(name)))
            .collect();
        let requests: Vec<_> = questions.iter().collect();
        let mut found = Vec::new();
        let refusals = self.socket.exchange(&requests, |_, reply| {
            let link = Link::parse(reply);
            found.push(link.map_err(|e| garbled("find links by their names", e))?);
            Ok(())
        })?;
        let mut errors = refusals.into_iter().map(|(_, error)| error);
        let error = errors.find(|error| !error.is_not_found());
        error.map_or(Ok(found), Err)
    }

    /// A link by its name; `None` if there is none.
    ///
    /// # Errors
    /// As [`Rtnetlink::link`].
    pub fn link_by_name(&mut self, name: &str) -> Result<Option<Link>, NetlinkError> {
        self.link(LinkRef::Name(name))
    }

    /// A link by its index; `None` if there is none.
    ///
    /// # Errors
    /// As [`Rtnetlink::link`].
    pub fn link_by_index(&mut self, index: u32) -> Result<Option<Link>, NetlinkError> {
        self.link(LinkRef::Index(index))
    }

    /// Makes a link that belongs to this namespace and reads what it became:
    /// [`Change::create_bridge`] or [`Change::create_veth`] with the name that was given there.
    ///
    /// # Errors
    /// [`NetlinkError::is_exists`] if the name is taken.
    pub fn create(&mut self, new: Change<'_>, name: &str) -> Result<Link, NetlinkError> {
        self.perform_and_read(&[new], LinkRef::Name(name))
    }

    /// As [`Rtnetlink::create`], for a link that gets an alias of at most 254 bytes. The kernel
    /// takes none with a new link; the alias follows in the same datagram, so not even a kill
    /// leaves the link without it.
    ///
    /// Where the name is taken, the link that has it gets the alias: the name must follow from the
    /// alias.
    ///
    /// # Errors
    /// As [`Rtnetlink::create`]. Where it is the alias that is refused, the link stays.
    pub fn create_with_alias(
        &mut self,
        new: Change<'_>,
        name: &str,
        alias: &str,
    ) -> Result<Link, NetlinkError> {
        self.perform_and_read(&[new, Change::set_alias(name, alias)], LinkRef::Name(name))
    }

    /// The pairs' ends that are in this namespace.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn veths(&mut self) -> Result<Vec<Link>, NetlinkError> {
        let mut message = link_message();
        let kind = vec![LinkInfo::Kind(InfoKind::Veth)];
        message.attributes.push(LinkAttribute::LinkInfo(kind));
        let request = list_request("list veths".to_owned(), message);
        self.socket.dump(&request, |reply| {
            Ok(Some(Link::parse(reply)?).filter(|link| link.kind == Kind::Veth))
        })
    }

    /// The links that are ports of a bridge.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn ports(&mut self, bridge: u32) -> Result<Vec<Link>, NetlinkError> {
        let mut message = link_message();
        message.attributes.push(LinkAttribute::Controller(bridge));
        let request = list_request(format!("list ports of bridge {LINK}"), message);
        let ports = self.socket.dump(&request, |reply| {
            let link = Link::parse(reply)?;
            Ok(Some(link).filter(|link| link.master == Some(bridge)))
        });
        ports.map_err(|error| self.name_link(error, &request.payload))
    }

    /// All links.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn links(&mut self) -> Result<Vec<Link>, NetlinkError> {
        let request = list_request("list links".to_owned(), link_message());
        self.socket
            .dump(&request, |reply| Ok(Some(Link::parse(reply)?)))
    }

    /// The VLANs of a bridge or of one of its ports.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn vlans(&mut self, link: u32) -> Result<Vec<PortVlans>, NetlinkError> {
        let of_link = |reply: &Reply<'_>| {
            let is_it = reply.link_index() == Some(link);
            is_it.then(|| vlan::parse(reply)).transpose()
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
        let request = address::list_request(link, family);
        let addresses = self.socket.dump(&request, |reply| {
            if reply.link_index() == Some(link) {
                LinkAddress::parse(reply)
            } else {
                Ok(None)
            }
        });
        addresses.map_err(|error| self.name_link(error, &request.payload))
    }

    /// The unicast routes of a table by a link, or by all. One with several ways is as many routes.
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
        let wanted = |reply: &Reply<'_>| -> Result<_, DecodeError> {
            let mut routes = Route::parse(reply)?;
            routes.retain(|route| route.table == table && (link.is_none() || route.link == link));
            Ok(Some(routes))
        };
        match self.socket.dump(&request, wanted) {
            // A table is there once it has had a route.
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

/// `None` for a link that is not there.
fn some_if_found(found: Result<Link, NetlinkError>) -> Result<Option<Link>, NetlinkError> {
    match found {
        Ok(link) => Ok(Some(link)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Splits changes into as many as fit into a datagram, whose size the kernel limits, and whose
/// refusals must find room in the socket's receive buffer.
fn datagrams<'c, 'a>(changes: &'c [Change<'a>]) -> impl Iterator<Item = &'c [Change<'a>]> {
    let mut rest = changes;
    std::iter::from_fn(move || {
        let mut size = 0;
        let fits = |change: &&Change<'_>| {
            size += change.length();
            size <= DATAGRAM
        };
        // At least one, however large it is.
        let count = rest.iter().take(DATAGRAM_CHANGES).take_while(fits).count();
        let (datagram, others) = rest.split_at_checked(count.max(1))?;
        rest = others;
        Some(datagram)
    })
}

/// A question about links that leaves out the counters.
fn link_message() -> LinkMessage {
    let mut message = LinkMessage::default();
    let without_counters = vec![LinkExtentMask::SkipStats];
    message
        .attributes
        .push(LinkAttribute::ExtMask(without_counters));
    message
}

fn list_request(what: String, message: LinkMessage) -> Request<RouteNetlinkMessage> {
    Request {
        what,
        payload: RouteNetlinkMessage::GetLink(message),
        flags: 0,
        answer: Answer::Message,
    }
}

fn link_request(link: LinkRef<'_>) -> Request<RouteNetlinkMessage> {
    let mut message = link_message();
    let what = match link {
        LinkRef::Index(index) => {
            message.header.index = index;
            // There is no name to look up for a link that is not found.
            format!("find link {index}")
        }
        LinkRef::Name(name) => {
            message.attributes.push(name_attribute(name));
            format!("find link {name}")
        }
    };
    Request {
        what,
        payload: RouteNetlinkMessage::GetLink(message),
        flags: 0,
        answer: Answer::Message,
    }
}

/// The attribute that asks for a link by its name, or by an alternative name (ip-link(8),
/// `altname`). The kernel takes the short ones of either kind under the same number.
fn name_attribute(name: &str) -> LinkAttribute {
    if name.len() <= LONGEST_NAME {
        return LinkAttribute::IfName(name.to_owned());
    }
    let text = [name.as_bytes(), b"\0"].concat();
    LinkAttribute::Other(DefaultNla::new(IFLA_ALT_IFNAME, text))
}
