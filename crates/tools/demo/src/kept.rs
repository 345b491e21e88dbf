//! Leaving the node and its containers up after the demo.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use testkit::Node;

use super::attached::Attached;
use super::checks::ADDRESSES;
use xtask::terminal::line;

/// Starts processes that hold the namespaces, and prints how to look inside and how to end them.
pub(crate) fn keep(node: &Node, containers: &[&Attached]) -> Result<()> {
    let node_pid = node.enter(hold)?;
    let mut all = node_pid.to_string();
    line("kept: the namespaces, held by these processes");
    line(format_args!("  node   {node_pid}"));
    let mut look = vec![
        format!("  nsenter -t {node_pid} -n -m ip address"),
        format!("  nsenter -t {node_pid} -m sh -c 'tail -n +1 {ADDRESSES}/*; echo'"),
    ];
    for attached in containers {
        let pid = node.enter(|| attached.container.sandbox.enter(hold))?;
        let id = &attached.container.id;
        line(format_args!("  {id:<6} {pid}   {}", attached.ip()));
        look.push(format!("  nsenter -t {pid} -n -m ip route   # {id}"));
        all += &format!(" {pid}");
    }
    line("look inside:");
    look.iter().for_each(line);
    line(format_args!("remove all of it: kill {all}"));
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
