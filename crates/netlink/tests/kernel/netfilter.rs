//! Tests of netfilter batches.

use netlink::{Answer, Bytes, NetlinkError, Protocol, Request, Socket};
use nix::errno::Errno;

use crate::Pair;

// linux/netfilter/nfnetlink.h and nf_tables.h
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NFTABLES: u16 = 10;
const NEW_TABLE: u16 = NFTABLES << 8;
const GET_TABLE: u16 = NFTABLES << 8 | 1;
const DELETE_TABLE: u16 = NFTABLES << 8 | 2;
const INET: u8 = 1;

fn edge(message_type: u16, answer: Answer) -> Request<Bytes> {
    let [high, low] = NFTABLES.to_be_bytes();
    request(message_type, vec![0, 0, high, low], answer)
}

fn table(message_type: u16, name: &str, answer: Answer) -> Request<Bytes> {
    let mut payload = vec![INET, 0, 0, 0];
    let length = u16::try_from(4 + name.len() + 1).unwrap();
    payload.extend(length.to_ne_bytes());
    payload.extend(1_u16.to_ne_bytes());
    payload.extend(name.as_bytes());
    payload.push(0);
    request(message_type, payload, answer)
}

fn request(message_type: u16, payload: Vec<u8>, answer: Answer) -> Request<Bytes> {
    Request {
        what: format!("send message {message_type:#x}"),
        payload: Bytes {
            message_type,
            payload,
        },
        flags: 0,
        answer,
    }
}

/// The refusals of a batch with these changes in it.
fn batch(socket: &mut Socket, changes: Vec<Request<Bytes>>) -> Vec<(usize, NetlinkError)> {
    let begin = edge(BATCH_BEGIN, Answer::NothingUnlessAllFails);
    let end = edge(BATCH_END, Answer::Nothing);
    let mut all = vec![&begin];
    all.extend(&changes);
    all.push(&end);
    socket.exchange(&all, |_, _| Ok(())).unwrap()
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
        let refusals = batch(&mut socket, changes);
        assert!(refusals.is_empty(), "{refusals:?}");
        assert_eq!(tables(&mut socket), ["one", "other"]);

        let changes = vec![
            table(NEW_TABLE, "third", Answer::Nothing),
            table(DELETE_TABLE, "missing", Answer::Nothing),
            table(DELETE_TABLE, "one", Answer::Acknowledgement),
        ];
        let refusals = batch(&mut socket, changes);
        let refusals: Vec<_> = refusals
            .iter()
            .map(|(position, error)| (*position, error.errno()))
            .collect();
        assert_eq!(refusals, [(2, Some(Errno::ENOENT))]);
        assert_eq!(tables(&mut socket), ["one", "other"]);
    });
}

#[test]
fn a_batch_that_is_refused_as_a_whole_does_not_wait_for_its_parts() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|_| {
        let mut socket = Socket::open(Protocol::Netfilter).unwrap();
        // No subsystem has this number.
        let begin = Request {
            payload: Bytes {
                message_type: BATCH_BEGIN,
                payload: vec![0, 0, 0, 200],
            },
            ..edge(BATCH_BEGIN, Answer::NothingUnlessAllFails)
        };
        let change = table(NEW_TABLE, "one", Answer::Acknowledgement);
        let refusals = socket.exchange(&[&begin, &change], |_, _| Ok(())).unwrap();
        assert_eq!(refusals.len(), 1);
        assert_eq!(refusals[0].0, 0);
        assert_eq!(refusals[0].1.errno(), Some(Errno::EINVAL));
        assert_eq!(tables(&mut socket), [""; 0]);
    });
}
