//! The retry of a transaction that failed at the first attempt: it also repairs the tables, and
//! removes the attachment's former grants and conflicting grants of others.

use std::collections::BTreeSet;

use crate::FirewallError;
use crate::edit::Transaction;
use crate::element::Element;
use crate::grant::{Grant, tables_of};
use crate::kernel::Kernel;
use crate::owner::{NetworkAttachment, RecordKey};
use crate::repair::Intent;
use crate::table::Table;

impl Kernel {
    /// The start of a transaction that gives an attachment these grants, in these tables, and
    /// nothing else: the edits that have to come before the additions.
    ///
    /// Another attachment has one of the grants if its address was released and allocated to this
    /// attachment before its rules were removed. Now the grant belongs to this attachment, and a
    /// later removal of the other one must not remove it.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn prepare(
        &mut self,
        owner: NetworkAttachment<'_>,
        tables: &[Table],
        grants: &[Grant],
    ) -> Result<Transaction, FirewallError> {
        // Reading the grants takes several exchanges; the transaction is correct only if nothing
        // changes after them.
        let generation = self.generation()?;
        let wanted: Vec<_> = grants.iter().flat_map(Grant::elements).collect();
        let (mut taken, mut others) = (Vec::new(), BTreeSet::new());
        for (element, listed) in wanted.iter().zip(self.ask(&wanted)?) {
            let Some(listed) = listed else { continue };
            let key = RecordKey::of_comment(&listed.comment);
            others.extend(key.map(|key| (element.set.table, key)));
            taken.push(element.clone());
        }
        let mut records = self.records_of(owner, tables)?;
        for record in &records {
            others.remove(&(record.table, record.key));
        }
        let others: Vec<_> = others.into_iter().collect();
        records.extend(self.records_at(&others)?);
        let mut doomed = self.elements_of(&records, true)?;
        doomed.extend(taken);
        let mut intent = Intent {
            owner: Some(owner.key()),
            wanted: wanted.into_iter().collect(),
            doomed,
        };
        let mut edits = Vec::new();
        for (table, sets) in tables_of(grants) {
            edits.extend(self.repair_edits(table, &sets, &mut intent, false)?);
        }
        edits.extend(intent.doomed.iter().map(Element::delete));
        Ok(Transaction { edits, generation })
    }
}
