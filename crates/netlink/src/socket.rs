//! A netlink socket: requests out, answers in.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use child::Apart;
use nix::errno::Errno;
use nix::libc::{self, MSG_DONTWAIT, MSG_TRUNC};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::SndBufForce;

use crate::attributes::Malformed;
use crate::error::errno_of;
use crate::kernel_message::{DONE, ERROR, Refusal};
use crate::release::leave_to_collector;
use crate::uapi::header_field;
use crate::{Answer, KernelMessage, KernelRequest, NetlinkError};

/// The number of bytes per read. The kernel makes the parts of a dump as large as the reader's
/// buffer, up to this.
const BUFFER: usize = 32 << 10;

/// The largest number of attempts of [`Socket::dump`] to read a list that changes meanwhile.
pub const DUMP_ATTEMPTS: usize = 16;

const ACK: u16 = header_field(libc::NLM_F_ACK);
const DUMP: u16 = header_field(libc::NLM_F_DUMP);
const DUMP_INTERRUPTED: u16 = header_field(libc::NLM_F_DUMP_INTR);

/// The sequence number of the next request. All sockets of a process share it: two of them, in two
/// namespaces, may have the same port, and an event contains the port and the number of the request
/// that caused it.
static SEQUENCE: AtomicU32 = AtomicU32::new(1);

/// A netlink protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Links, addresses and routes (rtnetlink(7)).
    Route,
    /// nftables and the rest of netfilter.
    Netfilter,
}

/// The outcome of a request: the message that answers it, if there is one, or the kernel's refusal.
pub type RequestOutcome = Result<Option<KernelMessage<'static>>, NetlinkError>;

/// A request that another process has sent.
#[derive(Debug)]
pub(crate) struct HandedOver {
    pub(crate) process: Apart,
    sequence: u32,
}

impl HandedOver {
    /// Whether the kernel has refused the request, or carried it out.
    pub(crate) fn is_answered_by(&self, reply: &KernelMessage<'_>) -> bool {
        reply.message_type == ERROR && reply.sequence == self.sequence
    }
}

/// A netlink socket. It stays in the namespace in which it was opened, and can be used from any.
///
/// The kernel works on a request while it is being sent, so the answer is there when send(2)
/// returns: only `wait_for_event` waits. The end of the value does not wait either, as close(2)
/// would do: as long as the kernel still has to free what a transaction of nftables has removed, by
/// whomever in the namespace, each socket for netfilter waits for 6 to 14 ms when it is closed.
#[derive(Debug)]
pub struct Socket {
    protocol: Protocol,
    socket: netlink_sys::Socket,
    buffer: Vec<u8>,
    /// Closed after `socket`, because it is declared later.
    collected: Option<OwnedFd>,
}

impl Socket {
    /// Opens a socket in the namespace that the calling thread is in.
    ///
    /// # Errors
    /// [`NetlinkError::Socket`].
    pub fn open(protocol: Protocol) -> Result<Self, NetlinkError> {
        let number = match protocol {
            Protocol::Route => netlink_sys::protocols::NETLINK_ROUTE,
            Protocol::Netfilter => netlink_sys::protocols::NETLINK_NETFILTER,
        };
        let socket = netlink_sys::Socket::new(number).map_err(failed("open"))?;
        // Kernels before 4.12 and 4.20 do not have these options. Without them errors have no text,
        // and lists are not filtered: so each method that lists filters as well.
        drop(socket.set_ext_ack(true));
        drop(socket.set_netlink_get_strict_chk(true));
        socket.set_cap_ack(true).map_err(failed("set up"))?;
        Ok(Self {
            protocol,
            socket,
            buffer: Vec::with_capacity(BUFFER),
            collected: None,
        })
    }

