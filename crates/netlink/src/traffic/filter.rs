//! Filters of the kind `u32`, which every kernel with filters has, and their actions.

use ipnetwork::IpNetwork;
use nix::libc;

use crate::KernelMessage;
use crate::attributes::{self, Attributes, Malformed, u32_of};
use crate::traffic::bucket::Bucket;
use crate::traffic::{Handle, field_of, kind_of};

// linux/pkt_cls.h
const TCA_U32_CLASSID: u16 = 1;
const TCA_U32_SEL: u16 = 5;
const TCA_U32_ACT: u16 = 7;
pub(super) const TCA_ACT_KIND: u16 = 1;
const TCA_ACT_OPTIONS: u16 = 2;
const TCA_POLICE_TBF: u16 = 1;
const TCA_POLICE_RATE: u16 = 2;
const TCA_POLICE_RATE64: u16 = 8;
const TC_ACT_STOLEN: u32 = 4;
const TC_ACT_SHOT: u32 = 2;
const TC_U32_TERMINAL: u8 = 1;

// linux/tc_act/tc_mirred.h
const TCA_MIRRED_PARMS: u16 = 2;
const TCA_EGRESS_REDIR: u32 = 1;

/// The offsets of the action's and the link's numbers in `struct tc_mirred`.
const MIRRED_ACTION: std::ops::Range<usize> = 20..24;
const MIRRED_LINK: std::ops::Range<usize> = 24..28;

/// The lengths of `struct tc_u32_sel` and `struct tc_u32_key`.
const SELECTOR: usize = 16;
const KEY: usize = 16;

/// A filter: a match and its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Filters of lower priority numbers are tried before. A priority has one protocol.
    pub priority: u16,
    /// The matching packets.
    pub packets: Match,
    /// Their target.
    pub target: Target,
}

/// The match of a filter: packets of a protocol with given values at given offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// `ETH_P_*`.
    protocol: u16,
    keys: Vec<Key>,
}

/// Four bytes of a packet (`struct tc_u32_key`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    mask: [u8; 4],
    value: [u8; 4],
    /// Their offset from the beginning of the network header.
    offset: u32,
}

/// The target of matching packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// They belong to a class. In `clsact`, they continue, and no later filter is tried.
    Class(Handle),
    /// They are redirected to another link.
    Redirect {
        /// Its index.
        link: u32,
    },
    /// A policer drops those that exceed the bucket. Filters with the same number share a bucket.
    Police {
        /// A number, unique in a network namespace.
        number: u32,
        /// The bucket.
        bucket: Bucket,
    },
    /// Another target, which this crate does not use.
    Other,
}

impl Match {
    /// All packets.
    pub fn all() -> Self {
        // The kernel requires a key.
        Self::of(libc::ETH_P_ALL, &[], &[], 0)
    }

    /// Those whose source is in a network.
    pub fn source(network: IpNetwork) -> Self {
        match network {
            IpNetwork::V4(_) => Self::addresses(network, 12),
            IpNetwork::V6(_) => Self::addresses(network, 8),
        }
    }

    /// Those whose destination is in a network.
    pub fn destination(network: IpNetwork) -> Self {
        match network {
            IpNetwork::V4(_) => Self::addresses(network, 16),
            IpNetwork::V6(_) => Self::addresses(network, 24),
        }
    }

    fn addresses(network: IpNetwork, offset: u32) -> Self {
        match network {
            IpNetwork::V4(network) => {
                let (mask, value) = (network.mask().octets(), network.network().octets());
                Self::of(libc::ETH_P_IP, &mask, &value, offset)
            }
            IpNetwork::V6(network) => {
                let (mask, value) = (network.mask().octets(), network.network().octets());
                Self::of(libc::ETH_P_IPV6, &mask, &value, offset)
            }
        }
    }

    fn of(protocol: libc::c_int, mask: &[u8], value: &[u8], offset: u32) -> Self {
        let words = |bytes: &[u8]| {
            let words = bytes.chunks_exact(4);
            words
                .map(|word| word.try_into().unwrap_or_default())
                .collect::<Vec<[u8; 4]>>()
        };
        let keys = words(mask).into_iter().zip(words(value));
        let keys = keys.zip((offset..).step_by(4));
        let keys = keys.map(|((mask, value), offset)| Key {
            mask,
            value,
            offset,
        });
        let mut keys: Vec<Key> = keys.filter(|key| key.mask != [0; 4]).collect();
        if keys.is_empty() {
            keys.push(Key {
                mask: [0; 4],
                value: [0; 4],
                offset,
            });
        }
        Self {
            protocol: protocol as u16,
            keys,
        }
    }

    /// Whether these are packets of IPv6.
    pub fn is_ipv6(&self) -> bool {
        self.protocol == libc::ETH_P_IPV6 as u16
    }

    /// `struct tc_u32_sel`.
    fn selector(&self) -> Vec<u8> {
        let mut selector = vec![0; SELECTOR];
        selector.splice(..3, [TC_U32_TERMINAL, 0, self.keys.len() as u8]);
        for key in &self.keys {
            selector.extend(key.mask);
            selector.extend(key.value);
            selector.extend(key.offset.to_ne_bytes());
            selector.extend([0; 4]);
        }
        selector
    }

