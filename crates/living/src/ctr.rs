//! containerd's tasks: `ctr tasks ls` in each of containerd's namespaces.

use crate::program::{lines, run};
use crate::{Container, LivingError, State};

const PROGRAM: &str = "ctr";

/// The word for a task that has ended and was not deleted.
const ENDED: &[&str] = &["STOPPED"];

pub(crate) fn ask() -> Result<Vec<Container>, LivingError> {
    let mut containers = Vec::new();
    for namespace in lines(PROGRAM, &run(PROGRAM, &["namespaces", "ls", "--quiet"])?)? {
        let output = run(PROGRAM, &["--namespace", namespace, "tasks", "ls"])?;
        containers.extend(parse(&output, namespace)?);
    }
    Ok(containers)
}

/// The tasks of a namespace: a table with the columns TASK, PID and STATUS. The container ID for
/// CNI is `<namespace>-<ID>` for a container of `ctr` or nerdctl; that of a pod of Kubernetes, in
/// namespace `k8s.io`, is the ID alone.
pub(crate) fn parse(output: &[u8], namespace: &str) -> Result<Vec<Container>, LivingError> {
    let mut containers = Vec::new();
    let mut rows = lines(PROGRAM, output)?.into_iter();
    let header = rows.next().unwrap_or_default();
    if header.split_whitespace().ne(["TASK", "PID", "STATUS"]) {
        return Err(garbled(format!(
            "the first line is {header:?}, not TASK, PID and STATUS"
        )));
    }
    for row in rows {
        let mut columns = row.split_whitespace();
        let (Some(id), Some(pid), Some(status)) = (columns.next(), columns.next(), columns.next())
        else {
            return Err(garbled(format!("{row:?} has fewer than three columns")));
        };
        for id in [format!("{namespace}-{id}"), id.to_owned()] {
            containers.push(Container {
                id,
                name: None,
                state: State::of(status, ENDED),
                pid: pid.parse().ok().filter(|pid| *pid != 0),
            });
        }
    }
    Ok(containers)
}

fn garbled(reason: String) -> LivingError {
    LivingError::Table {
        program: PROGRAM,
        reason,
    }
}
