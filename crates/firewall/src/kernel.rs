//! The connection to the kernel's nftables: questions, lists and transactions.

use netlink::attributes::Malformed;
use netlink::{
    Answer, DUMP_ATTEMPTS, KernelMessage, KernelRequest, NetlinkError, Protocol, RequestOutcome,
    Socket,
};
use nix::errno::Errno;

use crate::FirewallError;
use crate::edit::{Generation, PresentGeneration, Transaction};
use crate::namespace_lock::NamespaceLock;

/// The largest number of attempts of an operation that others overtake. Each time, one of the
/// others has succeeded.
const ATTEMPTS: usize = 64;

/// The number of attempts after which an operation takes the [`TURN`]. Without it, an operation
/// that reads much would lose to many short ones for as long as these come.
const ATTEMPTS_BESIDE_OTHERS: usize = 2;

/// The lock of the operation that only other programs may overtake, and other operations once: each
/// transaction of theirs waits for it.
const TURN: &str = "nftables";

/// The number of questions in one exchange. A socket's buffer holds as many answers.
const QUESTIONS: usize = 16;

/// A question about one object of the ruleset.
pub(crate) trait Question {
    /// The kernel's answer for an object that exists.
    type Answer;

    fn request(&self) -> KernelRequest;

    /// Reads the answer to [`Question::request`].
    fn read(&self, reply: &KernelMessage<'_>) -> Result<Self::Answer, Malformed>;
}

/// A connection to nftables in the network namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// `None` if the kernel has no netlink protocol for netfilter.
    socket: Option<Socket>,
    turn: Turn,
}

/// How an operation competes with those of other processes.
#[derive(Debug)]
enum Turn {
    /// No operation is under way: what others disturb is read again here.
    NoOperation,
    /// The operation begins anew if others disturb it.
    BesideOthers,
    /// Other operations wait for this one, with the lock [`TURN`]; without it if there is no socket
    /// for it.
    Own(#[expect(dead_code, reason = "the guard of the lock")] Option<NamespaceLock>),
}

impl Kernel {
    /// Opens a connection in the calling thread's network namespace.
    ///
    /// # Errors
    /// If the kernel gives no socket. A kernel without netfilter is no error: nothing exists there.
    pub(crate) fn open() -> Result<Self, FirewallError> {
        match Socket::open(Protocol::Netfilter) {
            Ok(socket) => Ok(Self::with(Some(socket))),
            Err(NetlinkError::Socket {
                errno: Errno::EPROTONOSUPPORT,
                ..
            }) => Ok(Self::with(None)),
            Err(error) => Err(error.into()),
        }
    }

    fn with(socket: Option<Socket>) -> Self {
        Self {
            socket,
            turn: Turn::NoOperation,
        }
    }

    /// The answers to questions, in their order. An answer is `None` if the object does not exist.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn ask<'q, Q: Question + 'q>(
        &mut self,
        questions: impl IntoIterator<Item = &'q Q>,
    ) -> Result<Vec<Option<Q::Answer>>, FirewallError> {
        let asked = questions.into_iter().map(|it| (it, it.request()));
        let asked: Vec<(&Q, KernelRequest)> = asked.collect();
        let mut answers = Vec::with_capacity(asked.len());
        for some in asked.chunks(QUESTIONS) {
            let requests: Vec<_> = some.iter().map(|(_, request)| request).collect();
            for ((question, request), reply) in some.iter().zip(self.exchange(&requests)?) {
                let answer = reply.map(|reply| question.read(&reply)).transpose();
                answers.push(answer.map_err(|malformed| NetlinkError::Garbled {
                    what: request.what.clone(),
                    reason: malformed.to_string(),
                })?);
            }
        }
        Ok(answers)
    }

    /// The answer to one question.
    ///
    /// # Errors
    /// As [`Kernel::ask`].
    pub(crate) fn ask_one<Q: Question>(
        &mut self,
        question: &Q,
    ) -> Result<Option<Q::Answer>, FirewallError> {
        Ok(self.ask([question])?.pop().flatten())
    }

