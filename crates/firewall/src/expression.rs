//! The expressions that rules consist of: each loads something into a register, or judges a
//! register.

use netlink::attributes::Attributes;
use nix::libc;

use crate::nf_tables::{LIST_ENTRY, bitwise, cmp, data, immediate, lookup, meta, payload, rule};

/// One expression of a rule.
pub(crate) type Expression = Attributes;

/// Bytes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PacketField {
    pub(crate) header: Header,
    /// In bytes, from the header's start.
    pub(crate) offset: u32,
    /// In bytes.
    pub(crate) length: u32,
}

/// A header of a packet (`NFT_PAYLOAD_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    Link = libc::NFT_PAYLOAD_LL_HEADER as isize,
    Network = libc::NFT_PAYLOAD_NETWORK_HEADER as isize,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Drop = libc::NF_DROP as isize,
    Accept = libc::NF_ACCEPT as isize,
    Return = libc::NFT_RETURN as isize,
}

/// A rule's list of expressions.
pub(crate) fn list(expressions: impl IntoIterator<Item = Expression>) -> Attributes {
    let append = |list: Attributes, expression| list.nest(LIST_ENTRY, expression);
    expressions.into_iter().fold(Attributes::new(), append)
}

/// Loads a field of the packet.
pub(crate) fn load(field: PacketField) -> Expression {
    load_into(libc::NFT_REG_1, field)
}

/// Loads a field of the packet behind a first one that fills its register: both are a key together.
pub(crate) fn load_second(field: PacketField) -> Expression {
    load_into(libc::NFT_REG_2, field)
}

fn load_into(register: i32, field: PacketField) -> Expression {
    let data = Attributes::new()
        .be32(payload::REGISTER, register as u32)
        .be32(payload::BASE, field.header as u32)
        .be32(payload::OFFSET, field.offset)
        .be32(payload::LENGTH, field.length);
    expression("payload", data)
}

/// Loads the name of the interface that received the packet.
pub(crate) fn load_input_name() -> Expression {
    let data = Attributes::new()
        .be32(meta::KEY, libc::NFT_META_IIFNAME as u32)
        .be32(meta::REGISTER, libc::NFT_REG_1 as u32);
    expression("meta", data)
}

/// Clears the bits of the loaded value that are zero in a mask.
pub(crate) fn mask(mask: &[u8]) -> Expression {
    let data = Attributes::new()
        .be32(bitwise::SOURCE, libc::NFT_REG_1 as u32)
        .be32(bitwise::DESTINATION, libc::NFT_REG_1 as u32)
        .be32(bitwise::LENGTH, mask.len() as u32)
        .nest(bitwise::MASK, value(mask))
        .nest(bitwise::XOR, value(&vec![0; mask.len()]));
    expression("bitwise", data)
}

/// The rule applies only if the loaded value is this one.
pub(crate) fn is(wanted: &[u8]) -> Expression {
    compare(libc::NFT_CMP_EQ, wanted)
}

/// The rule applies only if the loaded value is not this one.
pub(crate) fn is_not(unwanted: &[u8]) -> Expression {
    compare(libc::NFT_CMP_NEQ, unwanted)
}

fn compare(operation: i32, with: &[u8]) -> Expression {
    let data = Attributes::new()
        .be32(cmp::REGISTER, libc::NFT_REG_1 as u32)
        .be32(cmp::OPERATION, operation as u32)
        .nest(cmp::DATA, value(with));
    expression("cmp", data)
}

/// The rule applies only if a set has the loaded value.
pub(crate) fn is_in(set: &str) -> Expression {
    let data = Attributes::new()
        .text(lookup::SET, set)
        .be32(lookup::REGISTER, libc::NFT_REG_1 as u32);
    expression("lookup", data)
}

/// Decides what becomes of the packet.
pub(crate) fn verdict(verdict: Verdict) -> Expression {
    let code = Attributes::new().be32(data::VERDICT_CODE, verdict as u32);
    let data = Attributes::new()
        .be32(immediate::REGISTER, libc::NFT_REG_VERDICT as u32)
        .nest(immediate::DATA, Attributes::new().nest(data::VERDICT, code));
    expression("immediate", data)
}

/// Gives the packet, and all other packets of its connection, the address of the interface through
/// which it leaves.
pub(crate) fn masquerade() -> Expression {
    expression("masq", Attributes::new())
}

fn value(bytes: &[u8]) -> Attributes {
    Attributes::new().bytes(data::VALUE, bytes)
}

fn expression(name: &str, data: Attributes) -> Expression {
    Attributes::new()
        .text(rule::EXPRESSION_NAME, name)
        .nest(rule::EXPRESSION_DATA, data)
}
