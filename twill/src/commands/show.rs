//! `twill show`: all that is known of an address, a container or an interface.

mod view;

use anyhow::{Result, bail};
use clap::Args;
use cni_types::parse_ip_or_cidr;
use netlink::Rtnetlink;
use node::{KnownAttachment, Node, NodeLink};

use self::view::View;
use crate::cli::Outcome;
use crate::node_options::NodeOptions;
use crate::output::Output;

/// Shows everything about an address, a container or a link.
///
/// That is its leases, the configuration that flannel keeps for its DEL, the links on both ends
/// with their counters, its neighbour entry, masquerading, mapped ports and limits.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  twill show 10.244.1.7
  twill show 3f2a          (the start of a container's ID)
  twill show vethk70c0kqwsfj --json")]
pub(crate) struct Options {
    /// An address, the start of a container's ID, or the name of a link: of the node, or else of
    /// containers.
    subject: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    node: NodeOptions,
}

/// Prints everything about the target.
pub(crate) fn run(options: &Options, output: &mut Output<'_>) -> Result<Outcome> {
    let subject = options.subject.trim();
    if subject.is_empty() {
        bail!("name an address, a container or a link");
    }
    let node = Node::read(&options.node.paths());
    let found = find(&node, subject);
    if found.is_empty() {
        bail!("{}", without_attachment(&node, subject));
    }
    let mut kernel = Rtnetlink::open().ok();
    let views: Vec<View<'_>> = found
        .iter()
        .map(|known| View::of(&node, known, kernel.as_mut()))
        .collect();
    if options.json {
        output.json(&views);
        return Ok(Outcome::Done);
    }
    for (number, view) in views.iter().enumerate() {
        if number > 0 {
            output.line("");
        }
        output.texts(&view.table());
    }
    Ok(Outcome::Done)
}

/// The attachments that the target names.
fn find(node: &Node, subject: &str) -> Vec<KnownAttachment> {
    let all = node.attachments();
    if let Ok(address) = parse_ip_or_cidr(subject) {
        let owners: Vec<_> = node.owners_of(address).collect();
        let is_owner = |known: &KnownAttachment| {
            let mut owners = owners.iter();
            owners.any(|(network, owner)| known.network == **network && known.is(owner))
        };
        return all.into_iter().filter(is_owner).collect();
    }
    let links = node.links.as_ref().ok();
    let is_link = links.is_some_and(|links| links.by_name(subject).is_some());
    let has = |link: Option<&NodeLink>| link.is_some_and(|it| it.link.name == subject);
    let is_meant = |known: &&KnownAttachment| {
        known.container_id.as_str().starts_with(subject)
            || (is_link && (has(node.node_end_of(known)) || has(node.ifb_of(known))))
    };
    let meant: Vec<_> = all.iter().filter(is_meant).cloned().collect();
    if !meant.is_empty() || is_link {
        return meant;
    }
    let is_inside = |known: &&KnownAttachment| {
        let ifname = known.ifname.as_ref();
        ifname.is_some_and(|ifname| ifname.as_str() == subject)
    };
    all.iter().filter(is_inside).cloned().collect()
}

/// The report about an address or a link that belongs to no attachment, or that is not known.
fn without_attachment(node: &Node, subject: &str) -> String {
    let links = node.links.as_ref().ok();
    let known = match parse_ip_or_cidr(subject) {
        Ok(address) => {
            let sighting = node.sightings.of_address(address).first();
            let has = |it: &&NodeLink| it.addresses.iter().any(|it| it.network.ip() == address);
            let own = links.and_then(|links| links.iter().find(has));
            match (sighting, own) {
                (Some(sighting), _) => {
                    return format!("{address} is {sighting}, and no lease records it");
                }
                (None, Some(own)) => {
                    return format!("{address} is the node's own, on {}", own.link.name);
                }
                (None, None) => format!("no lease records {address}, and no link has it"),
            }
        }
        Err(_) => match links.and_then(|links| links.by_name(subject)) {
            Some(link) => {
                let alias = link.link.alias.as_deref().unwrap_or("no alias");
                return format!(
                    "{subject} is a link of kind {} with {alias}, and belongs to no attachment \
                     that is recorded",
                    link.link.kind.name()
                );
            }
            None => format!(
                "{subject} is neither an address, nor the start of a container's ID, nor a link of \
                 an attachment that this node knows"
            ),
        },
    };
    match node.problems().first() {
        Some(problem) => format!("{known}; but not all of the node can be read: {problem}"),
        None => known,
    }
}