    /// Sends requests in one datagram and returns the outcome of each, in order. All are carried
    /// out, even if one fails.
    ///
    /// At least the last request should be answered: the answer marks the end. If none is, the last
    /// one is acknowledged.
    ///
    /// # Errors
    /// [`NetlinkError::Socket`], and [`NetlinkError::Garbled`] if an answer cannot be read, or none
    /// comes.
    pub fn exchange(
        &mut self,
        requests: &[&KernelRequest],
    ) -> Result<Vec<RequestOutcome>, NetlinkError> {
        let Some(last) = requests.len().checked_sub(1) else {
            return Ok(Vec::new());
        };
        let is_answered = |request: &&KernelRequest| {
            matches!(request.answer, Answer::Acknowledgement | Answer::Message)
        };
        let end = requests.iter().rposition(is_answered).unwrap_or(last);
        let first = SEQUENCE.fetch_add(requests.len() as u32, Ordering::Relaxed);
        let mut datagram = Vec::new();
        for (position, request) in requests.iter().enumerate() {
            let wants_ack = match request.answer {
                Answer::Acknowledgement => true,
                Answer::Message => false,
                Answer::Nothing | Answer::NothingUnlessAllFails => position == end,
            };
            let flags = if wants_ack { ACK } else { 0 };
            request.append(&mut datagram, flags, first.wrapping_add(position as u32));
        }
        self.send(&datagram)?;

        let mut outcomes: Vec<RequestOutcome> = requests.iter().map(|_| Ok(None)).collect();
        let mut is_over = false;
        while !is_over {
            match self.receive() {
                Ok(()) => {}
                // Events were lost. The answer may be there nevertheless.
                Err(Errno::ENOBUFS) => continue,
                Err(Errno::EAGAIN) => {
                    let what = requests.get(end).map_or("", |request| &request.what);
                    return Err(garbled(what, "there is none"));
                }
                Err(errno) => {
                    return Err(NetlinkError::Socket {
                        action: "read from",
                        errno,
                    });
                }
            }
            let mut received = self.buffer.as_slice();
            while let Some(reply) =
                KernelMessage::take(&mut received).map_err(|e| garbled("read", e))?
            {
                let position = reply.sequence.wrapping_sub(first) as usize;
                // Any other number belongs to an earlier exchange that failed, or to an event.
                let (Some(request), Some(outcome)) =
                    (requests.get(position), outcomes.get_mut(position))
                else {
                    continue;
                };
                match reply.verdict().map_err(|e| garbled(&request.what, e))? {
                    None if request.answer == Answer::Message => {
                        *outcome = Ok(Some(reply.into_owned()));
                        is_over |= position == end;
                    }
                    // An event that the request caused.
                    None => {}
                    Some(Ok(())) => is_over |= position == end,
                    Some(Err(refusal)) => {
                        *outcome = Err(refused(&request.what, refusal));
                        is_over |=
                            position == end || request.answer == Answer::NothingUnlessAllFails;
                    }
                }
            }
        }
        Ok(outcomes)
    }

