//! What rules are made of: expressions that load something into a register or judge what is in one.

use crate::attributes::Attributes;

/// A register of 16 bytes; the second one follows the first, so that a key of two fields lies in both.
const REGISTER_1: u32 = 1;
const REGISTER_2: u32 = 2;
/// Where an expression puts what becomes of the packet.
const VERDICT: u32 = 0;

/// One expression of a rule.
pub(crate) type Expression = Attributes;

/// Where in a packet something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PacketField {
    /// 0 for the link's header, 1 for the network's.
    pub(crate) header: u32,
    /// Bytes from there.
    pub(crate) offset: u32,
    /// Its length in bytes.
    pub(crate) length: u32,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Drop,
    Accept,
    Return,
}

/// A rule's list of expressions.
pub(crate) fn list(expressions: impl IntoIterator<Item = Expression>) -> Attributes {
    let add = |list: Attributes, expression| list.nest(1, expression);
    expressions.into_iter().fold(Attributes::new(), add)
}

/// Loads a field of the packet.
pub(crate) fn load(field: PacketField) -> Expression {
    load_into(REGISTER_1, field)
}

/// Loads a field of the packet as the second part of a key.
pub(crate) fn load_second(field: PacketField) -> Expression {
    load_into(REGISTER_2, field)
}

fn load_into(register: u32, field: PacketField) -> Expression {
    let data = Attributes::new()
        .number(1, register)
        .number(2, field.header)
        .number(3, field.offset)
        .number(4, field.length);
    expression("payload", data)
}

/// Loads the name of the interface that the packet came in by.
pub(crate) fn load_input_name() -> Expression {
    const IIFNAME: u32 = 6;
    let data = Attributes::new().number(2, IIFNAME).number(1, REGISTER_1);
    expression("meta", data)
}

/// Clears the bits that are zero in a mask.
pub(crate) fn mask(mask: &[u8]) -> Expression {
    let data = Attributes::new()
        .number(1, REGISTER_1)
        .number(2, REGISTER_1)
        .number(3, mask.len() as u32)
        .nest(4, value(mask))
        .nest(5, value(&vec![0; mask.len()]));
    expression("bitwise", data)
}

/// Goes on if what was loaded is this.
pub(crate) fn is(wanted: &[u8]) -> Expression {
    compare(0, wanted)
}

/// Goes on if what was loaded is not this.
pub(crate) fn is_not(unwanted: &[u8]) -> Expression {
    compare(1, unwanted)
}

fn compare(operation: u32, with: &[u8]) -> Expression {
    let data = Attributes::new()
        .number(1, REGISTER_1)
        .number(2, operation)
        .nest(3, value(with));
    expression("cmp", data)
}

/// Goes on if what was loaded is in a set.
pub(crate) fn is_in(set: &str) -> Expression {
    let data = Attributes::new().text(1, set).number(2, REGISTER_1);
    expression("lookup", data)
}

/// Decides about the packet.
pub(crate) fn verdict(verdict: Verdict) -> Expression {
    let code: i32 = match verdict {
        Verdict::Drop => 0,
        Verdict::Accept => 1,
        Verdict::Return => -5,
    };
    let code = Attributes::new().number(1, code as u32);
    let data = Attributes::new()
        .number(1, VERDICT)
        .nest(2, Attributes::new().nest(2, code));
    expression("immediate", data)
}

/// Gives the packet, and all that belongs to its connection, the address of the interface that it leaves by.
pub(crate) fn masquerade() -> Expression {
    expression("masq", Attributes::new())
}

fn value(bytes: &[u8]) -> Attributes {
    Attributes::new().bytes(1, bytes)
}

fn expression(name: &str, data: Attributes) -> Expression {
    Attributes::new().text(1, name).nest(2, data)
}
