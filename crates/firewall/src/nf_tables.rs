//! The names of nftables' attributes and flags that libc does not have, as
//! `include/uapi/linux/netfilter/nf_tables.h` of the kernel numbers them. Messages, registers,
//! families, hooks and comparisons have their names in [`nix::libc`].

/// `NFTA_TABLE_NAME`, `NFTA_CHAIN_TABLE`, `NFTA_RULE_TABLE`, `NFTA_SET_TABLE` and
/// `NFTA_SET_ELEM_LIST_TABLE`: each message names its table by the same attribute.
pub(crate) const TABLE: u16 = 1;

/// `NFTA_LIST_ELEM`: an entry of a list of elements or expressions.
pub(crate) const LIST_ENTRY: u16 = 1;

/// The length of what precedes a message's attributes (`struct nfgenmsg` of
/// linux/netfilter/nfnetlink.h): the family, the version and a resource number.
pub(crate) const HEADER: usize = 4;

/// `NFTA_TABLE_*` and `NFT_TABLE_F_*`.
pub(crate) mod table {
    pub(crate) const FLAGS: u16 = 2;
    pub(crate) const USE: u16 = 3;
    /// A flag: the table's chains see no packets.
    pub(crate) const DORMANT: u32 = 1;
}

/// `NFTA_CHAIN_*` and `NFTA_HOOK_*`.
pub(crate) mod chain {
    pub(crate) const NAME: u16 = 3;
    pub(crate) const HOOK: u16 = 4;
    pub(crate) const TYPE: u16 = 7;
    /// In [`HOOK`].
    pub(crate) const HOOK_NUMBER: u16 = 1;
    /// In [`HOOK`].
    pub(crate) const HOOK_PRIORITY: u16 = 2;
}

/// `NFTA_RULE_*` and `NFTA_EXPR_*`.
pub(crate) mod rule {
    pub(crate) const CHAIN: u16 = 2;
    pub(crate) const HANDLE: u16 = 3;
    pub(crate) const EXPRESSIONS: u16 = 4;
    pub(crate) const USERDATA: u16 = 7;
    /// Of an entry of [`EXPRESSIONS`].
    pub(crate) const EXPRESSION_NAME: u16 = 1;
    /// Of an entry of [`EXPRESSIONS`].
    pub(crate) const EXPRESSION_DATA: u16 = 2;
}

/// `NFTA_SET_*`.
pub(crate) mod set {
    pub(crate) const NAME: u16 = 2;
    pub(crate) const FLAGS: u16 = 3;
    pub(crate) const KEY_TYPE: u16 = 4;
    pub(crate) const KEY_LENGTH: u16 = 5;
    pub(crate) const DATA_TYPE: u16 = 6;
    pub(crate) const DATA_LENGTH: u16 = 7;
    pub(crate) const DESCRIPTION: u16 = 9;
    pub(crate) const ID: u16 = 10;
    pub(crate) const USERDATA: u16 = 13;
    /// In [`DESCRIPTION`].
    pub(crate) const SIZE: u16 = 1;
}

/// `NFTA_SET_ELEM_LIST_*` and `NFTA_SET_ELEM_*`.
pub(crate) mod element {
    pub(crate) const SET: u16 = 2;
    pub(crate) const ELEMENTS: u16 = 3;
    /// Of an entry of [`ELEMENTS`].
    pub(crate) const KEY: u16 = 1;
    /// Of an entry of [`ELEMENTS`].
    pub(crate) const DATA: u16 = 2;
    /// Of an entry of [`ELEMENTS`].
    pub(crate) const USERDATA: u16 = 6;
}

/// `NFTA_DATA_*` and `NFTA_VERDICT_*`: a value, as keys, data and expressions have it.
pub(crate) mod data {
    pub(crate) const VALUE: u16 = 1;
    pub(crate) const VERDICT: u16 = 2;
    /// In [`VERDICT`].
    pub(crate) const VERDICT_CODE: u16 = 1;
    /// In [`VERDICT`].
    pub(crate) const VERDICT_CHAIN: u16 = 2;
}

/// `NFTA_PAYLOAD_*`.
pub(crate) mod payload {
    pub(crate) const REGISTER: u16 = 1;
    pub(crate) const BASE: u16 = 2;
    pub(crate) const OFFSET: u16 = 3;
    pub(crate) const LENGTH: u16 = 4;
}