    /// Lets another process send a request and wait for its acknowledgement. The kernel's answer
    /// arrives at this socket, which both processes share.
    ///
    /// # Errors
    /// [`NetlinkError::Socket`] if the process cannot be started.
    pub(crate) fn hand_over(
        &self,
        request: &KernelRequest,
        process_name: &CStr,
    ) -> Result<HandedOver, NetlinkError> {
        let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed);
        let mut datagram = Vec::new();
        request.append(&mut datagram, ACK, sequence);
        let process = Apart::write(process_name, self.socket.as_fd(), &datagram)
            .map_err(failed("have another process write to"))?;
        Ok(HandedOver { process, sequence })
    }

    /// Requests a list and returns its entries, converted by `read`. A list that changed while it
    /// was being read is requested again.
    ///
    /// # Errors
    /// As [`Socket::exchange`]; the kernel's refusal; [`NetlinkError::Garbled`] if `read` fails;
    /// [`NetlinkError::Unsteady`] if the list changes each time.
    pub fn dump<T>(
        &mut self,
        request: &KernelRequest,
        read: impl FnMut(&KernelMessage<'_>) -> Result<Option<T>, Malformed>,
    ) -> Result<Vec<T>, NetlinkError> {
        self.dump_in(DUMP_ATTEMPTS, request, read)
    }

    /// As [`Socket::dump`], with another number of attempts.
    ///
    /// # Errors
    /// As [`Socket::dump`].
    pub fn dump_in<T>(
        &mut self,
        attempts: usize,
        request: &KernelRequest,
        mut read: impl FnMut(&KernelMessage<'_>) -> Result<Option<T>, Malformed>,
    ) -> Result<Vec<T>, NetlinkError> {
        for _ in 0..attempts {
            let mut entries = Vec::new();
            if self.dump_once(request, |reply| {
                entries.extend(read(reply)?);
                Ok(())
            })? {
                return Ok(entries);
            }
        }
        Err(NetlinkError::Unsteady {
            what: request.what.clone(),
        })
    }

    /// Whether the list did not change meanwhile.
    fn dump_once(
        &mut self,
        request: &KernelRequest,
        mut read: impl FnMut(&KernelMessage<'_>) -> Result<(), Malformed>,
    ) -> Result<bool, NetlinkError> {
        let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed);
        let mut datagram = Vec::new();
        request.append(&mut datagram, DUMP, sequence);
        self.send(&datagram)?;
        let mut is_consistent = true;
        loop {
            match self.receive() {
                Ok(()) => {}
                // A part did not fit. The buffer is larger now; the rest of this list has an old
                // sequence number and is ignored.
                Err(Errno::EMSGSIZE) => return Ok(false),
                Err(Errno::EAGAIN) => return Err(garbled(&request.what, "it is not complete")),
                Err(errno) => {
                    return Err(NetlinkError::Socket {
                        action: "read from",
                        errno,
                    });
                }
            }
            let mut received = self.buffer.as_slice();
            while let Some(reply) =
                KernelMessage::take(&mut received).map_err(|e| garbled(&request.what, e))?
            {
                if reply.sequence != sequence {
                    continue;
                }
                is_consistent &= reply.flags & DUMP_INTERRUPTED == 0;
                match reply.verdict().map_err(|e| garbled(&request.what, e))? {
                    None => read(&reply).map_err(|e| garbled(&request.what, e))?,
                    Some(Err(refusal)) => return Err(refused(&request.what, refusal)),
                    Some(Ok(())) if reply.message_type == DONE => return Ok(is_consistent),
                    Some(Ok(())) => {}
                }
            }
        }
    }

    /// Subscribes to the events of a multicast group (`RTNLGRP_*`).
    ///
    /// # Errors
    /// [`NetlinkError::Socket`].
    pub(crate) fn subscribe(&mut self, group: u32) -> Result<(), NetlinkError> {
        let joined = self.socket.add_membership(group);
        joined.map_err(failed("subscribe to events with"))
    }

    /// Unsubscribes from a group, and discards unread events, which might leave no room for an
    /// answer.
    ///
    /// # Errors
    /// [`NetlinkError::Socket`].
    pub(crate) fn unsubscribe(&mut self, group: u32) -> Result<(), NetlinkError> {
        let left = self.socket.drop_membership(group);
        left.map_err(failed("unsubscribe from events with"))?;
        while matches!(
            self.receive(),
            Ok(()) | Err(Errno::ENOBUFS | Errno::EMSGSIZE)
        ) {}
        Ok(())
    }

    /// Waits for an event that `is_wanted` accepts, and returns whether it came before the
    /// deadline.
    ///
    /// If the kernel dropped events because there were too many, this returns true: the caller has
    /// to read the present state.
    ///
    /// # Errors
    /// If the socket fails.
    pub(crate) fn wait_for_event(
        &mut self,
        deadline: Instant,
        mut is_wanted: impl FnMut(&KernelMessage<'_>) -> bool,
    ) -> Result<bool, NetlinkError> {
        loop {
            match self.receive() {
                Ok(()) => {}
                Err(Errno::EAGAIN) if !self.wait_readable(deadline)? => return Ok(false),
                Err(Errno::EAGAIN) => continue,
                Err(Errno::ENOBUFS | Errno::EMSGSIZE) => return Ok(true),
                Err(errno) => {
                    return Err(NetlinkError::Socket {
                        action: "read events from",
                        errno,
                    });
                }
            }
            let mut received = self.buffer.as_slice();
            let mut is_found = false;
            while let Ok(Some(event)) = KernelMessage::take(&mut received) {
                is_found |= is_wanted(&event);
            }
            if is_found {
                return Ok(true);
            }
        }
    }

    /// Sets the size of the receive buffer in bytes.
    #[cfg(test)]
    pub(crate) fn set_receive_buffer(&mut self, bytes: usize) {
        self.socket.set_rx_buf_sz(bytes).unwrap();
    }

    fn wait_readable(&self, deadline: Instant) -> Result<bool, NetlinkError> {
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up, so that the deadline has passed.
        let millis = u32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(u32::MAX);
        let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
        let mut waited = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut waited, timeout) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::EINTR) => Ok(true),
            Err(errno) => Err(NetlinkError::Socket {
                action: "wait for",
                errno,
            }),
        }
    }

    fn send(&self, datagram: &[u8]) -> Result<(), NetlinkError> {
        let mut sent = self.socket.send(datagram, 0);
        let is_too_long = |error: &io::Error| errno_of(error) == Errno::EMSGSIZE;
        // A datagram has to fit into the socket's buffer as a whole.
        if sent.as_ref().is_err_and(is_too_long)
            && setsockopt(&self.socket, SndBufForce, &datagram.len()).is_ok()
        {
            sent = self.socket.send(datagram, 0);
        }
        sent.map(drop).map_err(failed("write to"))
    }

    /// A datagram; `EAGAIN` if there is none, `EMSGSIZE` if it was cut off because the buffer was
    /// too small for it.
    fn receive(&mut self) -> Result<(), Errno> {
        self.buffer.clear();
        let capacity = self.buffer.capacity();
        let length = loop {
            match self.socket.recv(&mut self.buffer, MSG_DONTWAIT | MSG_TRUNC) {
                Ok(length) => break length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(errno_of(&error)),
            }
        };
        if length > capacity {
            self.buffer.clear();
            self.buffer.reserve(length);
            return Err(Errno::EMSGSIZE);
        }
        Ok(())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.protocol == Protocol::Netfilter {
            // If this fails, close(2) waits.
            self.collected = leave_to_collector(self.socket.as_fd()).ok();
        }
    }
}

fn failed(action: &'static str) -> impl Fn(io::Error) -> NetlinkError {
    move |error| NetlinkError::Socket {
        action,
        errno: errno_of(&error),
    }
}

fn refused(what: &str, refusal: Refusal) -> NetlinkError {
    NetlinkError::Refused {
        what: what.to_owned(),
        errno: refusal.errno,
        text: refusal.text,
    }
}

pub(crate) fn garbled(what: &str, reason: impl ToString) -> NetlinkError {
    NetlinkError::Garbled {
        what: what.to_owned(),
        reason: reason.to_string(),
    }
}
