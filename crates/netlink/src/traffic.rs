//! Traffic control (tc(8)): queueing disciplines, classes and filters of a link.
//!
//! Every message has the same fields before its attributes:
//!
//! ```text
//!  0       4       8       12      16      20
//! +-------+-------+-------+-------+-------+----------- - -
//! | 0     | link  | handle| parent| info  | attributes      struct tcmsg
//! +-------+-------+-------+-------+-------+----------- - -
//! ```
//!
//! `info` is a filter's: its priority and the protocol of its packets. The attributes are the kind,
//! such as `tbf`, and the options that only this kind has.

mod bucket;
mod filter;
mod qdisc;

use nix::errno::Errno;
use nix::libc;

use crate::attributes::{Attributes, Malformed, text_of, u32_of};
use crate::request::{CREATE, EXCLUSIVE};
use crate::socket::garbled;
use crate::{Answer, KernelMessage, KernelRequest, NetlinkError, Rtnetlink};

pub use self::bucket::Bucket;
pub use self::filter::{Filter, Match, Target};
pub use self::qdisc::{Class, Qdisc, QdiscKind};

/// The length of `struct tcmsg`.
const HEADER: usize = 20;

// linux/rtnetlink.h
const RTM_NEWQDISC: u16 = 36;
const RTM_DELQDISC: u16 = 37;
const RTM_GETQDISC: u16 = 38;
const RTM_NEWTCLASS: u16 = 40;
const RTM_GETTCLASS: u16 = 42;
const RTM_NEWTFILTER: u16 = 44;
const RTM_DELTFILTER: u16 = 45;
const RTM_GETTFILTER: u16 = 46;
const RTM_NEWACTION: u16 = 48;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_ACT_TAB: u16 = 1;

/// The flag that requests a copy of the event that a request causes: the kernel's answer to a
/// question about a single qdisc or class is one.
const ECHO: u16 = libc::NLM_F_ECHO as u16;

/// The number of a qdisc, or of a class in it: `7457:0`, `7457:1` (tc(8), "handles").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(pub u32);

impl Handle {
    /// The place of the qdisc that all packets pass on their way out by a link (`TC_H_ROOT`).
    pub const ROOT: Self = Self(0xffff_ffff);
    /// The place of the qdisc `clsact` or `ingress` (`TC_H_INGRESS`), of which a link has at most
    /// one.
    pub const CLSACT: Self = Self(0xffff_fff1);
    /// The handle that `clsact` and `ingress` always have.
    pub const OF_CLSACT: Self = Self(0xffff_0000);
    /// The filters in [`Handle::CLSACT`] of packets that come in by a link
    /// (`TC_H_MIN_INGRESS`).
    pub const INCOMING: Self = Self(0xffff_fff2);
    /// As [`Handle::INCOMING`], for outgoing packets (`TC_H_MIN_EGRESS`).
    pub const OUTGOING: Self = Self(0xffff_fff3);

    /// A qdisc.
    pub const fn qdisc(major: u16) -> Self {
        Self((major as u32) << 16)
    }

    /// A class of this qdisc.
    pub const fn class(self, minor: u16) -> Self {
        Self(self.0 & 0xffff_0000 | minor as u32)
    }
}

impl std::fmt::Display for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}:{:x}", self.0 >> 16, self.0 & 0xffff)
    }
}

/// A change of a link's traffic control; [`Rtnetlink::control_traffic`] carries it out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "nothing is changed until it is carried out"]
pub enum TrafficChange {
    /// Adds a qdisc in a place that has none. ([`NetlinkError::is_exists`])
    AddQdisc {
        /// The index of the link.
        link: u32,
        /// [`Handle::ROOT`], [`Handle::CLSACT`], or a class.
        parent: Handle,
        /// The qdisc.
        qdisc: Qdisc,
    },
    /// Removes a qdisc, with everything below it, from a place.
    DeleteQdisc {
        /// The index of the link.
        link: u32,
        /// [`Handle::ROOT`] or [`Handle::CLSACT`].
        parent: Handle,
        /// The qdisc; another one in the place stays, and is an error.
        handle: Handle,
    },
    /// Adds a class to a qdisc that has classes.
    AddClass {
        /// The index of the link.
        link: u32,
        /// The qdisc.
        qdisc: Handle,
        /// The class.
        class: Class,
    },
    /// Adds a filter after those that have its priority.
    AddFilter {
        /// The index of the link.
        link: u32,
        /// A qdisc, [`Handle::INCOMING`] or [`Handle::OUTGOING`].
        parent: Handle,
        /// The filter.
        filter: Filter,
    },
    /// Removes all filters of a priority.
    DeleteFilters {
        /// The index of the link.
        link: u32,
        /// As in [`TrafficChange::AddFilter`].
        parent: Handle,
        /// The priority.
        priority: u16,
    },
}

