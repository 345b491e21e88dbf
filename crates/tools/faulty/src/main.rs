//! Two plugins in one binary, for tests only: `faulty` panics, and `caller` delegates to it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "panics are what it is for"
)]

use std::process::ExitCode;

use cni_plugin::{Bundle, Call, Command, ContainerNetns, Plugin};
use cni_types::{Attachment, Error, ValidAttachments};

const PLUGINS: Bundle<'_> = Bundle::new(&[&Faulty, &Caller]);

fn main() -> ExitCode {
    cni_plugin::main_of_bundle(PLUGINS).unwrap_or(ExitCode::from(7))
}

/// Each command panics in another way.
#[derive(Debug)]
struct Faulty;

impl Plugin for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn add(&self, _: &Call<'_>, _: &Attachment, _: &ContainerNetns) -> Result<String, Error> {
        panic!("it says \"{}\"\n", "two lines");
    }

    fn del(
        &self,
        _: &Call<'_>,
        attachment: &Attachment,
        _: Option<&ContainerNetns>,
    ) -> Result<(), Error> {
        let bytes = attachment.container_id.as_str().as_bytes();
        assert_ne!(bytes[bytes.len()], 0);
        Ok(())
    }

    fn check(&self, _: &Call<'_>, _: &Attachment, _: &ContainerNetns) -> Result<(), Error> {
        let thread = std::thread::spawn(|| panic!("in a thread"));
        drop(thread.join());
        Ok(())
    }

    fn gc(&self, _: &Call<'_>, _: &ValidAttachments) -> Result<(), Error> {
        std::panic::panic_any(4711)
    }
}

/// Passes ADD on to `faulty`, with its own configuration.
#[derive(Debug)]
struct Caller;

impl Plugin for Caller {
    fn name(&self) -> &'static str {
        "caller"
    }

    fn add(&self, call: &Call<'_>, _: &Attachment, _: &ContainerNetns) -> Result<String, Error> {
        let delegate = call.delegate("faulty".parse().unwrap())?;
        let conf = r#"{"cniVersion":"1.0.0","name":"n","type":"faulty"}"#;
        Ok(delegate.start(Command::Add)?.add(conf, call.conf.version)?)
    }

    fn del(&self, _: &Call<'_>, _: &Attachment, _: Option<&ContainerNetns>) -> Result<(), Error> {
        Ok(())
    }

    fn check(&self, _: &Call<'_>, _: &Attachment, _: &ContainerNetns) -> Result<(), Error> {
        Ok(())
    }
}
