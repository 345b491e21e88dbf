//! The edge to netfilter: masquerading, MAC anti-spoofing on ports of a bridge, and port maps.
//!
//! [`Nftables`] talks to the kernel itself and has tables of its own. Their rules are created once.
//! An ADD only adds elements to sets, so neither an ADD nor a packet takes longer with many
//! containers. A map in each table records the elements of each attachment, so that a DEL, which
//! knows only the attachment, finds them in one exchange. [`Iptables`] creates the Go plugins'
//! rules with the programs of iptables. [`remove`] and [`gc`] find the rules of an attachment,
//! whatever created them.
//!
//! Everything happens in the network namespace of the calling thread: the node's.
//!
//! The modules, from names to operations:
//!
//! ```text
//! nf_tables, table, owner              names: attributes, tables and sets, owners
//! edit                                 messages, transactions
//! element, expression, meaning, rule   what messages are about
//! layout, schema                       what each set and each table consists of
//! grant                                what an attachment is granted
//! kernel                               the connection
//! conntrack                            tracked connections
//! frame, record                        reading the present state
//! repair, prepare                      planning transactions
//! nftables, check, go, iptables        operations
//! port_map                             operations on port maps, and what these consist of
//! inventory                            what the tables have for all attachments
//! all                                  operations for whatever created the rules
//! answers                              what reads the kernel's answers, for the program `fuzz`
//! ```

mod all;
#[cfg(feature = "fuzz")]
pub mod answers;
mod backend;
mod check;
mod conntrack;
mod edit;
mod element;
mod error;
mod expression;
mod frame;
mod go;
mod grant;
mod inventory;
mod iptables;
mod kernel;
mod layout;
mod meaning;
mod named;
mod namespace_lock;
mod nf_tables;
mod nftables;
mod owner;
mod port_map;
mod prepare;
mod record;
mod repair;
mod rule;
mod schema;
mod table;

pub use all::{gc, missing_mac_check, missing_masquerading, remove, remove_unreached_port_map};
pub use backend::{Backend, UnknownBackend};
pub use check::Missing;
pub use error::FirewallError;
pub use go::port_map_chain;
pub use inventory::{AttachmentDigest, EntryKind, Inventory, InventoryEntry};
pub use iptables::Iptables;
pub use iptables::port_map::{
    FwMark, IptablesConditions, IptablesOptions, UnsupportedIptablesConditions,
};
pub use named::{ForeignRules, NamedContainer, RuleEffect};
pub use nftables::Nftables;
pub use port_map::{
    Conditions, GuardRemoval, PortMap, PortMapping, Snat, Transport, UnknownTransport, Unmapped,
    UnsupportedConditions, gc_port_maps, map_ports, map_ports_by_iptables, missing_port_map,
    missing_port_map_by_iptables, probe_port_maps, remove_loopback_guard, unmap_ports,
};
