//! Parsing a log.

use testkit::{Invocation, Outcome};

use crate::desk::Desk;
use crate::upkeep::{self, gc, netconf};

/// A line of the log: its keys and values in their order.
pub(crate) type Line = Vec<(String, String)>;

/// Reads the lines of a log, each of which must be whole.
#[track_caller]
pub(crate) fn lines(log: &str) -> Vec<Line> {
    assert!(log.is_empty() || log.ends_with('\n'), "{log}");
    log.lines().map(fields).collect()
}

#[track_caller]
pub(crate) fn fields(line: &str) -> Line {
    let mut fields = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (key, value) = rest.split_once('=').expect(line);
        assert!(key.chars().all(|c| c.is_ascii_lowercase()), "{line}");
        let (value, after) = if value.starts_with('"') {
            // JSON's escapes are near enough to the log's.
            let mut values = serde_json::Deserializer::from_str(value).into_iter::<String>();
            let text = values.next().expect(line).expect(line);
            (text, &value[values.byte_offset()..])
        } else {
            let (text, _) = value.split_once(' ').unwrap_or((value, ""));
            (text.to_owned(), &value[text.len()..])
        };
        fields.push((key.to_owned(), value));
        rest = after
            .strip_prefix(' ')
            .or(after.is_empty().then_some(""))
            .expect(line);
    }
    fields
}

#[track_caller]
pub(crate) fn value<'a>(line: &'a Line, key: &str) -> &'a str {
    let mut values = line.iter().filter(|(name, _)| name == key);
    let (Some((_, value)), None) = (values.next(), values.next()) else {
        panic!("{key} is not once in {line:?}");
    };
    value
}

/// The levels and messages of a log.
#[track_caller]
pub(crate) fn messages(log: &str) -> Vec<(String, String)> {
    let lines = lines(log).into_iter();
    lines
        .map(|line| (value(&line, "level").into(), value(&line, "msg").into()))
        .collect()
}

#[track_caller]
pub(crate) fn assert_logged(outcome: &Outcome, expected: &[(&str, String)]) {
    let messages = messages(&outcome.stderr_text());
    let messages: Vec<(&str, &str)> = messages
        .iter()
        .map(|(level, msg)| (&**level, &**msg))
        .collect();
    let expected: Vec<(&str, &str)> = expected
        .iter()
        .map(|(level, msg)| (*level, &**msg))
        .collect();
    assert_eq!(messages, expected, "{outcome}");
}

/// A call of every command, each of which succeeds in this order, and one that fails.
#[track_caller]
pub(crate) fn every_command(desk: &Desk) -> Vec<Invocation> {
    let attached = |command| desk.call(command).config(&netconf(desk));
    vec![
        attached("ADD"),
        attached("CHECK"),
        gc(desk, &[("c1", "eth0")]),
        upkeep::call(desk, "STATUS"),
        desk.call("VERSION"),
        attached("DEL"),
        attached("DEL"),
        attached("CHECK"),
    ]
}
