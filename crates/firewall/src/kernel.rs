//! The connection to the kernel's nftables: questions, lists and transactions.

use netlink::attributes::Malformed;
use netlink::{Answer, NetlinkError, Outcome, Protocol, Reply, Request, Socket};
use nix::errno::Errno;

use crate::FirewallError;
use crate::edit::{Generation, PresentGeneration, Transaction};
use crate::namespace_lock::NamespaceLock;

/// The largest number of attempts of an operation that others overtake. Each time, one of the
/// others has succeeded.
const ATTEMPTS: usize = 64;

/// The number of attempts after which an operation queues: from then on, only new operations and
/// other programs can overtake it. Without the queue, luck would decide who fails when many
/// operations compete for long.
const ATTEMPTS_BEFORE_QUEUE: usize = 2;

/// The lock of the queue.
const QUEUE: &str = "nftables";

/// The number of questions in one exchange. A socket's buffer holds as many answers.
const QUESTIONS: usize = 16;

/// A question about one object of the ruleset.
pub(crate) trait Question {
    /// The kernel's answer for an object that exists.
    type Answer;

    fn request(&self) -> Request;

    /// Reads the answer to [`Question::request`].
    fn read(&self, reply: &Reply<'_>) -> Result<Self::Answer, Malformed>;
}

/// A connection to nftables in the network namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// `None` if the kernel has no netlink protocol for netfilter.
    socket: Option<Socket>,
}

impl Kernel {
    /// Opens a connection in the calling thread's network namespace.
    ///
    /// # Errors
    /// If the kernel gives no socket. A kernel without netfilter is no error: nothing exists there.
    pub(crate) fn open() -> Result<Self, FirewallError> {
        match Socket::open(Protocol::Netfilter) {
            Ok(socket) => Ok(Self {
                socket: Some(socket),
            }),
            Err(NetlinkError::Socket {
                errno: Errno::EPROTONOSUPPORT,
                ..
            }) => Ok(Self { socket: None }),
            Err(error) => Err(error.into()),
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
        let asked: Vec<(&Q, Request)> = asked.collect();
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
        requests: &[&Request],
    ) -> Result<Vec<Option<Reply<'static>>>, FirewallError> {
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
        let unless_absent = |outcome: Outcome| match outcome {
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
        request: &Request,
        read: impl FnMut(&Reply<'_>) -> Result<Option<T>, Malformed>,
    ) -> Result<Vec<T>, FirewallError> {
        let Some(socket) = &mut self.socket else {
            return Ok(Vec::new());
        };
        match socket.dump(request, read) {
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

    /// Repeats an attempt while others overtake it: the first attempts beside all others, unless
    /// there is a queue, the further ones in the queue.
    ///
    /// # Errors
    /// [`FirewallError::Contended`] after the last attempt, and the attempt's own errors.
    pub(crate) fn until_done(
        &mut self,
        mut attempt: impl FnMut(&mut Self) -> Result<Option<NetlinkError>, FirewallError>,
    ) -> Result<(), FirewallError> {
        // Without a socket for the lock, the operation goes on without the queue.
        let mut queue = NamespaceLock::take_if_held(QUEUE).unwrap_or_default();
        for number in 1.. {
            let Some(overtaken) = attempt(self)? else {
                break;
            };
            if number == ATTEMPTS {
                return Err(FirewallError::Contended(overtaken));
            }
            if number == ATTEMPTS_BEFORE_QUEUE && queue.is_none() {
                queue = NamespaceLock::take(QUEUE).ok();
            }
        }
        drop(queue);
        Ok(())
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
        end: Option<Request>,
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
        let refused = |(edit, outcome): (_, Outcome)| outcome.err().map(|cause| (edit, cause));
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
