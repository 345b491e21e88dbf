//! Messages to the kernel.
//!
//! ```text
//!  0       4       6       8       12      16
//! +-------+-------+-------+-------+-------+------------ - - -+ - - -+
//! | length| type  | flags | seq   | port  | payload          | zeros|   struct nlmsghdr
//! +-------+-------+-------+-------+-------+------------ - - -+ - - -+
//! ```
//!
//! The payload consists of fields that depend on the type, and of [attributes](crate::attributes).
//! The kernel's answers contain the sequence number of the request. Several messages make a
//! datagram, each filled up with zeros to a multiple of four bytes.

use nix::libc;

use crate::uapi::header_field;

/// The length of a message's header in bytes.
pub(crate) const HEADER: usize = 16;

/// Create what does not exist.
pub(crate) const CREATE: u16 = header_field(libc::NLM_F_CREATE);
/// Refuse what exists.
pub(crate) const EXCLUSIVE: u16 = header_field(libc::NLM_F_EXCL);
/// Replace what exists.
pub(crate) const REPLACE: u16 = header_field(libc::NLM_F_REPLACE);

/// The kernel's answer to a request that succeeds. It always reports an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Not at all.
    Nothing,
    /// As [`Answer::Nothing`], but if this request is refused, the kernel answers nothing else: the
    /// start of an nftables batch.
    NothingUnlessAllFails,
    /// An acknowledgement, which is requested.
    Acknowledgement,
    /// One message.
    Message,
}

/// A message to the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelRequest {
    /// A description, as it follows "cannot": `create bridge cni0`.
    pub what: String,
    /// `RTM_*`; for nftables the subsystem's number, times 256, plus the message's.
    pub message_type: u16,
    /// The `NLM_F_*` flags but for `NLM_F_REQUEST`, `NLM_F_ACK` and `NLM_F_DUMP`.
    pub flags: u16,
    /// The message's fields and attributes.
    pub payload: Vec<u8>,
    /// The answer to expect.
    pub answer: Answer,
}

impl KernelRequest {
    /// The length of the message in bytes, without the zeros that fill it up.
    pub(crate) fn length(&self) -> usize {
        HEADER + self.payload.len()
    }

    /// Appends the message to a datagram, with these flags beside its own.
    pub(crate) fn append(&self, datagram: &mut Vec<u8>, flags: u16, sequence: u32) {
        let flags = self.flags | flags | header_field(libc::NLM_F_REQUEST);
        datagram.extend((self.length() as u32).to_ne_bytes());
        datagram.extend(self.message_type.to_ne_bytes());
        datagram.extend(flags.to_ne_bytes());
        datagram.extend(sequence.to_ne_bytes());
        // The port: the kernel knows the socket's.
        datagram.extend([0; 4]);
        datagram.extend(&self.payload);
        datagram.resize(datagram.len().next_multiple_of(4), 0);
    }
}
