//! `main`: the only code that reads the environment and the standard streams, and sets the exit
//! status.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use cni_types::{Code, Error, NetConf, Quoted, Version};
use nix::sys::signal::{SigSet, Signal};

use crate::dispatch::{dispatch_in, failure, version_of};
use crate::{Bundle, Command, Environment, Plugin, Reply, Request, panic_answer, streams};

/// musl's own allocator returns memory to the kernel as soon as it can, which would double the time
/// of a call.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// The largest configuration that is read, in bytes: 64 MiB. The list of a GC on a full node has
/// tens of thousands of attachments, which are a few MiB.
const MAX_STDIN: usize = 64 << 20;

/// Runs a plugin in the process that the runtime started. A plugin's `main` does nothing else.
pub fn main(plugin: &dyn Plugin) -> ExitCode {
    serve(Bundle::default(), plugin)
}

/// As [`main`], for the plugin of a bundle that the base name of `argv[0]` selects.
///
/// `None` if the name is not a plugin's and the caller is not a runtime. A runtime gets an error.
pub fn main_of_bundle(bundle: Bundle<'_>) -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    let started_as = arguments.next().unwrap_or_default();
    let name = Path::new(&started_as).file_name().unwrap_or_default();
    if let Some(plugin) = bundle.get(name) {
        return Some(serve(bundle, plugin));
    }
    // A runtime sets CNI_COMMAND and passes no arguments.
    if arguments.next().is_some() || Environment::of_process().get("CNI_COMMAND").is_none() {
        return None;
    }
    let names = bundle.names().collect::<Vec<_>>().join(", ");
    let error = Error::new(
        Code::INVALID_ENVIRONMENT,
        format!(
            "CNI_COMMAND is set, but the name that the program was started by, {}, is no plugin's: link or copy it to one of \
             {names}, or correct the type in the network configuration",
            Quoted(&name.to_string_lossy())
        ),
    );
    Some(answer(&failure(&error, Version::LATEST)))
}

fn serve(bundle: Bundle<'_>, plugin: &dyn Plugin) -> ExitCode {
    panic_answer::arm(plugin.name());
    // A write beyond RLIMIT_FSIZE then is an error, and does not end the process without an answer.
    let _ = SigSet::from(Signal::SIGXFSZ).thread_block();
    let reply = match read_request() {
        Ok(request) => {
            let conf = NetConf::parse(&request.stdin);
            let conf = conf.as_ref();
            panic_answer::answer_in(version_of(conf));
            dispatch_in(bundle, plugin, &request.environment, conf, None)
        }
        Err(error) => failure(&error, Version::LATEST),
    };
    answer(&reply)
}

/// Writes the answer. If that fails the call has failed, because the runtime does not learn of the
/// success.
fn answer(reply: &Reply) -> ExitCode {
    if !panic_answer::claim() {
        return ExitCode::FAILURE;
    }
    let written = streams::write_all(io::stderr(), reply.stderr.as_bytes())
        .and_then(|()| streams::write_all(io::stdout(), reply.stdout.as_bytes()));
    if let Err(error) = &written {
        let message = format!("cannot write the answer to standard output: {error}\n");
        let _ = streams::write_all(io::stderr(), message.as_bytes());
    }
    if reply.failed || written.is_err() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn read_request() -> Result<Request, Error> {
    let environment = Environment::of_process();
    let reads_stdin = environment
        .get("CNI_COMMAND")
        .and_then(|command| command.to_str())
        .and_then(Command::from_text)
        .is_some_and(|command| command != Command::Version);
    let stdin = if reads_stdin {
        streams::read_all(io::stdin(), MAX_STDIN).map_err(unreadable)?
    } else {
        Vec::new()
    };
    Ok(Request { environment, stdin })
}

fn unreadable(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::FileTooLarge {
        let limit = MAX_STDIN >> 20;
        return Error::new(
            Code::DECODING_FAILURE,
            format!("the network configuration on standard input has more than {limit} MiB"),
        );
    }
    Error::new(
        Code::IO_FAILURE,
        format!("cannot read the network configuration from standard input: {error}"),
    )
}
