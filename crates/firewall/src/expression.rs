//! The expressions that rules consist of: each loads something into a register, or judges a
//! register.

use netlink::attributes::Attributes;
use nix::libc;

use crate::nf_tables::{
    LIST_ENTRY, bitwise, cmp, ct, data, dynset, fib, immediate, lookup, meta, nat, payload, rule,
};

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
    Transport = libc::NFT_PAYLOAD_TRANSPORT_HEADER as isize,
}

/// The verdict on a packet.
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

/// A register, by the unit of four bytes where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Register(pub(crate) u32);

impl Register {
    const FIRST: Self = Self(0);

    fn number(self) -> u32 {
        // As `nft` writes it: the registers of 16 bytes, where one begins there.
        if self.0.is_multiple_of(4) {
            libc::NFT_REG_1 as u32 + self.0 / 4
        } else {
            libc::NFT_REG32_00 as u32 + self.0
        }
    }
}

/// Loads a field of the packet.
pub(crate) fn load(field: PacketField) -> Expression {
    load_at(Register::FIRST, field)
}

/// Loads a field of the packet behind a first one that fills its register: both together are a key.
pub(crate) fn load_second(field: PacketField) -> Expression {
    load_at(Register(4), field)
}

/// Loads a field of the packet into a register.
pub(crate) fn load_at(register: Register, field: PacketField) -> Expression {
    let data = Attributes::new()
        .be32(payload::REGISTER, register.number())
        .be32(payload::BASE, field.header as u32)
        .be32(payload::OFFSET, field.offset)
        .be32(payload::LENGTH, field.length);
    expression("payload", data)
}

/// Loads the name of the interface that received the packet.
pub(crate) fn load_input_name() -> Expression {
    load_meta(Register::FIRST, libc::NFT_META_IIFNAME)
}

/// Loads the number of the packet's transport protocol into a register.
pub(crate) fn load_protocol_at(register: Register) -> Expression {
    load_meta(register, libc::NFT_META_L4PROTO)
}

fn load_meta(register: Register, key: i32) -> Expression {
    let data = Attributes::new()
        .be32(meta::KEY, key as u32)
        .be32(meta::REGISTER, register.number());
    expression("meta", data)
}

/// Loads the type of the destination's address (`RTN_*`), in the byte order of the machine.
pub(crate) fn load_type_of_destination() -> Expression {
    let data = Attributes::new()
        .be32(fib::REGISTER, libc::NFT_REG_1 as u32)
        .be32(fib::RESULT, fib::TYPE)
        .be32(fib::FLAGS, fib::DESTINATION);
    expression("fib", data)
}

/// Loads the original destination of the connection (`ct original daddr`).
pub(crate) fn load_first_destination(is_ipv6: bool) -> Expression {
    let key = if is_ipv6 {
        ct::DESTINATION6
    } else {
        ct::DESTINATION4
    };
    let data = Attributes::new()
        .be32(ct::REGISTER, libc::NFT_REG_1 as u32)
        .be32(ct::KEY, key)
        .bytes(ct::DIRECTION, &[ct::ORIGINAL]);
    expression("ct", data)
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

/// The rule applies only if a set contains the loaded value.
pub(crate) fn is_in(set: &str) -> Expression {
    let data = Attributes::new()
        .text(lookup::SET, set)
        .be32(lookup::REGISTER, libc::NFT_REG_1 as u32);
    expression("lookup", data)
}

/// The rule applies only if a set does not contain the loaded value.
pub(crate) fn is_not_in(set: &str) -> Expression {
    let data = Attributes::new()
        .text(lookup::SET, set)
        .be32(lookup::REGISTER, libc::NFT_REG_1 as u32)
        .be32(lookup::FLAGS, lookup::INVERTED);
    expression("lookup", data)
}

/// The rule applies only if a map contains the loaded value, which the map's value replaces.
pub(crate) fn map_by(map: &str) -> Expression {
    let data = Attributes::new()
        .text(lookup::SET, map)
        .be32(lookup::REGISTER, libc::NFT_REG_1 as u32)
        .be32(lookup::DESTINATION, libc::NFT_REG_1 as u32);
    expression("lookup", data)
}

/// Adds the loaded value to a set.
pub(crate) fn add_to(set: &str) -> Expression {
    let data = Attributes::new()
        .text(dynset::SET, set)
        .be32(dynset::OPERATION, dynset::ADD)
        .be32(dynset::KEY_REGISTER, libc::NFT_REG_1 as u32);
    expression("dynset", data)
}

/// DNAT of the connection to the loaded address and to the port in the register behind it.
pub(crate) fn send_to_loaded(is_ipv6: bool) -> Expression {
    let (family, port) = if is_ipv6 {
        (libc::NFPROTO_IPV6, Register(4))
    } else {
        (libc::NFPROTO_IPV4, Register(1))
    };
    let data = Attributes::new()
        .be32(nat::TYPE, nat::DESTINATION)
        .be32(nat::FAMILY, family as u32)
        .be32(nat::ADDRESS_REGISTER, libc::NFT_REG_1 as u32)
        .be32(nat::PORT_REGISTER, port.number());
    expression("nat", data)
}

/// Decides on the packet.
pub(crate) fn verdict(verdict: Verdict) -> Expression {
    let code = Attributes::new().be32(data::VERDICT_CODE, verdict as u32);
    let data = Attributes::new()
        .be32(immediate::REGISTER, libc::NFT_REG_VERDICT as u32)
        .nest(immediate::DATA, Attributes::new().nest(data::VERDICT, code));
    expression("immediate", data)
}

/// Masquerades the connection: SNAT to the address of the interface through which it leaves.
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
