//! Talking to the kernel's nftables: questions, lists and transactions.

use netlink::attributes::Malformed;
use netlink::{Answer, NetlinkError, Outcome, Protocol, Reply, Request, Socket};
use nix::errno::Errno;

use crate::FirewallError;
use crate::edit::{Generation, Transaction};
use crate::element::ListedElement;

/// How often an operation is tried that others overtake. Each time, one of the others has
/// succeeded.
const ATTEMPTS: usize = 64;

/// How many questions go into one exchange. A socket has room for as many answers.
const QUESTIONS: usize = 16;

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

    /// Asks for elements, sets and tables. An answer is `None` if the object does not exist.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn ask(
        &mut self,
        questions: &[Request],
    ) -> Result<Vec<Option<ListedElement>>, FirewallError> {
        let mut answers = vec![None; questions.len()];
        self.ask_each(questions, |position, reply| {
            let elements = ListedElement::read_all(reply)?;
            if let Some(answer) = answers.get_mut(position) {
                // An answer about a set or a table has no elements; that it came is enough.
                *answer = Some(elements.into_iter().next().unwrap_or_default());
            }
            Ok(())
        })?;
        Ok(answers)
    }

    /// Asks questions. `read` gets each answer with the position of its question; an object that
    /// does not exist has no answer.
    ///
    /// # Errors
    /// If the kernel refuses to answer, or if `read` fails.
    pub(crate) fn ask_each(
        &mut self,
        questions: &[Request],
        mut read: impl FnMut(usize, &Reply<'_>) -> Result<(), Malformed>,
    ) -> Result<(), FirewallError> {
        for (number, some) in questions.chunks(QUESTIONS).enumerate() {
            let first = number * QUESTIONS;
            self.ask_some(some, |position, reply| read(first + position, reply))?;
        }
        Ok(())
    }

    fn ask_some(
        &mut self,
        questions: &[Request],
        mut read: impl FnMut(usize, &Reply<'_>) -> Result<(), Malformed>,
    ) -> Result<(), FirewallError> {
        let Some(socket) = &mut self.socket else {
            return Ok(());
        };
        let all: Vec<_> = questions.iter().collect();
        let mut outcomes = socket.exchange(&all);
        if matches!(outcomes, Err(NetlinkError::Garbled { .. })) && all.len() > 1 {
            // Without CAP_NET_ADMIN, the kernel answers the first question only. Asked for that one
            // alone, it gives the reason.
            let alone = socket.exchange(all.get(..1).unwrap_or_default())?;
            if alone.iter().any(Result::is_err) {
                outcomes = Ok(alone);
            }
        }
        for (position, outcome) in outcomes?.into_iter().enumerate() {
            match outcome {
                Ok(None) => {}
                Ok(Some(reply)) => read(position, &reply).map_err(|malformed| {
                    let question = questions.get(position);
                    NetlinkError::Garbled {
                        what: question.map_or_else(String::new, |it| it.what.clone()),
                        reason: malformed.to_string(),
                    }
                })?,
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// A list of objects; empty if what contains them does not exist.
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
        let mut generation = None;
        self.ask_each(&[Generation::find()], |_, reply| {
            generation = Generation::read(reply);
            Ok(())
        })?;
        Ok(generation)
    }

    /// Repeats an attempt for as long as others overtake it.
    ///
    /// # Errors
    /// [`FirewallError::Contended`] after the last attempt, and the attempt's own errors.
    pub(crate) fn until_done(
        &mut self,
        mut attempt: impl FnMut(&mut Self) -> Result<Option<NetlinkError>, FirewallError>,
    ) -> Result<(), FirewallError> {
        let mut attempts = 0;
        loop {
            match attempt(self)? {
                None => return Ok(()),
                Some(overtaken) if attempts == ATTEMPTS => {
                    return Err(FirewallError::Contended(overtaken));
                }
                Some(_) => attempts += 1,
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
