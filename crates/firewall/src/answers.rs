//! Reading any bytes as the kernel's answers, for the program `fuzz`.

use netlink::KernelMessage;
use netlink::attributes::text;

use crate::conntrack::Connection;
use crate::edit::PresentGeneration;
use crate::element::{Element, ListedElement};
use crate::go::port_map_owner;
use crate::grant::Grant;
use crate::kernel::Question;
use crate::nf_tables::element;
use crate::owner::RecordKey;
use crate::port_map::content::{Elements, Holders};
use crate::rule::ListedRule;
use crate::schema::{FramePart, attributes_of};
use crate::table::{SetKind, Table};

const TABLES: [Table; 5] = [
    Table::Masquerade4,
    Table::Masquerade6,
    Table::MacSpoof,
    Table::PortMap4,
    Table::PortMap6,
];

/// Reads the messages of a datagram as answers to every question of `netlink` and of this crate.
///
/// # Errors
/// If the elements in the messages, taken for those of a table of port maps, are not complete after
/// one repair.
pub fn read_all(datagram: &[u8]) -> Result<(), String> {
    let mut elements = Elements::new();
    netlink::answers::read_all(datagram, |reply| {
        read(reply);
        elements.extend(port_map_elements(reply));
    });
    for table in Table::PORT_MAP {
        let own = elements.iter().map(|(element, data)| {
            let set = table.set(element.set.kind);
            let key = element.key.clone();
            (Element { set, key }, data.clone())
        });
        let wanted = Holders::of(table, &own.collect()).elements(table);
        let again = Holders::of(table, &wanted).elements(table);
        if wanted != again {
            return Err(format!("{wanted:?} is not complete: {again:?}"));
        }
    }
    Ok(())
}

fn read(reply: &KernelMessage<'_>) {
    let _ = Connection::read(reply);
    let _ = PresentGeneration.read(reply);
    if let Ok(Some(rule)) = ListedRule::read(reply) {
        let _ = rule.meaning();
        port_map_owner(&rule.comment);
        rule.target();
    }
    for table in TABLES {
        let _ = table.read_set(reply);
        let _ = FramePart::Table(table).read(reply);
        for chain in table.chains() {
            let _ = FramePart::Chain(table, chain).read(reply);
        }
        for listed in ListedElement::read_all(reply).unwrap_or_default() {
            RecordKey::of_comment(&listed.comment);
            Grant::of_data(table, &listed.data);
            for set in table.sets() {
                let key = listed.key.clone();
                Grant::of_element(&Element { set, key });
            }
        }
    }
}

/// The elements in a message, if they can be of a table of port maps.
fn port_map_elements(reply: &KernelMessage<'_>) -> Elements {
    let name = text(attributes_of(reply), element::SET).unwrap_or_default();
    let Some(kind) = SetKind::of_name(name) else {
        return Elements::new();
    };
    let set = Table::PortMap4.set(kind);
    let listed = ListedElement::read_all(reply).unwrap_or_default();
    let elements = listed.into_iter().map(|listed| {
        let ListedElement { key, data, comment } = listed;
        (Element { set, key }, (data, comment))
    });
    elements.collect()
}
