//! The kernel's messages, answers and events, in the form of [requests](crate::KernelRequest).
//!
//! A refusal, and an acknowledgement, is a message of the type `NLMSG_ERROR`:
//!
//! ```text
//!  0       4
//! +-------+-------------------------+- - - - - - - - - -+- - - - - - -+
//! | -errno| the request's header    | the request's rest| attributes  |   struct nlmsgerr
//! +-------+-------------------------+- - - - - - - - - -+- - - - - - -+
//! ```
//!
//! The rest is left out with the flag `NLM_F_CAPPED`. The attributes, with the flag
//! `NLM_F_ACK_TLVS`, are the extended acknowledgement: the reason as text from the kernel.

use std::borrow::Cow;

use nix::errno::Errno;
use nix::libc;

use crate::attributes::{self, Malformed, i32_of, text_of, u16_of, u32_of};
use crate::request::HEADER;
use crate::uapi::{NLMSGERR_ATTR_MSG, header_field};

/// The type of a refusal and of an acknowledgement.
pub(crate) const ERROR: u16 = header_field(libc::NLMSG_ERROR);
/// The type of the message that ends a list.
pub(crate) const DONE: u16 = header_field(libc::NLMSG_DONE);

const CAPPED: u16 = header_field(libc::NLM_F_CAPPED);
const ACK_TLVS: u16 = header_field(libc::NLM_F_ACK_TLVS);

/// A message from the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelMessage<'a> {
    /// `RTM_NEWLINK`, for example.
    pub message_type: u16,
    /// The `NLM_F_*` flags.
    pub flags: u16,
    /// The sequence number of the request that it answers, or that caused it.
    pub(crate) sequence: u32,
    /// The message's fields and attributes.
    pub payload: Cow<'a, [u8]>,
}

/// The kernel's reason for refusing a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) errno: Errno,
    /// The kernel's text, if it sends one.
    pub(crate) text: Option<String>,
}

impl<'a> KernelMessage<'a> {
    /// Takes the first message off a datagram.
    pub(crate) fn take(datagram: &mut &'a [u8]) -> Result<Option<Self>, Malformed> {
        if datagram.is_empty() {
            return Ok(None);
        }
        let cut_off = Malformed("a message is cut off");
        let header = datagram.get(..HEADER).ok_or(cut_off)?;
        let field = |range| header.get(range).unwrap_or_default();
        let length = u32_of(field(0..4))? as usize;
        let payload = datagram.get(HEADER..length).ok_or(cut_off)?;
        let reply = Self {
            message_type: u16_of(field(4..6))?,
            flags: u16_of(field(6..8))?,
            sequence: u32_of(field(8..12))?,
            payload: Cow::Borrowed(payload),
        };
        let rest = datagram.get(length.next_multiple_of(4)..);
        *datagram = rest.unwrap_or_default();
        Ok(Some(reply))
    }

    /// An owned copy of the message.
    pub(crate) fn into_owned(self) -> KernelMessage<'static> {
        KernelMessage {
            payload: Cow::Owned(self.payload.into_owned()),
            ..self
        }
    }

    /// Whether this is an acknowledgement or a refusal, and which; `None` for everything else.
    pub(crate) fn verdict(&self) -> Result<Option<Result<(), Refusal>>, Malformed> {
        // The end of a list has the same form, without the copy of the request.
        let copied = match self.message_type {
            ERROR if self.flags & CAPPED != 0 => HEADER,
            ERROR => {
                let length = self.payload.get(4..8).map_or(Ok(0), u32_of)?;
                (length as usize).next_multiple_of(4)
            }
            DONE => 0,
            _ => return Ok(None),
        };
        let code = self.payload.get(..4).map_or(Ok(0), i32_of)?;
        if code == 0 {
            return Ok(Some(Ok(())));
        }
        let mut text = None;
        if self.flags & ACK_TLVS != 0 {
            for attribute in self.attributes(4 + copied) {
                if let (NLMSGERR_ATTR_MSG, value) = attribute? {
                    text = Some(text_of(value));
                }
            }
        }
        Ok(Some(Err(Refusal {
            errno: Errno::from_raw(code.saturating_neg()),
            text,
        })))
    }

    /// The index of the link in a message about links or addresses.
    pub(crate) fn link_index(&self) -> Option<u32> {
        self.payload.get(4..8).and_then(|index| u32_of(index).ok())
    }

    /// The attributes after the message's own fields, which have this length in bytes.
    pub(crate) fn attributes(
        &self,
        fields: usize,
    ) -> impl Iterator<Item = Result<(u16, &[u8]), Malformed>> {
        attributes::read(self.payload.get(fields..).unwrap_or_default())
    }
}

/// A message of this payload, for the tests of those who read it.
#[cfg(test)]
pub(crate) fn reply_with(payload: &[u8]) -> KernelMessage<'_> {
    KernelMessage {
        message_type: 0,
        flags: 0,
        sequence: 0,
        payload: Cow::Borrowed(payload),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(message_type: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(16 + payload.len())
            .unwrap()
            .to_ne_bytes()
            .to_vec();
        bytes.extend(message_type.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(7_u32.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn a_damaged_datagram_is_an_error_or_nothing_but_never_a_panic() {
        let mut payload = (-17_i32).to_ne_bytes().to_vec();
        payload.extend([0; 16]);
        payload.extend([9, 0, 1, 0]);
        payload.extend(b"why?\0\0\0\0");
        let whole = message(ERROR, CAPPED | ACK_TLVS, &payload);
        let verdict = |bytes: &[u8]| {
            let mut rest = bytes;
            let reply = KernelMessage::take(&mut rest).ok().flatten();
            reply.and_then(|reply| reply.verdict().ok().flatten())
        };
        let refusal = Refusal {
            errno: Errno::EEXIST,
            text: Some("why?".to_owned()),
        };
        assert_eq!(verdict(&whole), Some(Err(refusal)));
        for length in 0..whole.len() {
            verdict(&whole[..length]);
        }
        for position in 0..whole.len() {
            for value in [0, 1, 3, 4, 15, 16, 17, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged[position] = value;
                verdict(&damaged);
            }
        }
    }

    #[test]
    fn several_messages_in_a_datagram() {
        let mut datagram = message(20, 2, &[1, 2, 3, 4, 5]);
        datagram.resize(24, 0);
        datagram.extend(message(DONE, 2, &0_i32.to_ne_bytes()));
        let mut rest = datagram.as_slice();
        let first = KernelMessage::take(&mut rest).unwrap().unwrap();
        assert_eq!(*first.payload, [1, 2, 3, 4, 5]);
        assert_eq!((first.message_type, first.sequence), (20, 7));
        assert_eq!(first.verdict().unwrap(), None);
        let second = KernelMessage::take(&mut rest).unwrap().unwrap();
        assert_eq!(second.verdict().unwrap(), Some(Ok(())));
        assert!(KernelMessage::take(&mut rest).unwrap().is_none());
    }
}
