//! Looking at what is there, before it is changed or after others were quicker.

use std::collections::{BTreeMap, BTreeSet};

use netlink::{Bytes, NetlinkError, Reply, Request};
use netlink_packet_core::DecodeError;
use nix::errno::Errno;

use crate::element::{Element, Found};
use crate::holding::Holding;
use crate::owner::{MOST_HOLDINGS, Owner, RecordKey};
use crate::repair::Intent;
use crate::step::{Generation, Step};
use crate::table::{Set, Table};
use crate::{FirewallError, Nftables};

/// How many questions are asked at a time. The kernel has room for that many answers in a socket.
const QUESTIONS: usize = 16;

/// What a table's map says that an attachment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) table: Table,
    pub(crate) key: RecordKey,
    /// `None` if it makes no sense: somebody else's work.
    pub(crate) holding: Option<Holding>,
}

/// A transaction in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// The state that it is for, if it is not its steps that tell whether that is still the same.
    pub(crate) generation: Option<Generation>,
}

impl Plan {
    /// Removes elements, one of them at least a record that says whose the others are: if it is there, so are they.
    pub(crate) fn removal(elements: &BTreeSet<Element>) -> Self {
        Self {
            steps: elements.iter().map(Element::delete).collect(),
            generation: None,
        }
    }
}

impl Record {
    pub(crate) fn new(table: Table, key: RecordKey, found: &Found) -> Self {
        let holding = Holding::of_data(table, &found.data);
        Self {
            table,
            key,
            holding,
        }
    }

    pub(crate) fn element(&self) -> Element {
        place(self.table, self.key)
    }
}

/// Where an attachment's record is.
pub(crate) fn place(table: Table, key: RecordKey) -> Element {
    Element {
        set: table.owners(),
        key: key.as_bytes().to_vec(),
    }
}

impl Nftables {
    /// What an attachment holds in some of the tables, and those of the tables whose records somebody has flushed.
    pub(crate) fn records_of(
        &mut self,
        owner: Owner<'_>,
        tables: &[Table],
    ) -> Result<(Vec<Record>, Vec<Table>), FirewallError> {
        let first = owner.key();
        let mut records = Vec::new();
        let mut tables = tables.to_vec();
        // There is hardly ever a second address of a family, so one look tells that there is none.
        let mut numbers = 0..2;
        let mut flushed = None;
        while !tables.is_empty() && !numbers.is_empty() {
            let mut keys = Vec::new();
            for table in &tables {
                let most = if *table == Table::MacSpoof {
                    1
                } else {
                    MOST_HOLDINGS
                };
                let numbers = numbers.clone().take_while(|number| *number < most);
                keys.extend(numbers.map(|number| (*table, first.with_number(number))));
            }
            let mut questions: Vec<_> = keys.iter().map(record_at).collect();
            if flushed.is_none() {
                let of_table = |table: &Table| [table.find(), table.owners().witness().find()];
                questions.extend(tables.iter().flat_map(of_table));
            }
            let mut answers = self.ask(&questions)?;
            let of_tables = answers.split_off(keys.len());
            flushed.get_or_insert_with(|| {
                let of_tables = tables.iter().zip(of_tables.chunks(2));
                let is_flushed =
                    |(_, found): &(_, &[Option<Found>])| matches!(found, [Some(_), None]);
                of_tables
                    .filter(is_flushed)
                    .map(|(table, _)| *table)
                    .collect()
            });
            let found = records_in(&keys, answers);
            let last = first.with_number(numbers.end - 1);
            tables.retain(|table| {
                let is_last = |record: &Record| (record.table, record.key) == (*table, last);
                found.iter().any(is_last)
            });
            records.extend(found);
            numbers = numbers.end..MOST_HOLDINGS;
        }
        Ok((records, flushed.unwrap_or_default()))
    }

    fn records_at(&mut self, keys: &[(Table, RecordKey)]) -> Result<Vec<Record>, FirewallError> {
        let questions: Vec<_> = keys.iter().map(record_at).collect();
        Ok(records_in(keys, self.ask(&questions)?))
    }

    /// The elements to remove with some records: theirs, and those that rules find. These are looked at first if it is
    /// known that not everything is as it should be; only those that are there and belong to the record are among them then.
    pub(crate) fn elements_of(
        &mut self,
        records: &[Record],
        is_checked: bool,
    ) -> Result<BTreeSet<Element>, FirewallError> {
        let mut held = Vec::new();
        for record in records {
            let elements = record.holding.iter().flat_map(Holding::elements);
            held.extend(elements.map(|element| (record.key, element)));
        }
        if is_checked {
            let questions: Vec<_> = held.iter().map(|(_, element)| element.find()).collect();
            let mut answers = self.ask(&questions)?.into_iter();
            held.retain(|(key, _)| {
                let holder = answers.next().flatten();
                holder.is_some_and(|found| RecordKey::of_comment(&found.comment) == Some(*key))
            });
        }
        let held = held.into_iter().map(|(_, element)| element);
        Ok(records.iter().map(Record::element).chain(held).collect())
    }