/// `NFTA_META_*`.
pub(crate) mod meta {
    pub(crate) const REGISTER: u16 = 1;
    pub(crate) const KEY: u16 = 2;
}

/// `NFTA_BITWISE_*`.
pub(crate) mod bitwise {
    pub(crate) const SOURCE: u16 = 1;
    pub(crate) const DESTINATION: u16 = 2;
    pub(crate) const LENGTH: u16 = 3;
    pub(crate) const MASK: u16 = 4;
    pub(crate) const XOR: u16 = 5;
    pub(crate) const OPERATION: u16 = 6;
}

/// `NFTA_CMP_*`.
pub(crate) mod cmp {
    pub(crate) const REGISTER: u16 = 1;
    pub(crate) const OPERATION: u16 = 2;
    pub(crate) const DATA: u16 = 3;
}

/// `NFTA_LOOKUP_*`.
pub(crate) mod lookup {
    pub(crate) const SET: u16 = 1;
    pub(crate) const REGISTER: u16 = 2;
    pub(crate) const DESTINATION: u16 = 3;
    pub(crate) const FLAGS: u16 = 5;
    /// A flag: the rule applies if there is no such element.
    pub(crate) const INVERTED: u32 = 1;
}

/// `NFTA_FIB_*`, `NFT_FIB_RESULT_*` and `NFTA_FIB_F_*`.
pub(crate) mod fib {
    pub(crate) const REGISTER: u16 = 1;
    pub(crate) const RESULT: u16 = 2;
    pub(crate) const FLAGS: u16 = 3;
    /// A result: the type of the address.
    pub(crate) const TYPE: u32 = 3;
    /// A flag: it is about the destination.
    pub(crate) const DESTINATION: u32 = 2;
}

/// `NFTA_CT_*` and `NFT_CT_*`.
pub(crate) mod ct {
    pub(crate) const REGISTER: u16 = 1;
    pub(crate) const KEY: u16 = 2;
    pub(crate) const DIRECTION: u16 = 3;
    /// A key: the destination of a direction, for IPv4.
    pub(crate) const DESTINATION4: u32 = 20;
    /// A key: the destination of a direction, for IPv6.
    pub(crate) const DESTINATION6: u32 = 22;
    /// A direction: that of the connection's first packet.
    pub(crate) const ORIGINAL: u8 = 0;
}

/// `NFTA_NAT_*` and `NFT_NAT_*`.
pub(crate) mod nat {
    pub(crate) const TYPE: u16 = 1;
    pub(crate) const FAMILY: u16 = 2;
    pub(crate) const ADDRESS_REGISTER: u16 = 3;
    pub(crate) const PORT_REGISTER: u16 = 5;
    /// A type: of the destination.
    pub(crate) const DESTINATION: u32 = 1;
}

/// `NFTA_DYNSET_*` and `NFT_DYNSET_OP_*`.
pub(crate) mod dynset {
    pub(crate) const SET: u16 = 1;
    pub(crate) const OPERATION: u16 = 3;
    pub(crate) const KEY_REGISTER: u16 = 4;
    /// An operation: an element is added unless it exists.
    pub(crate) const ADD: u32 = 0;
}

/// `NFTA_IMMEDIATE_*`.
pub(crate) mod immediate {
    pub(crate) const REGISTER: u16 = 1;
    pub(crate) const DATA: u16 = 2;
}

/// `NFTA_GEN_*`, and `NFNL_BATCH_*` of linux/netfilter/nfnetlink.h.
pub(crate) mod generation {
    pub(crate) const ID: u16 = 1;
    /// Of the message that begins a batch.
    pub(crate) const OF_BATCH: u16 = 1;
}

/// What the program `nft` stores as user data, which the kernel keeps without reading it: each
/// entry is a byte for its kind, a byte for its length, and its value (libnftnl, `NFTNL_UDATA_*`).
pub(crate) mod userdata {
    /// Of a rule and of an element: the comment.
    pub(crate) const COMMENT: u8 = 0;
    /// Of a set: the byte order of its keys.
    pub(crate) const KEY_BYTE_ORDER: u8 = 0;
    /// Of a set: the byte order of its data.
    pub(crate) const DATA_BYTE_ORDER: u8 = 1;
}
