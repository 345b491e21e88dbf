//! The IDs that a namespace has for other namespaces (`struct rtgenmsg`, linux/net_namespace.h).

use std::os::fd::{AsFd, AsRawFd};

use nix::libc;

use crate::attributes::{Attributes, Malformed, i32_of};
use crate::uapi::{NETNSA_FD, NETNSA_NSID};
use crate::{Answer, KernelMessage, KernelRequest, Netns};

/// The length of `struct rtgenmsg`, filled up.
const HEADER: usize = 4;

/// The kernel's answer for a namespace without an ID.
const NONE: i32 = -1;

/// The request for a namespace's ID.
pub(crate) fn number_request(netns: &Netns) -> KernelRequest {
    let file = netns.as_fd().as_raw_fd().cast_unsigned();
    KernelRequest {
        what: format!("find the number of {}", netns.path().display()),
        message_type: libc::RTM_GETNSID,
        flags: 0,
        payload: Attributes::after(&[0; HEADER])
            .u32(NETNSA_FD, file)
            .into_bytes(),
        answer: Answer::Message,
    }
}

pub(crate) fn number_in(reply: &KernelMessage<'_>) -> Result<Option<i32>, Malformed> {
    for attribute in reply.attributes(HEADER) {
        if let (NETNSA_NSID, value) = attribute? {
            return Ok(Some(i32_of(value)?).filter(|number| *number != NONE));
        }
    }
    Ok(None)
}
