//! Tests of netfilter batches.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use netlink::{Answer, KernelRequest, Protocol, RequestOutcome, Socket};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, socket,
};
use testkit::requirements::skip_for_kernel;

use crate::Pair;

// linux/netfilter/nfnetlink.h and nf_tables.h
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NFTABLES: u16 = 10;
const NEW_TABLE: u16 = NFTABLES << 8;
const GET_TABLE: u16 = NFTABLES << 8 | 1;
const DELETE_TABLE: u16 = NFTABLES << 8 | 2;
const INET: u8 = 1;

fn edge(message_type: u16, answer: Answer) -> KernelRequest {
    let [high, low] = NFTABLES.to_be_bytes();
    request(message_type, vec![0, 0, high, low], answer)
}

fn table(message_type: u16, name: &str, answer: Answer) -> KernelRequest {
    let mut payload = vec![INET, 0, 0, 0];
    let length = u16::try_from(4 + name.len() + 1).unwrap();
    payload.extend(length.to_ne_bytes());
    payload.extend(1_u16.to_ne_bytes());
    payload.extend(name.as_bytes());
    payload.push(0);
    request(message_type, payload, answer)
}

fn request(message_type: u16, payload: Vec<u8>, answer: Answer) -> KernelRequest {
    KernelRequest {
        what: format!("send message {message_type:#x}"),
        message_type,
        flags: 0,
        payload,
        answer,
    }
}

/// The kernel's reason for refusing each message of a batch with these changes in it: of its
/// begin, of the changes, of its end.
fn batch(socket: &mut Socket, changes: Vec<KernelRequest>) -> Vec<Option<Errno>> {
    let begin = edge(BATCH_BEGIN, Answer::NothingUnlessAllFails);
    let end = edge(BATCH_END, Answer::Nothing);
    let mut all = vec![&begin];
    all.extend(&changes);
    all.push(&end);
    refusals(socket, &all)
}

fn refusals(socket: &mut Socket, requests: &[&KernelRequest]) -> Vec<Option<Errno>> {
    let outcomes = socket.exchange(requests).unwrap().into_iter();
    let reason = |outcome: RequestOutcome| outcome.err().and_then(|error| error.errno());
    outcomes.map(reason).collect()
}

fn tables(socket: &mut Socket) -> Vec<String> {
    let mut list = request(GET_TABLE, vec![INET, 0, 0, 0], Answer::Message);
    list.what = "list tables".to_owned();
    let names = socket.dump(&list, |reply| {
        // The name is the first attribute.
        let name = &reply.payload[8..];
        let end = name.iter().position(|byte| *byte == 0).unwrap();
        Ok(Some(String::from_utf8(name[..end].to_vec()).unwrap()))
    });
    names.unwrap()
}

#[test]
fn a_batch_of_nftables_is_carried_out_whole_or_not_at_all() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|_| {
        let mut socket = Socket::open(Protocol::Netfilter).unwrap();
        let changes = vec![
            table(NEW_TABLE, "one", Answer::Nothing),
            table(NEW_TABLE, "other", Answer::Acknowledgement),
        ];
        assert_eq!(batch(&mut socket, changes), [None; 4]);
        assert_eq!(tables(&mut socket), ["one", "other"]);

        let changes = vec![
            table(NEW_TABLE, "third", Answer::Nothing),
            table(DELETE_TABLE, "missing", Answer::Nothing),
            table(DELETE_TABLE, "one", Answer::Acknowledgement),
        ];
        let refused = Some(Errno::ENOENT);
        assert_eq!(
            batch(&mut socket, changes),
            [None, None, refused, None, None]
        );
        assert_eq!(tables(&mut socket), ["one", "other"]);
    });
}

#[test]
fn a_batch_that_is_refused_as_a_whole_does_not_wait_for_its_parts() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|_| {
        let mut socket = Socket::open(Protocol::Netfilter).unwrap();
        // No subsystem has this number.
        let begin = KernelRequest {
            payload: vec![0, 0, 0, 200],
            ..edge(BATCH_BEGIN, Answer::NothingUnlessAllFails)
        };
        let change = table(NEW_TABLE, "one", Answer::Acknowledgement);
        let refused = refusals(&mut socket, &[&begin, &change]);
        assert_eq!(refused, [Some(Errno::EINVAL), None]);
        assert_eq!(tables(&mut socket), [""; 0]);
    });
}

/// Has the kernel remove something, so that it has to free memory for a few milliseconds.
fn remove_a_table(socket: &mut Socket) {
    for message in [NEW_TABLE, DELETE_TABLE] {
        let change = table(message, "one", Answer::Acknowledgement);
        assert_eq!(batch(socket, vec![change]), [None; 3]);
    }
}

/// A socket for netfilter that has a port.
fn unused_socket() -> OwnedFd {
    let (family, kind) = (AddressFamily::Netlink, SockType::Raw);
    let protocol = SockProtocol::NetlinkNetFilter;
    let unused = socket(family, kind, SockFlag::SOCK_CLOEXEC, protocol).unwrap();
    bind(unused.as_raw_fd(), &NetlinkAddr::new(0, 0)).unwrap();
    unused
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Whether the kernel collects Unix sockets that nobody can reach in a thread of its own.
fn has_collector() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    let mut number = || numbers.next().unwrap().parse::<u32>().unwrap();
    (number(), number()) >= (6, 9)
}

#[test]
fn closing_a_socket_does_not_wait_until_what_was_removed_is_free() {
    if !has_collector() {
        return skip_for_kernel("a garbage collector of Unix sockets in a thread of its own");
    }
    let Some(pair) = Pair::new() else { return };
    pair.run(|_| {
        let mut other = Socket::open(Protocol::Netfilter).unwrap();
        let (mut own, mut plain) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..20 {
            let mut socket = Socket::open(Protocol::Netfilter).unwrap();
            remove_a_table(&mut socket);
            own += time(|| drop(socket));
            let unused = unused_socket();
            remove_a_table(&mut other);
            plain += time(|| drop(unused));
        }
        assert!(own * 2 < plain, "{own:?}, {plain:?} otherwise");
    });
}

#[test]
fn the_kernel_closes_a_socket_in_the_end() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|_| {
        // The kernel's own sockets have the port 0.
        let open = || {
            let list = fs::read_to_string("/proc/thread-self/net/netlink").unwrap();
            let rows = list.lines().skip(1).map(str::split_whitespace);
            let ports =
                rows.map(|mut row| (row.nth(1).unwrap() == "12", row.next().unwrap() != "0"));
            ports.filter(|it| *it == (true, true)).count()
        };
        for _ in 0..50 {
            let mut socket = Socket::open(Protocol::Netfilter).unwrap();
            remove_a_table(&mut socket);
            assert!(open() >= 1);
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        while open() > 0 {
            assert!(Instant::now() < deadline, "{} are open", open());
            thread::sleep(Duration::from_millis(5));
        }
    });
}
