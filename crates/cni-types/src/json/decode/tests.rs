//! Tests of decoding with Go's rules.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Inner {
    #[serde(rename = "rangeStart")]
    range_start: Option<String>,
    count: Option<u32>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Outer {
    data_dir: Option<String>,
    flag: Option<bool>,
    sets: Vec<Vec<Inner>>,
    by_name: BTreeMap<String, Inner>,
}

fn decode(text: &str) -> Result<Outer, String> {
    from_str(text).map_err(|error| error.to_string())
}

#[test]
fn keys_are_found_without_regard_to_case() {
    let outer =
        decode(r#"{"DATADIR":"/x","Sets":[[{"RangeStart":"a","COUNT":1}]],"other":{"a":[1]}}"#)
            .unwrap();
    assert_eq!(outer.data_dir.as_deref(), Some("/x"));
    assert_eq!(outer.sets[0][0].range_start.as_deref(), Some("a"));
    assert_eq!(outer.sets[0][0].count, Some(1));
}

#[test]
fn the_last_of_several_counts_and_null_does_not() {
    let outer = decode(r#"{"dataDir":"a","datadir":"b","DataDir":null,"flag":null,"sets":null}"#);
    assert_eq!(
        outer.unwrap(),
        Outer {
            data_dir: Some("b".into()),
            ..Outer::default()
        }
    );
}

#[test]
fn keys_of_a_map_are_kept() {
    let outer = decode(r#"{"byName":{"\u0041":{"Count":1},"a":{"count":2}}}"#).unwrap();
    let counts: Vec<_> = outer
        .by_name
        .iter()
        .map(|(k, v)| (k.as_str(), v.count))
        .collect();
    assert_eq!(counts, [("A", Some(1)), ("a", Some(2))]);
}

#[test]
fn errors_name_the_key() {
    for (text, message) in [
        (
            r#"{"sets":[[{}, {"count":"x"}]]}"#,
            r#"sets[0][1].count: invalid type: string "x", expected u32"#,
        ),
        (
            r#"{"sets":[{}]}"#,
            "sets[0]: invalid type: map, expected a sequence",
        ),
        (
            r#"{"byName":{"a":{"count":-1}}}"#,
            "byName.a.count: invalid value: integer `-1`, expected u32",
        ),
        (
            r#"{"dataDir":5}"#,
            "dataDir: invalid type: integer `5`, expected a string",
        ),
        ("[]", "an object is expected, not an array"),
        ("null", "an object is expected, not null"),
        (
            r#"{"sets":[["x"]]}"#,
            "sets[0][0]: an object is expected, not a string",
        ),
        ("", "empty: a JSON object is expected"),
        (" \n", "empty: a JSON object is expected"),
        ("{", "EOF while parsing an object at line 1 column 1"),
        ("{} x", "trailing characters at line 1 column 4"),
    ] {
        assert_eq!(decode(text), Err(message.to_owned()), "{text:?}");
    }
    assert_eq!(
        from_slice::<Outer>(b"{\"\xff\":1}")
            .unwrap_err()
            .to_string(),
        "not UTF-8 at byte 2"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = from_slice::<Outer>(&bytes);
    }

    #[test]
    fn any_text_of_json_characters_is_decoded_or_refused(
        text in r#"(\{|\}|\[|\]|"|:|,|sets|count|dataDir|null|-1|1e9|\\u00|  ){0,24}"#
    ) {
        let _ = from_str::<Outer>(&text);
    }
}
