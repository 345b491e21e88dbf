//! `twill metrics`: metrics for Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};
use clap::Args;

use crate::cli::Outcome;
use crate::faults::{ExamineOptions, Examined, KINDS, examine};
use crate::output::Output;
use crate::states::States;

/// Prints metrics in Prometheus's text format, for node_exporter's textfile collector.
#[derive(Args, Debug)]
#[command(after_help = "Example, as a line of crontab(5):
  * * * * *  root  twill metrics --output /var/lib/prometheus/node-exporter/twill.prom")]
pub(crate) struct Options {
    /// Write to this file, which is replaced as a whole, instead of standard output. Anything but
    /// a regular file is written to instead.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print JSON: each number with its name and labels.
    #[arg(long, conflicts_with = "output")]
    json: bool,
    #[command(flatten)]
    examine: ExamineOptions,
}

/// A sample: a number with its labels.
#[derive(Debug, serde::Serialize)]
struct Sample {
    name: &'static str,
    labels: BTreeMap<&'static str, String>,
    value: u128,
}

/// The names of the metrics, and their descriptions.
const METRICS: [(&str, &str); 9] = [
    ("twill_build_info", "The build that reports; always 1."),
    (
        "twill_leases",
        "Addresses that are not free, by the state of their owners.",
    ),
    (
        "twill_oldest_lease_timestamp_seconds",
        "When the oldest address of a network was given.",
    ),
    ("twill_range_size", "Addresses that a range can give."),
    (
        "twill_range_used",
        "Addresses of a range that are not free.",
    ),
    (
        "twill_range_dead",
        "Addresses of a range that dead containers hold.",
    ),
    ("twill_range_free", "Addresses of a range that are free."),
    (
        "twill_lease_file_timestamp_seconds",
        "When flanneld wrote its lease; missing without one.",
    ),
    (
        "twill_faults",
        "Faults of the node, by their kind, as `twill doctor` finds them.",
    ),
];

/// Prints the metrics, or writes them to the file.
pub(crate) fn run(options: &Options, output: &mut Output<'_>) -> Result<Outcome> {
    let samples = samples(&examine(&options.examine)?);
    if options.json {
        output.json(&samples);
        return Ok(Outcome::Done);
    }
    let text = text_of(&samples);
    match &options.output {
        None => text.lines().for_each(|line| output.line(line)),
        Some(file) => {
            replace(file, &text).with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    Ok(Outcome::Done)
}

fn samples(examined: &Examined) -> Vec<Sample> {
    let node = &examined.node;
    let mut samples = Vec::new();
    let mut sample = |name, labels: &[(&'static str, &str)], value: u128| {
        let labels = labels
            .iter()
            .map(|(label, text)| (*label, (*text).to_owned()));
        samples.push(Sample {
            name,
            labels: labels.collect(),
            value,
        });
    };
    sample(
        "twill_build_info",
        &[("version", env!("CARGO_PKG_VERSION"))],
        1,
    );
    for network in &node.networks {
        let name = ("network", network.name.as_str());
        // Numbers of leases that cannot be read are left out: 0 would be a false report.
        let states = network.is_read.then(|| States::of(network));
        for (state, number) in states.iter().flat_map(States::by_name) {
            sample("twill_leases", &[name, ("state", state)], number as u128);
        }
        let oldest = network.leases.iter().filter_map(|lease| lease.since).min();
        if let Some(oldest) = oldest {
            sample(
                "twill_oldest_lease_timestamp_seconds",
                &[name],
                seconds(oldest),
            );
        }
        for range in network.range_use() {
            let text = range.set.to_string();
            let labels = [name, ("range", text.as_str())];
            sample("twill_range_size", &labels, range.size);
            if !network.is_read {
                continue;
            }
            sample("twill_range_used", &labels, range.used as u128);
            sample("twill_range_dead", &labels, range.dead as u128);
            sample("twill_range_free", &labels, range.free());
        }
    }
    if let Some(written) = node.lease_file.as_ref().ok().and_then(|file| file.written) {
        sample("twill_lease_file_timestamp_seconds", &[], seconds(written));
    }
    for kind in KINDS {
        let own = examined.faults.iter().filter(|fault| fault.kind == kind);
        sample("twill_faults", &[("kind", kind)], own.count() as u128);
    }
    samples
}

fn seconds(moment: SystemTime) -> u128 {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs().into()
}

/// The samples in the text format, those of one name together.
fn text_of(samples: &[Sample]) -> String {
    let mut text = String::new();
    for (name, help) in METRICS {
        let own: Vec<&Sample> = samples
            .iter()
            .filter(|sample| sample.name == name)
            .collect();
        if own.is_empty() {
            continue;
        }
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for sample in own {
            let labels = sample.labels.iter();
            // Neither names of networks nor ranges have a quote or a backslash.
            let labels = labels.map(|(label, text)| format!("{label}=\"{text}\""));
            let labels = labels.collect::<Vec<_>>().join(",");
            let braces = if labels.is_empty() {
                String::new()
            } else {
                format!("{{{labels}}}")
            };
            let _ = writeln!(text, "{name}{braces} {}", sample.value);
        }
    }
    text
}

/// Replaces a file as a whole. The collector, which may not be root, reads files that end with
/// `.prom`; the name of the new file does not until it is complete. Anything but a regular file,
/// such as `/dev/stdout`, a FIFO or a link, stays what it is, and the text is written to it.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    if fs::symlink_metadata(file).is_ok_and(|found| !found.is_file()) {
        return fs::write(file, text);
    }
    let name = file
        .file_name()
        .ok_or(io::ErrorKind::InvalidInput)?
        .to_string_lossy();
    let aside = file.with_file_name(format!(".{name}.new"));
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o644);
    let written = options.open(&aside).and_then(|mut new| {
        new.write_all(text.as_bytes())?;
        new.sync_all()?;
        fs::rename(&aside, file)
    });
    if written.is_err() {
        let _ = fs::remove_file(&aside);
    }
    written
}
