//! `twill render`: the configuration that flannel would pass to its delegate.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use cni_types::json::Object;
use conflist::{NetworkList, files};
use node::{LeaseFile, Problem, conf_of, plugin_of, with_conf};
use serde_json::Value;
use twill_flannel::inspect;

use crate::cli::Outcome;
use crate::node_options::NodeOptions;
use crate::output::Output;
use crate::table::Style;

/// Shows the configuration that flannel would pass to its delegate, without calling it.
///
/// Each line is a key, in which "+" marks what flannel adds to the network configuration, and "~"
/// what it changes. With --json, the configuration is printed as the delegate gets it.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  twill render
  twill render /etc/cni/net.d/10-flannel.conflist --lease ./subnet.env
  twill render --json | jq .ipam.ranges")]
pub(crate) struct Options {
    /// The file of the network configuration, instead of the first one with flannel.
    conflist: Option<PathBuf>,
    /// Print the configuration as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    node: NodeOptions,
}

/// Prints the configuration.
pub(crate) fn run(options: &Options, output: &mut Output<'_>) -> Result<Outcome> {
    let paths = options.node.paths();
    let (file, list) = match &options.conflist {
        Some(file) => (file.clone(), files::read(file).map_err(Problem::of)?),
        None => in_use(&paths)?,
    };
    let Some(plugin) = plugin_of(&list, "flannel") else {
        bail!(
            "{} has no plugin flannel, so nothing is rendered",
            file.display()
        );
    };
    let conf = conf_of(&list, plugin)?;
    let named = with_conf(&conf, inspect::subnet_file)?;
    let lease_file = match options.node.lease() {
        Some(file) => file.to_owned(),
        None if named.as_os_str() == inspect::DEFAULT_SUBNET_FILE => paths.lease_file,
        None => named,
    };
    let lease = LeaseFile::read(&lease_file)?;
    with_conf(&conf, |conf| {
        inspect::require_room(conf, &lease.lease, &lease_file)
    })?;
    let rendered = with_conf(&conf, |conf| inspect::render(conf, &lease.lease))?;
    if options.json {
        output.json(&rendered);
        return Ok(Outcome::Done);
    }
    let delegate: Object = conf.decode("delegate")?.unwrap_or_default();
    let ipam: Object = conf.decode("ipam")?.unwrap_or_default();
    for line in compare("", &delegate, &ipam, &rendered)? {
        let style = match line.chars().next() {
            Some('+') => Style::Good,
            Some('~') => Style::Warning,
            _ => Style::Plain,
        };
        output.styled_line(&line, style, "");
    }
    Ok(Outcome::Done)
}

fn in_use(paths: &node::Paths) -> Result<(PathBuf, NetworkList)> {
    let mut usable = Vec::new();
    for dir in &paths.conf_dirs {
        let listed = files::all(dir).map_err(Problem::of)?.into_iter();
        usable.extend(listed.filter_map(|it| Some((it.path, it.list.ok()?))));
    }
    let of_flannel = usable
        .iter()
        .position(|(_, list)| plugin_of(list, "flannel").is_some());
    let first = usable.into_iter().nth(of_flannel.unwrap_or(0));
    first.with_context(|| {
        let dirs = paths.conf_dirs.iter().map(|dir| dir.display().to_string());
        let dirs = dirs.collect::<Vec<_>>().join(" or ");
        format!("no file in {dirs} is a network configuration that can be used")
    })
}

/// One line per key of the rendered configuration; the keys of `ipam` are compared one by one.
fn compare(prefix: &str, own: &Object, ipam: &Object, rendered: &Object) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for key in rendered.keys() {
        if prefix.is_empty() && key == "ipam" {
            let inner: Object = rendered.decode(key)?.unwrap_or_default();
            lines.extend(compare("ipam.", ipam, &Object::default(), &inner)?);
            continue;
        }
        let new: Option<Value> = rendered.decode(key)?;
        let old: Option<Value> = own.decode(key)?;
        let mark = match old {
            None => '+',
            old if old == new => ' ',
            Some(_) => '~',
        };
        let text = new.map_or_else(|| "null".to_owned(), |value| value.to_string());
        lines.push(format!("{mark} {prefix}{key}: {text}"));
    }
    Ok(lines)
}
