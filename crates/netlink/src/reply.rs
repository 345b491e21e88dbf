//! The kernel's answers.

use netlink_packet_core::{
    DecodeError, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, parse_i32,
    parse_u16, parse_u32,
};
use nix::errno::Errno;

pub(crate) use crate::attributes::read as attributes_of;

/// An extended acknowledgement's attribute with the kernel's own words (`NLMSGERR_ATTR_MSG`).
const ERROR_TEXT: u16 = 1;

/// The length of a message's header.
pub(crate) const HEADER: usize = 16;

/// A message of the kernel's.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// What it is: `RTM_NEWLINK`, for example.
    pub message_type: u16,
    /// The `NLM_F_*` flags.
    pub flags: u16,
    /// The number of the request that it answers.
    pub sequence: u32,
    /// What follows the message's header.
    pub payload: &'a [u8],
}

/// Why the kernel refused a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) errno: Errno,
    pub(crate) text: Option<String>,
}

impl<'a> Reply<'a> {
    /// Takes the first message off a datagram.
    pub(crate) fn take(datagram: &mut &'a [u8]) -> Result<Option<Self>, DecodeError> {
        if datagram.is_empty() {
            return Ok(None);
        }
        let message = NetlinkBuffer::new_checked(*datagram)?;
        let length = message.length() as usize;
        let rest = datagram.get(length.next_multiple_of(4)..);
        let payload = datagram.get(HEADER..length).unwrap_or_default();
        *datagram = rest.unwrap_or_default();
        Ok(Some(Self {
            message_type: message.message_type(),
            flags: message.flags(),
            sequence: message.sequence_number(),
            payload,
        }))
    }

    /// Whether this is an acknowledgement or a refusal, and which; `None` for everything else.
    pub(crate) fn verdict(&self) -> Result<Option<Result<(), Refusal>>, DecodeError> {
        // What a dump ends with has the same form, without the copy of the request's header.
        let copied = match self.message_type {
            NLMSG_ERROR if self.flags & NLM_F_CAPPED != 0 => HEADER,
            NLMSG_ERROR => {
                let length = self.payload.get(4..8).map_or(Ok(0), parse_u32)?;
                (length as usize).next_multiple_of(4)
            }
            NLMSG_DONE => 0,
            _ => return Ok(None),
        };
        let code = self.payload.get(..4).map_or(Ok(0), parse_i32)?;
        if code == 0 {
            return Ok(Some(Ok(())));
        }
        let mut text = None;
        if self.flags & NLM_F_ACK_TLVS != 0 {
            let attributes = self.payload.get(4 + copied..).unwrap_or_default();
            for attribute in attributes_of(attributes) {
                let (ERROR_TEXT, value) = attribute? else {
                    continue;
                };
                text = Some(text_of(value));
            }
        }
        Ok(Some(Err(Refusal {
            errno: Errno::from_raw(code.saturating_neg()),
            text,
        })))
    }

    /// The index of the link that a message about links or addresses is about.
    pub(crate) fn link_index(&self) -> Option<u32> {
        self.payload
            .get(4..8)
            .and_then(|index| parse_u32(index).ok())
    }

    /// The attributes after a fixed header of this length.
    pub(crate) fn attributes(
        &self,
        header: usize,
    ) -> impl Iterator<Item = Result<(u16, &'a [u8]), DecodeError>> + use<'a> {
        attributes_of(self.payload.get(header..).unwrap_or_default())
    }
}

/// The text of a value that may end with a null byte.
pub(crate) fn text_of(value: &[u8]) -> String {
    let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

pub(crate) fn u8_of(value: &[u8]) -> Result<u8, DecodeError> {
    netlink_packet_core::parse_u8(value)
}

pub(crate) fn u16_of(value: &[u8]) -> Result<u16, DecodeError> {
    parse_u16(value)
}

pub(crate) fn u32_of(value: &[u8]) -> Result<u32, DecodeError> {
    parse_u32(value)
}

pub(crate) fn i32_of(value: &[u8]) -> Result<i32, DecodeError> {
    parse_i32(value)
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
        let whole = message(NLMSG_ERROR, NLM_F_CAPPED | NLM_F_ACK_TLVS, &payload);
        let verdict = |bytes: &[u8]| {
            let mut rest = bytes;
            let reply = Reply::take(&mut rest).ok().flatten();
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
        datagram.extend(message(NLMSG_DONE, 2, &0_i32.to_ne_bytes()));
        let mut rest = datagram.as_slice();
        let first = Reply::take(&mut rest).unwrap().unwrap();
        assert_eq!(first.payload, [1, 2, 3, 4, 5]);
        assert_eq!((first.message_type, first.sequence), (20, 7));
        assert_eq!(first.verdict().unwrap(), None);
        let second = Reply::take(&mut rest).unwrap().unwrap();
        assert_eq!(second.verdict().unwrap(), Some(Ok(())));
        assert!(Reply::take(&mut rest).unwrap().is_none());
    }
}
