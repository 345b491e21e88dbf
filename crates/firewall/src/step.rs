use netlink::{Answer, Bytes, Reply, Request};
use nix::errno::Errno;

use crate::attributes::{Attributes, find};
use crate::element::HEADER;
use crate::table::Table;

// linux/netfilter/nfnetlink.h and nf_tables.h
const NFTABLES: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

/// A message of nftables (`NFT_MSG_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    NewTable = 0,
    GetTable = 1,
    DeleteTable = 2,
    NewChain = 3,
    GetChain = 4,
    DeleteChain = 5,
    NewRule = 6,
    GetRule = 7,
    DeleteRule = 8,
    NewSet = 9,
    GetSet = 10,
    NewElement = 12,
    GetElement = 13,
    DeleteElement = 14,
    GetGeneration = 16,
}

// linux/netlink.h
const EXCLUSIVE: u16 = 0x200;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;

/// One change of a transaction.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) request: Request<Bytes>,
    /// `None` for a table of others.
    pub(crate) table: Option<Table>,
    message: Message,
}

impl Message {
    /// The number that it travels under.
    pub(crate) fn number(self) -> u16 {
        NFTABLES << 8 | self as u16
    }

    /// The request for it in a family (`NFPROTO_*`); `what` says what is asked for.
    pub(crate) fn request(
        self,
        family: u8,
        what: String,
        attributes: Attributes,
    ) -> Request<Bytes> {
        // struct nfgenmsg: the family, the version, and a number that only batches use.
        let mut payload = vec![family, 0, 0, 0];
        payload.extend(attributes.into_bytes());
        let flags = match self {
            // Two that make the same at once must not both succeed: the rules would be there twice.
            Self::NewTable | Self::NewChain | Self::NewSet | Self::NewElement => CREATE | EXCLUSIVE,
            Self::NewRule => CREATE | APPEND,
            Self::GetTable
            | Self::DeleteTable
            | Self::GetChain
            | Self::DeleteChain
            | Self::GetRule
            | Self::DeleteRule
            | Self::GetSet
            | Self::GetElement
            | Self::DeleteElement
            | Self::GetGeneration => 0,
        };
        Request {
            what,
            payload: Bytes {
                message_type: self.number(),
                payload,
            },
            flags,
            answer: Answer::Message,
        }
    }

    /// The step of a transaction that it is, in one of our tables.
    pub(crate) fn step(self, table: Table, what: String, attributes: Attributes) -> Step {
        Step {
            table: Some(table),
            ..self.foreign_step(table.family(), what, attributes)
        }
    }

    /// The step of a transaction that it is, in a table of others.
    pub(crate) fn foreign_step(self, family: u8, what: String, attributes: Attributes) -> Step {
        let mut request = self.request(family, what, attributes);
        request.answer = Answer::Nothing;
        Step {
            request,
            table: None,
            message: self,
        }
    }
}

impl Step {
    /// The same for what exists already: it is changed.
    pub(crate) fn of_existing(mut self) -> Self {
        self.request.flags &= !EXCLUSIVE;
        self
    }

    /// Whether a refusal means that the state was not what it was taken for, be it that others were quicker: then a
    /// fresh look and another attempt help.
    pub(crate) fn is_overtaken(&self, errno: Errno) -> bool {
        match self.message {
            Message::NewTable | Message::NewChain | Message::NewSet => errno == Errno::EEXIST,
            // `EBUSY` is what a kernel says whose element is the same but for its data. `ENOENT` is about its set.
            Message::NewElement => matches!(errno, Errno::EEXIST | Errno::EBUSY | Errno::ENOENT),
            Message::DeleteElement | Message::DeleteRule => errno == Errno::ENOENT,
            // `EBUSY`: something leads to the chain by now.
            Message::DeleteTable | Message::DeleteChain => {
                matches!(errno, Errno::ENOENT | Errno::EBUSY)
            }
            _ => false,
        }
    }
}

/// The number that the whole ruleset's state has: each transaction, of anybody, makes it another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation([u8; 4]);

impl Generation {
    /// Asks for it.
    pub(crate) fn find() -> Request<Bytes> {
        let what = "find the nftables ruleset's generation".to_owned();
        const NO_FAMILY: u8 = 0;
        Message::GetGeneration.request(NO_FAMILY, what, Attributes::new())
    }

    /// `None` if the reply is none to [`Generation::find`].
    pub(crate) fn read(reply: &Reply<'_>) -> Option<Self> {
        const ID: u16 = 1;
        let attributes = reply.payload.get(HEADER..)?;
        Some(Self(find(attributes, ID).ok()?.try_into().ok()?))
    }
}

/// What a transaction begins with. If the kernel refuses this, it answers nothing else; it does so with
/// [`Errno::ERESTART`] if the ruleset has another generation than this.
pub(crate) fn begin(generation: Option<Generation>) -> Request<Bytes> {
    const GENERATION: u16 = 1;
    let mut begin = edge(BATCH_BEGIN, Answer::NothingUnlessAllFails);
    if let Some(Generation(id)) = generation {
        let attribute = Attributes::new().bytes(GENERATION, &id);
        begin.payload.payload.extend(attribute.into_bytes());
    }
    begin
}

/// What a transaction ends with.
pub(crate) fn end() -> Request<Bytes> {
    edge(BATCH_END, Answer::Nothing)
}

fn edge(message_type: u16, answer: Answer) -> Request<Bytes> {
    let [high, low] = NFTABLES.to_be_bytes();
    Request {
        what: "change the nftables ruleset".to_owned(),
        payload: Bytes {
            message_type,
            payload: vec![0, 0, high, low],
        },
        flags: 0,
        answer,
    }
}
