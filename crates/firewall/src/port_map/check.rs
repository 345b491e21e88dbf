//! CHECK: whether an attachment's mappings exist and have an effect.

use cni_types::{Attachment, NetworkName};

use crate::check::Missing;
use crate::element::Element;
use crate::kernel::Kernel;
use crate::owner::{NetworkAttachment, RecordKey, words_of};
use crate::port_map::PortMap;
use crate::port_map::change::{Part, parts_of};
use crate::port_map::claim::{Claim, Entry};
use crate::port_map::content::Holders;
use crate::record::record_element;
use crate::table::{SetKind, Table};
use crate::{FirewallError, Nftables};

impl Nftables {
    /// The first mapping of [`Nftables::map_ports`] that is missing or has no effect; `None` if all
    /// have.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub fn missing_port_map(
        &mut self,
        network: &NetworkName,
        attachment: &Attachment,
        map: &PortMap<'_>,
    ) -> Result<Option<Missing>, FirewallError> {
        let owner = NetworkAttachment {
            network,
            attachment,
        };
        let first = owner.key().with_place(0);
        for (table, part) in parts_of(owner, map)? {
            if let Some(missing) = self.kernel.missing_part(table, first, &part)? {
                return Ok(Some(missing));
            }
        }
        Ok(None)
    }
}

impl Kernel {
    fn missing_part(
        &mut self,
        table: Table,
        first: RecordKey,
        part: &Part,
    ) -> Result<Option<Missing>, FirewallError> {
        let holder = &part.holder;
        let missing = |mapping: &Claim, lack: String| {
            Ok(Some(Missing::PortMapping {
                mapping: mapping.mapping,
                location: format!("table {table}"),
                lack,
            }))
        };
        let Some(any) = holder.claims.values().next() else {
            return Ok(None);
        };
        let mut wanted = Vec::new();
        for (place, claim) in &holder.claims {
            let key = first.with_place(*place);
            wanted.push((claim, record_element(table, key), key));
            wanted.push((claim, claim.element(table).0, key));
        }
        wanted.push((any, record_element(table, first), first));
        let of_target = holder.target.elements(table);
        wanted.extend(of_target.into_iter().map(|element| (any, element, first)));
        let alone = Holders::alone(first, holder.clone()).elements(table);
        let answers = self.ask(wanted.iter().map(|(_, element, _)| element))?;
        for ((claim, element, key), listed) in wanted.into_iter().zip(answers) {
            let Some(listed) = listed else {
                let lack = self.reason_of_absence(table, key, claim)?;
                return missing(claim, lack);
            };
            let wanted = alone.get(&element).map(|(data, _)| data.as_slice());
            if element.set == table.owners() {
                let effect = |data: &[u8]| Entry::of_data(table, data).map(Entry::effect);
                if effect(&listed.data) != wanted.and_then(effect) {
                    return missing(claim, "a record of something else".to_owned());
                }
            } else if RecordKey::of_comment(&listed.comment) != Some(key) {
                let words = words_of(&listed.comment);
                return missing(claim, format!("{} in its place", named(words)));
            } else if Some(listed.data.as_slice()) != wanted {
                return missing(claim, "another port or address for it".to_owned());
            }
        }
        let needed = [(table, part.sets.clone())].into();
        if !self.frame(table)?.is_complete() || !self.are_intact(&needed)? {
            return missing(any, "not all of its rules".to_owned());
        }
        Ok(None)
    }

    /// The reason why a record or element is missing: another attachment may have the port.
    fn reason_of_absence(
        &mut self,
        table: Table,
        key: RecordKey,
        claim: &Claim,
    ) -> Result<String, FirewallError> {
        let waiting = Element {
            set: table.set(SetKind::Waiting),
            key: key.as_bytes().to_vec(),
        };
        let answers = self.ask(&[waiting, claim.element(table).0])?;
        Ok(match answers.as_slice() {
            [Some(_), Some(winner)] => format!("{} in its place", named(words_of(&winner.comment))),
            _ => "no element for it".to_owned(),
        })
    }
}

/// The words of an element's comment, if it has any.
fn named(words: &str) -> &str {
    if words.is_empty() {
        "an element of others"
    } else {
        words
    }
}