impl TrafficChange {
    /// The index of the change's link.
    pub fn link(&self) -> u32 {
        match self {
            Self::AddQdisc { link, .. }
            | Self::DeleteQdisc { link, .. }
            | Self::AddClass { link, .. }
            | Self::AddFilter { link, .. }
            | Self::DeleteFilters { link, .. } => *link,
        }
    }

    /// The description, as it follows "cannot", with a name for the link.
    fn describe(&self, link: &str) -> String {
        match self {
            Self::AddQdisc { qdisc, .. } => {
                format!("add qdisc {} to link {link}", qdisc.kind.name())
            }
            Self::DeleteQdisc { handle, .. } => format!("delete qdisc {handle} of link {link}"),
            Self::AddClass { class, .. } => format!("add class {} to link {link}", class.handle),
            Self::AddFilter { .. } => format!("add a filter to link {link}"),
            Self::DeleteFilters { .. } => format!("delete filters of link {link}"),
        }
    }

    fn request(&self) -> KernelRequest {
        let (message_type, flags, payload) = match self {
            Self::AddQdisc {
                link,
                parent,
                qdisc,
            } => {
                let fields = fields(*link, qdisc.handle, *parent, 0);
                let payload = with_kind(fields, qdisc.kind.name(), qdisc.kind.options());
                (RTM_NEWQDISC, CREATE | EXCLUSIVE, payload)
            }
            Self::DeleteQdisc {
                link,
                parent,
                handle,
            } => (RTM_DELQDISC, 0, fields(*link, *handle, *parent, 0)),
            Self::AddClass { link, qdisc, class } => {
                let fields = fields(*link, class.handle, *qdisc, 0);
                let payload = with_kind(fields, "htb", Some(class.options()));
                (RTM_NEWTCLASS, CREATE | EXCLUSIVE, payload)
            }
            Self::AddFilter {
                link,
                parent,
                filter,
            } => {
                let fields = fields(*link, Handle(0), *parent, filter.info());
                let payload = with_kind(fields, "u32", Some(filter.options()));
                (RTM_NEWTFILTER, CREATE | EXCLUSIVE, payload)
            }
            Self::DeleteFilters {
                link,
                parent,
                priority,
            } => {
                let payload = fields(*link, Handle(0), *parent, u32::from(*priority) << 16);
                (RTM_DELTFILTER, 0, payload)
            }
        };
        request(
            self.describe(&self.link().to_string()),
            message_type,
            flags,
            payload,
        )
    }
}

impl Rtnetlink {
    /// Carries out changes in order, in one datagram, and returns the result of each. All of them
    /// are tried, even if one fails.
    ///
    /// # Errors
    /// If the socket fails.
    pub fn control_traffic(
        &mut self,
        changes: &[TrafficChange],
    ) -> Result<Vec<Result<(), NetlinkError>>, NetlinkError> {
        let requests: Vec<KernelRequest> = changes.iter().map(TrafficChange::request).collect();
        let outcomes = self.send_each(&requests)?;
        let outcomes = changes.iter().zip(outcomes).map(|(change, outcome)| {
            let outcome = outcome.map(drop);
            outcome.map_err(|error| {
                self.with_link_name(error, change.link(), |link| change.describe(link))
            })
        });
        Ok(outcomes.collect())
    }

    /// The qdisc in a place of a link: [`Handle::ROOT`] or [`Handle::CLSACT`]. `None` if there is
    /// none, or only the kernel's default.
    ///
    /// # Errors
    /// If there is no such link, or the kernel refuses.
    pub fn qdisc(&mut self, link: u32, parent: Handle) -> Result<Option<Qdisc>, NetlinkError> {
        let payload = fields(link, Handle(0), parent, 0);
        let what = |link: &str| format!("find the qdisc of link {link}");
        self.find(RTM_GETQDISC, payload, link, what, Qdisc::parse)
    }

    /// A class of a link's qdisc of kind `htb`; `None` if there is none.
    ///
    /// # Errors
    /// As [`Rtnetlink::qdisc`].
    pub fn class(&mut self, link: u32, handle: Handle) -> Result<Option<Class>, NetlinkError> {
        let payload = fields(link, handle, handle.class(0), 0);
        let what = |link: &str| format!("find class {handle} of link {link}");
        self.find(RTM_GETTCLASS, payload, link, what, Class::parse)
    }

