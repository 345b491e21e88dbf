use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use cni_types::{Code, Error, Version};

use crate::dispatch::dispatch_in;
use crate::{Bundle, Command, Environment, Plugin, Reply, Request};

/// musl's own gives memory back to the kernel as soon as it can, which takes as long as a plugin's work does.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// The largest configuration that is read, in bytes: 64 MiB. GC of a full node lists tens of thousands of attachments,
/// which makes a few MiB.
const MAX_STDIN: u64 = 64 << 20;

/// Runs a plugin as the process that the runtime started: the whole of a plugin's `main`.
pub fn main(plugin: &dyn Plugin) -> ExitCode {
    serve(Bundle::default(), plugin)
}

/// As [`main`], for the plugin of a bundle that the process was started as: by the base name of its first argument. `None` if it
/// was started under another name.
pub fn main_of_bundle(bundle: Bundle<'_>) -> Option<ExitCode> {
    let started_as = std::env::args_os().next()?;
    let plugin = bundle.get(Path::new(&started_as).file_name()?)?;
    Some(serve(bundle, plugin))
}

fn serve(bundle: Bundle<'_>, plugin: &dyn Plugin) -> ExitCode {
    let reply = match read_request() {
        Ok(request) => dispatch_in(bundle, plugin, &request, None),
        Err(error) => {
            let stdout = serde_json::to_string(&error.at_version(Version::LATEST));
            Reply {
                stdout: stdout.unwrap_or_default() + "\n",
                failed: true,
                ..Reply::default()
            }
        }
    };
    // A runtime that closed its end does not learn of the success, so there is none.
    let told = write_reply(&reply);
    if reply.failed || told.is_err() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

#[allow(clippy::disallowed_methods)] // the one place that reads the environment
fn read_request() -> Result<Request, Error> {
    let environment: Environment = std::env::vars_os().collect();
    let reads_stdin = environment
        .get("CNI_COMMAND")
        .and_then(|command| command.to_str())
        .and_then(Command::from_text)
        .is_some_and(|command| command != Command::Version);
    let mut stdin = Vec::new();
    if reads_stdin {
        let count = io::stdin()
            .lock()
            .take(MAX_STDIN + 1)
            .read_to_end(&mut stdin)
            .map_err(|error| {
                Error::new(
                    Code::IO_FAILURE,
                    format!("cannot read the network configuration from standard input: {error}"),
                )
            })?;
        if count as u64 > MAX_STDIN {
            return Err(Error::new(
                Code::DECODING_FAILURE,
                format!(
                    "the network configuration on standard input has more than {} MiB",
                    MAX_STDIN >> 20
                ),
            ));
        }
    }
    Ok(Request { environment, stdin })
}

fn write_reply(reply: &Reply) -> io::Result<()> {
    io::stderr().lock().write_all(reply.stderr.as_bytes())?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(reply.stdout.as_bytes())?;
    stdout.flush()
}
