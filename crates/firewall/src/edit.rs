//! The messages of nftables: questions, and edits, many of which make a transaction.

use netlink::attributes::{Attributes, Malformed, find};
use netlink::{Answer, KernelMessage, KernelRequest};
use nix::errno::Errno;
use nix::libc;

use crate::kernel::Question;
use crate::nf_tables::{HEADER, generation};
use crate::table::Table;

/// The type of a message (`NFT_MSG_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    NewTable = libc::NFT_MSG_NEWTABLE as isize,
    GetTable = libc::NFT_MSG_GETTABLE as isize,
    DeleteTable = libc::NFT_MSG_DELTABLE as isize,
    NewChain = libc::NFT_MSG_NEWCHAIN as isize,
    GetChain = libc::NFT_MSG_GETCHAIN as isize,
    DeleteChain = libc::NFT_MSG_DELCHAIN as isize,
    NewRule = libc::NFT_MSG_NEWRULE as isize,
    GetRule = libc::NFT_MSG_GETRULE as isize,
    DeleteRule = libc::NFT_MSG_DELRULE as isize,
    NewSet = libc::NFT_MSG_NEWSET as isize,
    GetSet = libc::NFT_MSG_GETSET as isize,
    NewElement = libc::NFT_MSG_NEWSETELEM as isize,
    GetElement = libc::NFT_MSG_GETSETELEM as isize,
    DeleteElement = libc::NFT_MSG_DELSETELEM as isize,
    GetGeneration = libc::NFT_MSG_GETGEN as isize,
}

/// One change of the ruleset.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    pub(crate) request: KernelRequest,
    /// `None` for a table that is not this crate's.
    pub(crate) table: Option<Table>,
    message: Message,
}

/// Edits that the kernel carries out together or not at all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) edits: Vec<Edit>,
    /// The generation that the transaction was planned for. `None` if its edits fail by themselves
    /// when the ruleset is not as planned.
    pub(crate) generation: Option<Generation>,
}

/// The number of the whole ruleset's state, which every transaction of any process changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation([u8; 4]);

impl Message {
    /// The number of the type.
    pub(crate) fn number(self) -> u16 {
        (libc::NFNL_SUBSYS_NFTABLES as u16) << 8 | self as u16
    }

    /// A message of this type for a family (`NFPROTO_*`); `what` describes it in errors.
    pub(crate) fn request(self, family: u8, what: String, attributes: Attributes) -> KernelRequest {
        // struct nfgenmsg: the family, the version, and a number that only batches use.
        let mut payload = vec![family, 0, 0, 0];
        payload.extend(attributes.into_bytes());
        let flags = match self {
            // Of two transactions that create the same at once, one must fail: the rules would be
            // there twice.
            Self::NewTable | Self::NewChain | Self::NewSet | Self::NewElement => {
                libc::NLM_F_CREATE | libc::NLM_F_EXCL
            }
            Self::NewRule => libc::NLM_F_CREATE | libc::NLM_F_APPEND,
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
        KernelRequest {
            what,
            message_type: self.number(),
            flags: flags as u16,
            payload,
            answer: Answer::Message,
        }
    }

    /// An edit of a table of this crate.
    pub(crate) fn edit(self, table: Table, what: String, attributes: Attributes) -> Edit {
        Edit {
            table: Some(table),
            ..self.foreign_edit(table.family(), what, attributes)
        }
    }

    /// An edit of another program's table.
    pub(crate) fn foreign_edit(self, family: u8, what: String, attributes: Attributes) -> Edit {
        let mut request = self.request(family, what, attributes);
        request.answer = Answer::Nothing;
        Edit {
            request,
            table: None,
            message: self,
        }
    }
}

impl Edit {
    /// Makes this the edit of an object that exists already.
    pub(crate) fn of_existing(mut self) -> Self {
        self.request.flags &= !(libc::NLM_F_EXCL as u16);
        self
    }

    /// Whether a refusal means that the ruleset is not as the transaction assumed, for example
    /// because another process was faster: then reading it again and another attempt help.
    pub(crate) fn is_overtaken(&self, errno: Errno) -> bool {
        match self.message {
            Message::NewTable | Message::NewSet => errno == Errno::EEXIST,
            // Also of an existing chain that has another hook; older kernels say `EBUSY` then.
            Message::NewChain => matches!(errno, Errno::EEXIST | Errno::EBUSY),
            // The kernel says `EBUSY` if it has the element with other data, and `ENOENT` if it
            // does not have the set.
            Message::NewElement => matches!(errno, Errno::EEXIST | Errno::EBUSY | Errno::ENOENT),
            Message::DeleteElement | Message::DeleteRule => errno == Errno::ENOENT,
            // `EBUSY`: a rule that jumps to the chain has been added.
            Message::DeleteTable | Message::DeleteChain => {
                matches!(errno, Errno::ENOENT | Errno::EBUSY)
            }
            _ => false,
        }
    }
}

impl Transaction {
    /// A transaction whose edits fail by themselves if the ruleset is not as planned.
    pub(crate) fn of(edits: impl IntoIterator<Item = Edit>) -> Self {
        Self {
            edits: edits.into_iter().collect(),
            generation: None,
        }
    }

    /// The message that begins the transaction. If the kernel refuses this one, it answers nothing
    /// else; it refuses with [`Errno::ERESTART`] if the ruleset has another generation.
    pub(crate) fn begin(&self) -> KernelRequest {
        let answer = Answer::NothingUnlessAllFails;
        let mut begin = batch_message(libc::NFNL_MSG_BATCH_BEGIN, answer);
        if let Some(Generation(id)) = self.generation {
            let attribute = Attributes::new().bytes(generation::OF_BATCH, &id);
            begin.payload.extend(attribute.into_bytes());
        }
        begin
    }

    /// The message that ends the transaction.
    pub(crate) fn end() -> KernelRequest {
        batch_message(libc::NFNL_MSG_BATCH_END, Answer::Nothing)
    }
}

fn batch_message(message_type: i32, answer: Answer) -> KernelRequest {
    let [high, low] = (libc::NFNL_SUBSYS_NFTABLES as u16).to_be_bytes();
    KernelRequest {
        what: "change the nftables ruleset".to_owned(),
        message_type: message_type as u16,
        flags: 0,
        payload: vec![0, 0, high, low],
        answer,
    }
}

/// The question for the ruleset's present generation.
pub(crate) struct PresentGeneration;

impl Question for PresentGeneration {
    /// `None` for another type of message.
    type Answer = Option<Generation>;

    fn request(&self) -> KernelRequest {
        let what = "find the nftables ruleset's generation".to_owned();
        let family = libc::NFPROTO_UNSPEC as u8;
        Message::GetGeneration.request(family, what, Attributes::new())
    }

    fn read(&self, reply: &KernelMessage<'_>) -> Result<Option<Generation>, Malformed> {
        let attributes = reply.payload.get(HEADER..).unwrap_or_default();
        let id = find(attributes, generation::ID)?;
        Ok(id.try_into().ok().map(Generation))
    }
}