    /// What must be done before an attachment can get what it is to hold: putting the tables right, and removing what it held
    /// before, and what others still hold of it.
    ///
    /// The latter happens where one attachment's address was released and given to the next one before the rules of
    /// the first were removed. It is the new one's from then on, and removing the old one later must not take it away.
    pub(crate) fn make_way(
        &mut self,
        owner: Owner<'_>,
        tables: &[Table],
        holdings: &[Holding],
    ) -> Result<Plan, FirewallError> {
        // Whose something is takes several looks, and what they show must be true at the same time.
        let generation = self.generation()?;
        let wanted: Vec<_> = holdings.iter().flat_map(Holding::elements).collect();
        let questions: Vec<_> = wanted.iter().map(Element::find).collect();
        let (mut taken, mut holders) = (Vec::new(), BTreeSet::new());
        for (element, found) in wanted.iter().zip(self.ask(&questions)?) {
            let Some(found) = found else { continue };
            holders
                .extend(RecordKey::of_comment(&found.comment).map(|key| (element.set.table, key)));
            taken.push(element.clone());
        }
        let (mut records, _) = self.records_of(owner, tables)?;
        records.iter().for_each(|record| {
            holders.remove(&(record.table, record.key));
        });
        let others: Vec<_> = holders.into_iter().collect();
        records.extend(self.records_at(&others)?);
        let mut doomed = self.elements_of(&records, true)?;
        doomed.extend(taken);
        let mut intent = Intent {
            owner: Some(owner.key()),
            wanted: wanted.into_iter().collect(),
            doomed,
        };
        let mut steps = Vec::new();
        for (table, sets) in sets_of(holdings) {
            steps.extend(self.repair_steps(table, &sets, &mut intent, false)?);
        }
        steps.extend(intent.doomed.iter().map(Element::delete));
        Ok(Plan { steps, generation })
    }

    pub(crate) fn generation(&mut self) -> Result<Option<Generation>, FirewallError> {
        let Some(socket) = &mut self.socket else {
            return Ok(None);
        };
        let mut generation = None;
        let refusals = socket.exchange(&[&Generation::find()], |_, reply| {
            generation = Generation::read(reply);
            Ok(())
        })?;
        match refusals.into_iter().find(|(_, error)| !is_absent(error)) {
            Some((_, error)) => Err(FirewallError::asking(error)),
            None => Ok(generation),
        }
    }

    /// Asks about elements, sets and tables; `None` stands for those that are not there.
    pub(crate) fn ask(
        &mut self,
        questions: &[Request<Bytes>],
    ) -> Result<Vec<Option<Found>>, FirewallError> {
        let mut answers = vec![None; questions.len()];
        self.ask_each(questions, |position, reply| {
            let found = Found::read_all(reply)?;
            if let Some(answer) = answers.get_mut(position) {
                // An answer about a set or a table has no elements; that there is one is enough.
                *answer = Some(found.into_iter().next().unwrap_or_default());
            }
            Ok(())
        })?;
        Ok(answers)
    }

    /// Asks questions; what is not there has no answer. `read` gets each answer with the question's position.
    pub(crate) fn ask_each(
        &mut self,
        questions: &[Request<Bytes>],
        mut read: impl FnMut(usize, &Reply<'_>) -> Result<(), DecodeError>,
    ) -> Result<(), FirewallError> {
        for (number, some) in questions.chunks(QUESTIONS).enumerate() {
            let first = number * QUESTIONS;
            self.ask_some(some, |position, reply| read(first + position, reply))?;
        }
        Ok(())
    }

    fn ask_some(
        &mut self,
        questions: &[Request<Bytes>],
        mut read: impl FnMut(usize, &Reply<'_>) -> Result<(), DecodeError>,
    ) -> Result<(), FirewallError> {
        let Some(socket) = &mut self.socket else {
            return Ok(());
        };
        let mut all: Vec<_> = questions.iter().collect();
        let mut read = |position: usize, reply: &Reply<'_>| {
            read(position, reply).map_err(|error| NetlinkError::Garbled {
                what: questions
                    .get(position)
                    .map_or_else(String::new, |it| it.what.clone()),
                reason: error.to_string(),
            })
        };
        let mut refusals = socket.exchange(&all, &mut read);
        if matches!(refusals, Err(NetlinkError::Garbled { .. })) && all.len() > 1 {
            // Without CAP_NET_ADMIN only the first question is answered. Asked alone, it is told the reason.
            all.truncate(1);
            let alone = socket.exchange(&all, &mut read)?;
            if !alone.is_empty() {
                refusals = Ok(alone);
            }
        }
        match refusals?.into_iter().find(|(_, error)| !is_absent(error)) {
            Some((_, error)) => Err(FirewallError::asking(error)),
            None => Ok(()),
        }
    }
}

fn record_at((table, key): &(Table, RecordKey)) -> Request<Bytes> {
    place(*table, *key).find()
}

/// The records that were found where they were looked for.
fn records_in(keys: &[(Table, RecordKey)], answers: Vec<Option<Found>>) -> Vec<Record> {
    let places = keys.iter().zip(answers);
    let record = |((table, key), found): (&(Table, RecordKey), Option<Found>)| {
        Some(Record::new(*table, *key, &found?))
    };
    places.filter_map(record).collect()
}

/// The tables that holdings are in, with those of their sets that not everybody has.
pub(crate) fn sets_of(holdings: &[Holding]) -> BTreeMap<Table, BTreeSet<Set>> {
    let mut tables: BTreeMap<Table, BTreeSet<Set>> = BTreeMap::new();
    for holding in holdings {
        let sets = tables.entry(holding.table()).or_default();
        let own = holding.elements().into_iter().map(|element| element.set);
        sets.extend(own.filter(Set::is_of_a_network));
    }
    tables
}

/// Whether what was asked for is not there; nor is it if the kernel has no such family, or no nftables, for which
/// `EINVAL` stands, or if its name is longer than the kernel takes, for which `ERANGE` does.
pub(crate) fn is_absent(error: &NetlinkError) -> bool {
    let is_one_of_these = |errno| matches!(errno, Errno::ENOENT | Errno::EINVAL | Errno::ERANGE);
    error.errno().is_some_and(is_one_of_these) || error.is_unsupported()
}