    /// `None` for options without a selector, such as those of a table of filters.
    fn parse(protocol: u16, selector: &[u8]) -> Option<Self> {
        let keys = selector.get(SELECTOR..)?.chunks_exact(KEY);
        let keys = keys.filter_map(|key| {
            Some(Key {
                mask: key.get(..4)?.try_into().ok()?,
                value: key.get(4..8)?.try_into().ok()?,
                offset: u32_of(key.get(8..12)?).ok()?,
            })
        });
        let keys = keys.collect();
        Some(Self { protocol, keys })
    }
}

impl Target {
    fn append_to(&self, options: Attributes) -> Attributes {
        match self {
            Self::Class(handle) => options.bytes(TCA_U32_CLASSID, &handle.0.to_ne_bytes()),
            Self::Redirect { link } => {
                // `struct tc_gen`: index, capabilities, action, references, bindings.
                let parameters = [0, 0, TC_ACT_STOLEN, 0, 0, TCA_EGRESS_REDIR, *link];
                let parameters = parameters.map(u32::to_ne_bytes).concat();
                action(
                    options,
                    "mirred",
                    Attributes::new().bytes(TCA_MIRRED_PARMS, &parameters),
                )
            }
            Self::Police { number, bucket } => {
                // Number, action on excess, limit, burst, size of a packet.
                let start = [*number, TC_ACT_SHOT, 0, bucket.depth, u32::MAX];
                let start = start.map(u32::to_ne_bytes);
                let no_peak = [0; 12];
                // References, bindings, capabilities.
                let end = [0; 12];
                let spec = bucket.rate_spec();
                let parameters = [&start.concat()[..], &spec, &no_peak, &end].concat();
                let parameters = Attributes::new()
                    .bytes(TCA_POLICE_TBF, &parameters)
                    // The kernel requires a table, and does not read it.
                    .bytes(TCA_POLICE_RATE, &[0; 1024]);
                let parameters = bucket.large_rate(parameters, TCA_POLICE_RATE64);
                action(options, "police", parameters)
            }
            Self::Other => options,
        }
    }

    fn parse(options: &[u8]) -> Result<Self, Malformed> {
        let actions = attributes::find(options, TCA_U32_ACT)?;
        let Some(first) = attributes::read(actions).next() else {
            let class = attributes::find(options, TCA_U32_CLASSID)?;
            return Ok(u32_of(class).map_or(Self::Other, |class| Self::Class(Handle(class))));
        };
        let (_, action) = first?;
        let parameters = attributes::find(action, TCA_ACT_OPTIONS)?;
        Ok(match attributes::text(action, TCA_ACT_KIND)? {
            "mirred" => {
                let mirred = attributes::find(parameters, TCA_MIRRED_PARMS)?;
                let number = |range| mirred.get(range).and_then(|value| u32_of(value).ok());
                match (number(MIRRED_ACTION), number(MIRRED_LINK)) {
                    (Some(TCA_EGRESS_REDIR), Some(link)) => Self::Redirect { link },
                    _ => Self::Other,
                }
            }
            "police" => {
                let police = attributes::find(parameters, TCA_POLICE_TBF)?;
                let field = |range| police.get(range).unwrap_or_default();
                let large_rate = attributes::find(parameters, TCA_POLICE_RATE64)?;
                Self::Police {
                    number: u32_of(field(0..4))?,
                    bucket: Bucket::parse(field(20..32), field(12..16), large_rate)?,
                }
            }
            _ => Self::Other,
        })
    }
}

fn action(options: Attributes, kind: &str, parameters: Attributes) -> Attributes {
    let action = Attributes::new()
        .text(TCA_ACT_KIND, kind)
        .nest(TCA_ACT_OPTIONS, parameters);
    // Actions are numbered in their order.
    options.nest(TCA_U32_ACT, Attributes::new().nest(1, action))
}

impl Filter {
    /// `info` of `struct tcmsg`.
    pub(super) fn info(&self) -> u32 {
        u32::from(self.priority) << 16 | u32::from(self.packets.protocol.to_be())
    }

    pub(super) fn options(&self) -> Attributes {
        let options = Attributes::new().bytes(TCA_U32_SEL, &self.packets.selector());
        self.target.append_to(options)
    }

    /// `None` for a filter of another link, and for a table of filters. A filter of another kind
    /// counts as one for other packets.
    pub(super) fn parse(reply: &KernelMessage<'_>, link: u32) -> Result<Option<Self>, Malformed> {
        if reply.link_index() != Some(link) {
            return Ok(None);
        }
        let info = field_of(reply, 4).ok_or(Malformed("a filter has no priority"))?;
        let priority = (info >> 16) as u16;
        let protocol = u16::from_be(info as u16);
        let (kind, options) = kind_of(reply)?;
        if kind != "u32" {
            let other = Match {
                protocol,
                keys: Vec::new(),
            };
            return Ok(Some(Self {
                priority,
                packets: other,
                target: Target::Other,
            }));
        }
        let selector = attributes::find(options, TCA_U32_SEL)?;
        let Some(packets) = Match::parse(protocol, selector) else {
            return Ok(None);
        };
        Ok(Some(Self {
            priority,
            packets,
            target: Target::parse(options)?,
        }))
    }
}