    /// The filters of a place of a link ([`TrafficChange::AddFilter`]), in the order in which they
    /// are tried.
    ///
    /// # Errors
    /// If there is no such link, or the kernel refuses.
    pub fn filters(&mut self, link: u32, parent: Handle) -> Result<Vec<Filter>, NetlinkError> {
        let payload = fields(link, Handle(0), parent, 0);
        let what = |link: &str| format!("list the filters of link {link}");
        let request = request(what(&link.to_string()), RTM_GETTFILTER, 0, payload);
        let found = self
            .socket
            .dump(&request, |reply| Filter::parse(reply, link));
        found.map_err(|error| self.with_link_name(error, link, what))
    }

    /// The indexes of all links that have a qdisc `clsact` or `ingress`.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn links_with_clsact(&mut self) -> Result<Vec<u32>, NetlinkError> {
        let payload = fields(0, Handle(0), Handle(0), 0);
        let request = request("list qdiscs".to_owned(), RTM_GETQDISC, 0, payload);
        self.socket.dump(&request, |reply| {
            let is_clsact = handle_of(reply) == Some(Handle::OF_CLSACT);
            Ok(reply.link_index().filter(|_| is_clsact))
        })
    }

    /// Checks that the kernel has a kind of qdisc, and loads its module if necessary. Nothing is
    /// changed: the request has no options, which the kernel checks after it has found the kind.
    ///
    /// # Errors
    /// If the kernel does not have it ([`NetlinkError::is_not_found`]); if this process may not
    /// change the network (`EPERM`).
    pub fn probe_qdisc(&mut self, kind: &str) -> Result<(), NetlinkError> {
        let payload = with_kind(fields(LOOPBACK, Handle(0), Handle::ROOT, 0), kind, None);
        let what = format!("use qdisc {kind}");
        self.probe(&request(what, RTM_NEWQDISC, CREATE | EXCLUSIVE, payload))
    }

    /// As [`Rtnetlink::probe_qdisc`], for a kind of action: `mirred`, `police`.
    ///
    /// # Errors
    /// As [`Rtnetlink::probe_qdisc`].
    pub fn probe_action(&mut self, kind: &str) -> Result<(), NetlinkError> {
        let action = Attributes::new().text(filter::TCA_ACT_KIND, kind);
        let actions = Attributes::new().nest(TCA_ACT_TAB, Attributes::new().nest(1, action));
        // `struct tcamsg` has no more fields than the family.
        let payload = [&[0; 4][..], actions.as_bytes()].concat();
        let what = format!("use action {kind}");
        self.probe(&request(what, RTM_NEWACTION, CREATE | EXCLUSIVE, payload))
    }

    fn probe(&mut self, request: &KernelRequest) -> Result<(), NetlinkError> {
        let says_no =
            |error: &NetlinkError| error.is_not_found() || error.errno() == Some(Errno::EPERM);
        match self.send(std::slice::from_ref(request)) {
            Err(error) if says_no(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// The answer to a question about one object.
    fn find<T>(
        &mut self,
        message_type: u16,
        payload: Vec<u8>,
        link: u32,
        what: impl Fn(&str) -> String,
        parse: impl Fn(&KernelMessage<'_>) -> Result<Option<T>, Malformed>,
    ) -> Result<Option<T>, NetlinkError> {
        // For its default qdisc the kernel sends no answer: then the acknowledgement of the same
        // question is the end.
        let end = request(what(&link.to_string()), message_type, 0, payload);
        let question = KernelRequest {
            flags: ECHO,
            answer: Answer::Message,
            ..end.clone()
        };
        match self.send_each(&[question, end])?.into_iter().next() {
            None | Some(Ok(None)) => Ok(None),
            Some(Ok(Some(reply))) => {
                parse(&reply).map_err(|error| garbled(&what(&link.to_string()), error))
            }
            // For a link that does not exist, the kernel returns `ENODEV`.
            Some(Err(error)) if error.errno() == Some(Errno::ENOENT) => Ok(None),
            Some(Err(error)) => Err(self.with_link_name(error, link, what)),
        }
    }
}

/// The kernel creates it first in every namespace (`LOOPBACK_IFINDEX`).
const LOOPBACK: u32 = 1;

fn request(what: String, message_type: u16, flags: u16, payload: Vec<u8>) -> KernelRequest {
    KernelRequest {
        what,
        message_type,
        flags,
        payload,
        answer: Answer::Acknowledgement,
    }
}

/// `struct tcmsg`.
fn fields(link: u32, handle: Handle, parent: Handle, info: u32) -> Vec<u8> {
    [0, link, handle.0, parent.0, info]
        .map(u32::to_ne_bytes)
        .concat()
}

fn with_kind(fields: Vec<u8>, kind: &str, options: Option<Attributes>) -> Vec<u8> {
    let attributes = Attributes::new().text(TCA_KIND, kind);
    let attributes = match options {
        Some(options) => attributes.nest(TCA_OPTIONS, options),
        None => attributes,
    };
    [fields, attributes.into_bytes()].concat()
}

fn field_of(reply: &KernelMessage<'_>, position: usize) -> Option<u32> {
    let value = reply.payload.get(position * 4..position * 4 + 4)?;
    u32_of(value).ok()
}

fn handle_of(reply: &KernelMessage<'_>) -> Option<Handle> {
    field_of(reply, 2).map(Handle)
}

/// Reads a message as an answer to every question of this module.
#[cfg(feature = "fuzz")]
pub(crate) fn read_all(reply: &KernelMessage<'_>) {
    let _ = Qdisc::parse(reply);
    let _ = Class::parse(reply);
    let _ = Filter::parse(reply, reply.link_index().unwrap_or_default());
}

/// The kind and the options of a qdisc, class or filter.
fn kind_of<'a>(reply: &'a KernelMessage<'_>) -> Result<(String, &'a [u8]), Malformed> {
    let (mut kind, mut options) = (String::new(), &[][..]);
    for attribute in reply.attributes(HEADER) {
        match attribute? {
            (TCA_KIND, value) => kind = text_of(value),
            (TCA_OPTIONS, value) => options = value,
            _ => {}
        }
    }
    Ok((kind, options))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel_message::reply_with as reply;

    fn filter(packets: Match, target: Target) -> Filter {
        Filter {
            priority: 7,
            packets,
            target,
        }
    }

    /// The kernel lists them as they were sent, as far as it is asked here.
    #[test]
    fn what_is_sent_is_what_is_read() {
        let bucket = Bucket::new(5_000_000_000, 1 << 20);
        let network = |text: &str| text.parse().unwrap();
        let targets = [
            Target::Class(Handle::qdisc(1).class(2)),
            Target::Redirect { link: 9 },
            Target::Police { number: 3, bucket },
        ];
        let packets = [
            Match::all(),
            Match::source(network("10.1.2.3/20")),
            Match::destination(network("0.0.0.0/0")),
            Match::source(network("fd00::1/33")),
            Match::destination(network("fd00::1/128")),
        ];
        let link = 4;
        for target in &targets {
            for packets in &packets {
                let filter = filter(packets.clone(), target.clone());
                let parent = Handle::INCOMING;
                let add = TrafficChange::AddFilter {
                    link,
                    parent,
                    filter: filter.clone(),
                };
                let sent = add.request().payload;
                let read = |bytes| Filter::parse(&reply(bytes), link);
                assert_eq!(read(&sent).unwrap(), Some(filter));
                // A part of it is an error, or less, and never a panic.
                for length in 0..sent.len() {
                    let _ = read(&sent[..length]);
                }
            }
        }
        let kinds = [
            QdiscKind::Tbf(bucket),
            QdiscKind::Tbf(Bucket::new(125_000, 15_000)),
            QdiscKind::Htb,
            QdiscKind::Clsact,
            QdiscKind::FqCodel {
                target: 5000,
                interval: 100_000,
            },
            QdiscKind::Other("pfifo".to_owned()),
        ];
        for kind in kinds {
            let handle = Handle::qdisc(0x7457);
            let qdisc = Qdisc { handle, kind };
            let parent = Handle::ROOT;
            let add = TrafficChange::AddQdisc {
                link,
                parent,
                qdisc: qdisc.clone(),
            };
            let sent = add.request().payload;
            assert_eq!(Qdisc::parse(&reply(&sent)).unwrap(), Some(qdisc));
            for length in 0..sent.len() {
                let _ = Qdisc::parse(&reply(&sent[..length]));
            }
        }
        let handle = Handle::qdisc(0x7457).class(1);
        let class = Class { handle, bucket };
        let qdisc = handle.class(0);
        let add = TrafficChange::AddClass { link, qdisc, class };
        let sent = add.request().payload;
        assert_eq!(Class::parse(&reply(&sent)).unwrap(), Some(class));
    }

    #[test]
    fn a_network_is_compared_in_words_of_its_address() {
        let of = |text: &str| format!("{:?}", Match::destination(text.parse().unwrap()));
        assert_eq!(of("10.1.2.3/20"), of("10.1.0.0/20"));
        assert_ne!(of("10.1.2.3/20"), of("10.1.0.0/21"));
        assert!(Match::source("::/0".parse().unwrap()).is_ipv6());
        assert!(!Match::all().is_ipv6());
    }
}
