//! Leaving the node and its containers up after the demo.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use testkit::Node;

use super::NETWORK;
use super::attachment::Container;
use super::report::Report;

/// Starts processes that hold the namespaces, and prints how to look inside and how to end them.
pub(crate) fn keep(report: &mut Report<'_>, node: &Node, containers: &[&Container]) -> Result<()> {
    let node_pid = node.enter(hold)?;
    let mut pids = Vec::new();
    for container in containers {
        pids.push((container, node.enter(|| container.sandbox.enter(hold))?));
    }
    report.note("kept: the namespaces, held by these processes");
    report.note(&format!("  node   {node_pid}"));
    for (container, pid) in &pids {
        report.note(&format!(
            "  {:<6} {pid}   {}",
            container.name,
            container.ip()
        ));
    }
    report.note("look inside:");
    report.note(&format!("  nsenter -t {node_pid} -n -m ip address"));
    let dir = format!("/var/lib/cni/networks/{NETWORK}");
    report.note(&format!(
        "  nsenter -t {node_pid} -m sh -c 'tail -n +1 {dir}/*; echo'"
    ));
    for (container, pid) in &pids {
        report.note(&format!(
            "  nsenter -t {pid} -n -m ip route   # {}",
            container.name
        ));
    }
    let all = pids
        .iter()
        .map(|(_, pid)| pid.to_string())
        .collect::<Vec<_>>()
        .join(" ");
    report.note(&format!("remove all of it: kill {node_pid} {all}"));
    Ok(())
}

/// Starts a process that stays in the calling thread's namespaces until it is killed.
fn hold() -> Result<u32> {
    let mut sleep = Command::new("sleep");
    sleep.arg("infinity").current_dir("/").process_group(0);
    sleep
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = sleep.spawn().context("cannot run `sleep`")?;
    ensure!(
        child.try_wait()?.is_none(),
        "`sleep infinity` has ended at once"
    );
    Ok(child.id())
}
