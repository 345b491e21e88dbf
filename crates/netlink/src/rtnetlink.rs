use std::marker::PhantomData;

use netlink_packet_core::DecodeError;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};

use crate::socket::garbled;
use crate::{
    Answer, Family, Link, LinkAddress, MAIN_TABLE, NetlinkError, Netns, PortVlans, Protocol, Reply,
    Request, Route, Socket, address, route, vlan,
};

/// A change of links, addresses or routes that can be asked for; asking is [`Rtnetlink::perform`]. It lives no longer than
/// the namespace that it names, whose file it refers to by its descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "nothing is changed until it is performed"]
pub struct Change<'a> {
    request: Request<RouteNetlinkMessage>,
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

    /// What it does, as it stands in errors.
    pub fn what(&self) -> &str {
        &self.request.what
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
/// What it is told to do is done when the call returns, and it takes one system call to ask and mostly one to get the answer.
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

    /// Carries out changes in order, in one datagram. All of them are tried, whatever becomes of the others.
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
        let requests: Vec<_> = changes.iter().map(|change| &change.request).collect();
        self.socket.exchange(&requests, |_, _| Ok(()))
    }

    /// Carries out changes and reads what a link is then, with no more system calls than for either.
    ///
    /// # Errors
    /// The first refusal, be it that the link does not exist.
    pub fn perform_and_read(
        &mut self,
        changes: &[Change<'_>],
        link: LinkRef<'_>,
    ) -> Result<Link, NetlinkError> {
        let read = link_request(link);
        let mut requests: Vec<_> = changes.iter().map(|change| &change.request).collect();
        requests.push(&read);
        let mut found = None;
        let refusals = self.socket.exchange(&requests, |position, reply| {
            // Any other message would be an event's.
            if position == changes.len() {
                found = Some(Link::parse(reply).map_err(|e| garbled(&read.what, e))?);
            }
            Ok(())
        })?;
        if let Some((_, error)) = refusals.into_iter().next() {
            return Err(error);
        }
        found.ok_or_else(|| garbled(&read.what, "it has no link"))
    }

    /// A link; `None` if there is none.
    ///
    /// # Errors
    /// If the kernel refuses for another reason.
    pub fn link(&mut self, link: LinkRef<'_>) -> Result<Option<Link>, NetlinkError> {
        match self.perform_and_read(&[], link) {
            Ok(link) => Ok(Some(link)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
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

    /// Makes a link that belongs to this namespace and reads what it became: [`Change::create_bridge`] or
    /// [`Change::create_veth`] with the name that was given there.
    ///
    /// # Errors
    /// [`NetlinkError::is_exists`] if the name is taken.
    pub fn create(&mut self, new: Change<'_>, name: &str) -> Result<Link, NetlinkError> {
        self.perform_and_read(&[new], LinkRef::Name(name))
    }

    /// The links that are ports of a bridge.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn ports(&mut self, bridge: u32) -> Result<Vec<Link>, NetlinkError> {
        let mut message = link_message();
        message.attributes.push(LinkAttribute::Controller(bridge));
        let request = list_request(format!("list ports of bridge {bridge}"), message);
        self.socket.dump(&request, |reply| {
            let link = Link::parse(reply)?;
            Ok(Some(link).filter(|link| link.master == Some(bridge)))
        })
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
        self.socket.dump(&request, |reply| {
            if reply.link_index() == Some(link) {
                LinkAddress::parse(reply)
            } else {
                Ok(None)
            }
        })
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
            format!("find link {index}")
        }
        LinkRef::Name(name) => {
            message
                .attributes
                .push(LinkAttribute::IfName(name.to_owned()));
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
