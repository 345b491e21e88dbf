//! Records: the grants of each attachment, in the maps `owners`.

use std::collections::BTreeSet;

use crate::FirewallError;
use crate::element::{Element, ListedElement};
use crate::grant::Grant;
use crate::kernel::Kernel;
use crate::owner::{MOST_GRANTS, NetworkAttachment, RecordKey};
use crate::table::Table;

/// A record of a table's map `owners`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) table: Table,
    pub(crate) key: RecordKey,
    /// `None` if another program has written the record.
    pub(crate) grant: Option<Grant>,
}

impl Record {
    pub(crate) fn new(table: Table, key: RecordKey, listed: &ListedElement) -> Self {
        let grant = Grant::of_data(table, &listed.data);
        Self { table, key, grant }
    }

    /// The record as an element.
    pub(crate) fn element(&self) -> Element {
        record_element(self.table, self.key)
    }
}

/// The record with this key as an element.
pub(crate) fn record_element(table: Table, key: RecordKey) -> Element {
    Element {
        set: table.owners(),
        key: key.as_bytes().to_vec(),
    }
}

impl Kernel {
    /// An attachment's records in some tables.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn records_of(
        &mut self,
        owner: NetworkAttachment<'_>,
        tables: &[Table],
    ) -> Result<Vec<Record>, FirewallError> {
        let first = owner.key();
        let mut records = Vec::new();
        let mut tables = tables.to_vec();
        // A second address of a family is rare, so that one exchange is enough almost always.
        let mut numbers = 0..2;
        while !tables.is_empty() && !numbers.is_empty() {
            let mut keys = Vec::new();
            for table in &tables {
                let most = match table {
                    Table::MacSpoof => 1,
                    _ => MOST_GRANTS,
                };
                let numbers = numbers.clone().take_while(|number| *number < most);
                keys.extend(numbers.map(|number| (*table, first.with_number(number))));
            }
            let found = self.records_at(&keys)?;
            let last = first.with_number(numbers.end - 1);
            tables.retain(|table| {
                let is_last = |record: &Record| (record.table, record.key) == (*table, last);
                found.iter().any(is_last)
            });
            records.extend(found);
            numbers = numbers.end..MOST_GRANTS;
        }
        Ok(records)
    }

    /// Those of some tables that exist and whose records have been flushed.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn tables_without_records(
        &mut self,
        tables: &[Table],
    ) -> Result<Vec<Table>, FirewallError> {
        let answers = self.ask(tables)?;
        let existing = tables.iter().zip(answers).filter(|(_, it)| it.is_some());
        let maps = existing.map(|(table, _)| table.owners()).collect();
        let flushed = self.without_witness(&maps)?;
        Ok(flushed.into_iter().map(|map| map.table).collect())
    }

    /// The records with these keys.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn records_at(
        &mut self,
        keys: &[(Table, RecordKey)],
    ) -> Result<Vec<Record>, FirewallError> {
        let elements = keys.iter().map(|(table, key)| record_element(*table, *key));
        let elements: Vec<_> = elements.collect();
        Ok(records_among(keys, self.ask(&elements)?))
    }

    /// All records of a table.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn records_in(&mut self, table: Table) -> Result<Vec<Record>, FirewallError> {
        let listed = self.elements_in(table.owners())?;
        let record = |listed: ListedElement| {
            let key = RecordKey::of_bytes(&listed.key)?;
            Some(Record::new(table, key, &listed))
        };
        Ok(listed.into_iter().filter_map(record).collect())
    }

    /// The elements to remove with some records: the records themselves, and the elements of their
    /// grants. If the sets may disagree with the records (`is_checked`), only elements that exist
    /// and belong to these records are among them.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn elements_of(
        &mut self,
        records: &[Record],
        is_checked: bool,
    ) -> Result<BTreeSet<Element>, FirewallError> {
        let mut granted = Vec::new();
        for record in records {
            let elements = record.grant.iter().flat_map(Grant::elements);
            granted.extend(elements.map(|element| (record.key, element)));
        }
        if is_checked {
            let elements = granted.iter().map(|(_, element)| element);
            let mut answers = self.ask(elements)?.into_iter();
            granted.retain(|(key, _)| {
                let listed = answers.next().flatten();
                listed.is_some_and(|it| RecordKey::of_comment(&it.comment) == Some(*key))
            });
        }
        let granted = granted.into_iter().map(|(_, element)| element);
        Ok(records.iter().map(Record::element).chain(granted).collect())
    }
}

/// The records among the answers to questions for these keys.
fn records_among(keys: &[(Table, RecordKey)], answers: Vec<Option<ListedElement>>) -> Vec<Record> {
    let record = |((table, key), listed): (&(Table, RecordKey), Option<ListedElement>)| {
        Some(Record::new(*table, *key, &listed?))
    };
    keys.iter().zip(answers).filter_map(record).collect()
}
