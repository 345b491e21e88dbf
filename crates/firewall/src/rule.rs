//! Rules: as they should be, and as the kernel has them.

use netlink::{Bytes, Reply, Request};
use netlink_packet_core::DecodeError;

use crate::attributes::{Attributes, find, read, text};
use crate::element::{HEADER, comment_in};
use crate::expression::{Expression, list};
use crate::meaning::Meaning;
use crate::step::{Message, Step};
use crate::table::Table;

// linux/netfilter/nf_tables.h: NFTA_RULE_*, NFTA_LIST_ELEM and NFTA_EXPR_*
const TABLE: u16 = 1;
const CHAIN: u16 = 2;
const HANDLE: u16 = 3;
const EXPRESSIONS: u16 = 4;
const NOTES: u16 = 7;
const NAME: u16 = 1;
const DATA: u16 = 2;

/// A rule that a table of ours should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) expressions: Vec<Expression>,
}

/// A rule that the kernel has, of anybody's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FoundRule {
    pub(crate) chain: String,
    handle: Vec<u8>,
    /// The name and the data of each expression.
    expressions: Vec<(String, Vec<u8>)>,
    /// What `nft` shows as its comment; empty if there is none.
    pub(crate) comment: String,
}

/// What a chain has of the rules that it should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Comparison<'a> {
    /// Those that are not there.
    pub(crate) missing: Vec<&'a Rule>,
    /// Whether those that are there come in the order in which they should, and none comes twice.
    pub(crate) is_in_order: bool,
}

impl Rule {
    /// Appends it to the chain of a table.
    pub(crate) fn append(&self, table: Table) -> Step {
        let chain = table.chain_name();
        let expressions = list(self.expressions.iter().cloned());
        let attributes = table
            .attribute()
            .text(CHAIN, chain)
            .nest(EXPRESSIONS, expressions);
        let what = format!("add a rule to chain {chain} of table {table}");
        Message::NewRule.step(table, what, attributes)
    }

    /// Whether this is what the kernel has.
    pub(crate) fn is(&self, found: &FoundRule) -> bool {
        let meaning = self.meaning();
        meaning.is_some() && meaning == found.meaning()
    }

    fn meaning(&self) -> Option<Meaning> {
        let read = |expression: &Expression| {
            let bytes = expression.as_bytes();
            let (name, data) = (text(bytes, NAME).ok()?, find(bytes, DATA).ok()?);
            Some((name.to_owned(), data.to_vec()))
        };
        meaning_of(
            &self
                .expressions
                .iter()
                .map(read)
                .collect::<Option<Vec<_>>>()?,
        )
    }
}

fn meaning_of(expressions: &[(String, Vec<u8>)]) -> Option<Meaning> {
    let expressions = expressions.iter();
    Meaning::of(expressions.map(|(name, data)| (name.as_str(), data.as_slice())))
}

impl FoundRule {
    /// Asks for the rules of a table, or of one of its chains.
    pub(crate) fn list(family: u8, table: &str, chain: Option<&str>) -> Request<Bytes> {
        let mut attributes = Attributes::new().text(TABLE, table);
        if let Some(chain) = chain {
            attributes = attributes.text(CHAIN, chain);
        }
        let what = format!("list the rules of table {} {table}", family_name(family));
        Message::GetRule.request(family, what, attributes)
    }

    /// `None` if the message is about something else.
    pub(crate) fn read(reply: &Reply<'_>) -> Result<Option<Self>, DecodeError> {
        if reply.message_type != Message::NewRule.number() {
            return Ok(None);
        }
        let attributes = reply.payload.get(HEADER..).unwrap_or_default();
        let expression = |entry: Result<(u16, &[u8]), DecodeError>| -> Result<_, DecodeError> {
            let (_, expression) = entry?;
            let name = text(expression, NAME)?.to_owned();
            Ok((name, find(expression, DATA)?.to_vec()))
        };
        let expressions = read(find(attributes, EXPRESSIONS)?).map(expression);
        Ok(Some(Self {
            chain: text(attributes, CHAIN)?.to_owned(),
            handle: find(attributes, HANDLE)?.to_vec(),
            expressions: expressions.collect::<Result<_, _>>()?,
            comment: comment_in(find(attributes, NOTES)?).unwrap_or_default(),
        }))
    }

    fn meaning(&self) -> Option<Meaning> {
        meaning_of(&self.expressions)
    }

    /// The data of its expressions of a kind.
    pub(crate) fn data_of(&self, kind: &str) -> impl Iterator<Item = &[u8]> {
        let of_kind = self
            .expressions
            .iter()
            .filter(move |(name, _)| name == kind);
        of_kind.map(|(_, data)| data.as_slice())
    }

    /// The chain that it leads to, if it leads to one.
    pub(crate) fn target(&self) -> Option<&str> {
        let data = self.data_of("immediate").last()?;
        // NFTA_IMMEDIATE_DATA, NFTA_DATA_VERDICT and NFTA_VERDICT_CHAIN
        let verdict = find(find(data, 2).ok()?, 2).ok()?;
        text(verdict, 2).ok().filter(|chain| !chain.is_empty())
    }

    /// The attributes that name it in a message: the table's, the chain's and its own.
    pub(crate) fn attributes(&self, table: &str) -> Attributes {
        Attributes::new()
            .text(TABLE, table)
            .text(CHAIN, &self.chain)
            .bytes(HANDLE, &self.handle)
    }
}

fn family_name(family: u8) -> &'static str {
    match family {
        1 => "inet",
        2 => "ip",
        7 => "bridge",
        _ => "ip6",
    }
}

/// Compares the rules of a chain with those that it should have: first `fixed`, in this order; then, in any order, those of
/// single sets. Rules of others may stand between them.
pub(crate) fn compare<'a>(
    fixed: &'a [Rule],
    of_sets: &'a [Rule],
    found: &[FoundRule],
) -> Comparison<'a> {
    let found: Vec<_> = found.iter().map(FoundRule::meaning).collect();
    let mut missing = Vec::new();
    let mut is_in_order = true;
    let mut first_free = 0;
    for (position, rule) in fixed.iter().chain(of_sets).enumerate() {
        let meaning = rule.meaning();
        let mut places = (0..).zip(&found).filter(|(_, found)| **found == meaning);
        let Some((place, _)) = places.next() else {
            missing.push(rule);
            continue;
        };
        is_in_order &= place >= first_free && places.next().is_none();
        if position < fixed.len() {
            first_free = place + 1;
        }
    }
    Comparison {
        missing,
        is_in_order,
    }
}

impl Comparison<'_> {
    /// Whether nothing is to be done.
    pub(crate) fn is_right(&self) -> bool {
        self.missing.is_empty() && self.is_in_order
    }
}