    /// The replies to requests; `None` where the object does not exist, or is acknowledged.
    ///
    /// # Errors
    /// If the kernel refuses one.
    pub(crate) fn exchange(
        &mut self,
        requests: &[&KernelRequest],
    ) -> Result<Vec<Option<KernelMessage<'static>>>, FirewallError> {
        let Some(socket) = &mut self.socket else {
            return Ok(vec![None; requests.len()]);
        };
        let mut outcomes = socket.exchange(requests);
        if matches!(outcomes, Err(NetlinkError::Garbled { .. })) && requests.len() > 1 {
            // Without CAP_NET_ADMIN, the kernel answers the first question only. Asked for that one
            // alone, it gives the reason.
            let alone = socket.exchange(requests.get(..1).unwrap_or_default())?;
            if alone.iter().any(Result::is_err) {
                outcomes = Ok(alone);
            }
        }
        let unless_absent = |outcome: RequestOutcome| match outcome {
            Err(error) if is_absent(&error) => Ok(None),
            outcome => Ok(outcome?),
        };
        outcomes?.into_iter().map(unless_absent).collect()
    }

    /// A list of objects; empty if their table, chain or set does not exist.
    ///
    /// # Errors
    /// If the kernel refuses to answer, or if `read` fails.
    pub(crate) fn dump<T>(
        &mut self,
        request: &KernelRequest,
        read: impl FnMut(&KernelMessage<'_>) -> Result<Option<T>, Malformed>,
    ) -> Result<Vec<T>, FirewallError> {
        let Some(socket) = &mut self.socket else {
            return Ok(Vec::new());
        };
        let attempts = match self.turn {
            Turn::BesideOthers => ATTEMPTS_BESIDE_OTHERS,
            Turn::NoOperation | Turn::Own(_) => DUMP_ATTEMPTS,
        };
        match socket.dump_in(attempts, request, read) {
            Ok(entries) => Ok(entries),
            Err(error) if is_absent(&error) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// The ruleset's present generation; `None` if the kernel has no nftables.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn generation(&mut self) -> Result<Option<Generation>, FirewallError> {
        Ok(self.ask_one(&PresentGeneration)?.flatten())
    }

    /// Repeats an attempt while others overtake it.
    ///
    /// # Errors
    /// [`FirewallError::Contended`] after the last attempt, and the attempt's own errors.
    pub(crate) fn until_done(
        &mut self,
        attempt: impl FnMut(&mut Self) -> Result<Option<NetlinkError>, FirewallError>,
    ) -> Result<(), FirewallError> {
        // An operation that is part of another one does not end the other's turn.
        if !matches!(self.turn, Turn::NoOperation) {
            return self.repeat(attempt);
        }
        self.turn = Turn::BesideOthers;
        let done = self.repeat(attempt);
        self.turn = Turn::NoOperation;
        done
    }

    fn repeat(
        &mut self,
        mut attempt: impl FnMut(&mut Self) -> Result<Option<NetlinkError>, FirewallError>,
    ) -> Result<(), FirewallError> {
        let mut attempts = 0;
        loop {
            let overtaken = match attempt(self) {
                Ok(None) => return Ok(()),
                Ok(Some(overtaken)) => overtaken,
                Err(FirewallError::Netlink(error)) if error.is_unsteady() => error,
                Err(error) => return Err(error),
            };
            attempts += 1;
            if attempts == ATTEMPTS {
                return Err(match overtaken {
                    unsteady if unsteady.is_unsteady() => unsteady.into(),
                    refused => FirewallError::Contended(refused),
                });
            }
            if attempts == ATTEMPTS_BESIDE_OTHERS && matches!(self.turn, Turn::BesideOthers) {
                self.turn = Turn::Own(NamespaceLock::take(TURN).ok());
            }
        }
    }

    /// Carries out a transaction. If the ruleset is not as the transaction assumed, nothing is
    /// changed, and the kernel's reason is returned.
    ///
    /// # Errors
    /// If the kernel refuses the transaction for another reason; then nothing is changed either.
    pub(crate) fn commit(
        &mut self,
        transaction: Transaction,
    ) -> Result<Option<NetlinkError>, FirewallError> {
        if transaction.edits.is_empty() {
            return Ok(None);
        }
        let _until_sent = match self.turn {
            Turn::Own(_) => None,
            _ => NamespaceLock::take_if_held(TURN).unwrap_or_default(),
        };
        self.send(transaction, Some(Transaction::end()))
    }

    /// Has the kernel try a transaction without carrying it out.
    ///
    /// # Errors
    /// If the kernel would refuse the transaction.
    pub(crate) fn rehearse(&mut self, transaction: Transaction) -> Result<(), FirewallError> {
        self.send(transaction, None).map(drop)
    }

    /// Sends a transaction, which the kernel carries out if there is an end.
    fn send(
        &mut self,
        mut transaction: Transaction,
        end: Option<KernelRequest>,
    ) -> Result<Option<NetlinkError>, FirewallError> {
        let begin = transaction.begin();
        let edits = &mut transaction.edits;
        let (Some(first), Some(last)) = (edits.first().map(|edit| edit.table), edits.last_mut())
        else {
            return Ok(None);
        };
        last.request.answer = Answer::Acknowledgement;
        let Some(socket) = &mut self.socket else {
            let cause = NetlinkError::Socket {
                action: "open",
                errno: Errno::EPROTONOSUPPORT,
            };
            return Err(FirewallError::refused(first, cause));
        };
        let mut requests = vec![&begin];
        requests.extend(edits.iter().map(|edit| &edit.request));
        requests.extend(&end);
        let outcomes = socket.exchange(&requests)?;
        let of_edits = edits.iter().map(Some);
        let parts = [None].into_iter().chain(of_edits).chain([None]);
        let refused =
            |(edit, outcome): (_, RequestOutcome)| outcome.err().map(|cause| (edit, cause));
        // Further refusals are consequences of the first one.
        let Some((edit, cause)) = parts.zip(outcomes).find_map(refused) else {
            return Ok(None);
        };
        match (edit, cause.errno()) {
            (Some(edit), Some(errno)) if edit.is_overtaken(errno) => Ok(Some(cause)),
            (None, Some(Errno::ERESTART)) => Ok(Some(cause)),
            (edit, _) => {
                let table = edit.map_or(first, |edit| edit.table);
                Err(FirewallError::refused(table, cause))
            }
        }
    }
}

/// Whether an object does not exist. The kernel also says `EINVAL` if it has no such family or no
/// nftables, and `ERANGE` if the object's name is longer than a name can be.
fn is_absent(error: &NetlinkError) -> bool {
    let means_absent = |errno| matches!(errno, Errno::ENOENT | Errno::EINVAL | Errno::ERANGE);
    error.errno().is_some_and(means_absent) || error.is_unsupported()
}
