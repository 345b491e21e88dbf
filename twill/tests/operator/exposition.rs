//! The metrics, in Prometheus's text format and as JSON.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use testkit::requirements::require_root;

/// A sample: name, labels and value.
type Sample = (String, BTreeMap<String, String>, f64);

/// Reads Prometheus's text format (version 0.0.4), each of whose rules it asserts.
fn samples_in(text: &str) -> Vec<Sample> {
    assert!(text.ends_with('\n'), "the last line has no end");
    let mut families: BTreeSet<&str> = BTreeSet::new();
    let mut family = "";
    let mut has_type = false;
    let mut samples = Vec::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').unwrap();
            assert!(families.insert(name), "two groups of lines: {line}");
            assert!(!words.is_empty() && !words.contains('\\'), "{line}");
            (family, has_type) = (name, false);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            assert_eq!(kind.split_once(' ').unwrap(), (family, "gauge"), "{line}");
            assert!(!has_type, "{line}");
            has_type = true;
        } else {
            let sample = sample_in(line);
            assert_eq!((sample.0.as_str(), has_type), (family, true), "{line}");
            let same = |it: &Sample| it.0 == sample.0 && it.1 == sample.1;
            assert!(!samples.iter().any(same), "{line}");
            samples.push(sample);
        }
    }
    samples
}

fn sample_in(line: &str) -> Sample {
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    let (name, rest) = line.split_at(end.unwrap());
    assert!(!name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()));
    let mut labels = BTreeMap::new();
    let mut rest = rest.chars().peekable();
    if rest.next_if_eq(&'{').is_some() {
        while rest.next_if_eq(&'}').is_none() {
            let mut label = String::new();
            while let Some(c) = rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                label.push(c);
            }
            assert_eq!((rest.next(), rest.next()), (Some('='), Some('"')), "{line}");
            let mut value = String::new();
            loop {
                match rest.next().unwrap() {
                    '"' => break,
                    '\\' => value.push(match rest.next() {
                        Some('n') => '\n',
                        Some(c @ ('\\' | '"')) => c,
                        other => panic!("{other:?} after a backslash: {line}"),
                    }),
                    c => value.push(c),
                }
            }
            assert!(!label.is_empty() && labels.insert(label, value).is_none());
            rest.next_if_eq(&',');
        }
    }
    assert_eq!(rest.next(), Some(' '), "{line}");
    let value: String = rest.collect();
    (name.to_owned(), labels, value.parse().unwrap())
}

#[test]
fn metrics_follow_the_exposition_format_and_are_the_same_as_json() {
    if !require_root() {
        return;
    }
    let site = crate::healthy::site_of("disk");
    site.end("c2");
    let words = ["metrics", "--older-than", "0s"];
    let (text, status) = site.twill(&words);
    assert_eq!(status, 0);
    let samples = samples_in(&format!("{text}\n"));
    let (value, status) = site.json(&words);
    assert_eq!(status, 0);
    let of_json = value.as_array().unwrap().iter().map(|it| {
        let labels = it["labels"].as_object().unwrap().iter();
        let labels = labels.map(|(label, value)| (label.clone(), text_of(value)));
        let value = it["value"].as_f64().unwrap();
        (text_of(&it["name"]), labels.collect(), value)
    });
    let mut of_json: Vec<Sample> = of_json.collect();
    let mut of_text = samples.clone();
    let order = |a: &Sample, b: &Sample| (&a.0, &a.1).cmp(&(&b.0, &b.1));
    of_json.sort_by(order);
    of_text.sort_by(order);
    assert_eq!(of_text, of_json);

    let value_of = |name: &str, labels: &[(&str, &str)]| {
        let labels = labels
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
        let labels: BTreeMap<String, String> = labels.collect();
        let found = samples.iter().find(|it| it.0 == name && it.1 == labels);
        found.map(|it| it.2)
    };
    for (name, labels, value) in [
        ("twill_faults", &[("kind", "dead-lease")][..], 1.0),
        ("twill_faults", &[("kind", "lease-file")], 0.0),
        (
            "twill_leases",
            &[("network", "cbr0"), ("state", "alive")],
            1.0,
        ),
        (
            "twill_leases",
            &[("network", "cbr0"), ("state", "dead")],
            1.0,
        ),
        (
            "twill_range_free",
            &[("network", "cbr0"), ("range", "10.244.1.1-10.244.1.254")],
            251.0,
        ),
    ] {
        assert_eq!(value_of(name, labels), Some(value), "{name} {labels:?}");
    }
    for name in [
        "twill_lease_file_timestamp_seconds",
        "twill_oldest_lease_timestamp_seconds",
    ] {
        let own = samples.iter().filter(|it| it.0 == name);
        let moments: Vec<f64> = own.map(|it| it.2).collect();
        assert!(
            moments.len() == 1 && moments[0] > 1.7e9,
            "{name}: {moments:?}"
        );
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// A file is replaced as a whole. Anything else, such as a device or a link, stays what it is.
#[test]
fn metrics_replace_files_alone() {
    if !require_root() {
        return;
    }
    let site = crate::healthy::site_of("disk");
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("target"), "earlier").unwrap();
    std::os::unix::fs::symlink("target", path("link")).unwrap();
    for name in ["file", "link"] {
        let file = path(name);
        let (text, status) = site.twill(&["metrics", "--output", file.to_str().unwrap()]);
        assert_eq!((text.as_str(), status), ("", 0));
    }
    assert!(path("link").is_symlink());
    for name in ["file", "target"] {
        assert!(!samples_in(&std::fs::read_to_string(path(name)).unwrap()).is_empty());
    }
}
