//! Rules: as a chain should have them, and as the kernel lists them.

use netlink::attributes::{Attributes, Malformed, find, read, text};
use netlink::{KernelMessage, KernelRequest};

use crate::edit::Message;
use crate::element::comment_in;
use crate::expression::Expression;
use crate::meaning::Meaning;
use crate::nf_tables::{HEADER, TABLE, data, immediate, rule};
use crate::schema::ChainRules;
use crate::table::family_name;

/// A rule that a chain of this crate should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) expressions: Vec<Expression>,
}

/// A rule that the kernel lists, of any program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListedRule {
    pub(crate) chain: String,
    handle: Vec<u8>,
    /// The name and the data of each expression.
    expressions: Vec<(String, Vec<u8>)>,
    /// The comment that `nft` shows; empty if there is none.
    pub(crate) comment: String,
}

/// The result of comparing the rules of a chain with those that it should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Comparison<'a> {
    pub(crate) missing: Vec<&'a Rule>,
    /// Whether the existing ones are in order, and none is there twice.
    pub(crate) is_in_order: bool,
}

impl Rule {
    /// Whether a listed rule does the same.
    pub(crate) fn is(&self, listed: &ListedRule) -> bool {
        let meaning = self.meaning();
        meaning.is_some() && meaning == listed.meaning()
    }

    pub(crate) fn meaning(&self) -> Option<Meaning> {
        let read = |expression: &Expression| named_expression(expression.as_bytes()).ok();
        let expressions: Option<Vec<_>> = self.expressions.iter().map(read).collect();
        Meaning::of(&expressions?)
    }
}

impl ListedRule {
    /// The question for the rules of a table, or of one of its chains.
    pub(crate) fn list(family: u8, table: &str, chain: Option<&str>) -> KernelRequest {
        let mut attributes = Attributes::new().text(TABLE, table);
        if let Some(chain) = chain {
            attributes = attributes.text(rule::CHAIN, chain);
        }
        let what = format!("list the rules of table {} {table}", family_name(family));
        Message::GetRule.request(family, what, attributes)
    }

    /// `None` if the message is about something else.
    pub(crate) fn read(reply: &KernelMessage<'_>) -> Result<Option<Self>, Malformed> {
        if reply.message_type != Message::NewRule.number() {
            return Ok(None);
        }
        let attributes = reply.payload.get(HEADER..).unwrap_or_default();
        let expressions = read(find(attributes, rule::EXPRESSIONS)?);
        let expressions = expressions.map(|entry| named_expression(entry?.1));
        Ok(Some(Self {
            chain: text(attributes, rule::CHAIN)?.to_owned(),
            handle: find(attributes, rule::HANDLE)?.to_vec(),
            expressions: expressions.collect::<Result<_, _>>()?,
            comment: comment_in(find(attributes, rule::USERDATA)?).unwrap_or_default(),
        }))
    }

    pub(crate) fn meaning(&self) -> Option<Meaning> {
        Meaning::of(&self.expressions)
    }

    /// The data of the rule's expressions that have this name.
    pub(crate) fn data_of(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let named = self.expressions.iter().filter(move |(it, _)| it == name);
        named.map(|(_, data)| data.as_slice())
    }

    /// The chain that the rule jumps or goes to, if it does.
    pub(crate) fn target(&self) -> Option<&str> {
        let decision = self.data_of("immediate").last()?;
        let verdict = find(find(decision, immediate::DATA).ok()?, data::VERDICT).ok()?;
        let chain = text(verdict, data::VERDICT_CHAIN).ok()?;
        Some(chain).filter(|chain| !chain.is_empty())
    }

    /// The attributes that name the rule in a message: its table, its chain and its handle.
    pub(crate) fn attributes(&self, table: &str) -> Attributes {
        Attributes::new()
            .text(TABLE, table)
            .text(rule::CHAIN, &self.chain)
            .bytes(rule::HANDLE, &self.handle)
    }
}

/// The name and the data of an expression.
fn named_expression(expression: &[u8]) -> Result<(String, Vec<u8>), Malformed> {
    let name = text(expression, rule::EXPRESSION_NAME)?.to_owned();
    Ok((name, find(expression, rule::EXPRESSION_DATA)?.to_vec()))
}

/// Compares the rules of a chain with those that it should have. Rules of other programs may stand
/// between them.
pub(crate) fn compare<'a>(wanted: &'a ChainRules, listed: &[&ListedRule]) -> Comparison<'a> {
    let listed: Vec<_> = listed.iter().map(|rule| rule.meaning()).collect();
    let mut missing = Vec::new();
    let mut is_in_order = true;
    // Where the rules of one part end, and those of the next may begin.
    let mut end = 0;
    for (rules, have_order) in [
        (&wanted.first, true),
        (&wanted.of_sets, false),
        (&wanted.last, true),
    ] {
        let mut first_free = end;
        for rule in rules {
            let meaning = rule.meaning();
            let mut positions = (0..).zip(&listed).filter(|(_, it)| **it == meaning);
            let Some((position, _)) = positions.next() else {
                missing.push(rule);
                continue;
            };
            is_in_order &= position >= first_free && positions.next().is_none();
            end = end.max(position + 1);
            if have_order {
                first_free = position + 1;
            }
        }
    }
    Comparison {
        missing,
        is_in_order,
    }
}

impl Comparison<'_> {
    /// Whether the chain needs no change.
    pub(crate) fn is_right(&self) -> bool {
        self.missing.is_empty() && self.is_in_order
    }
}
