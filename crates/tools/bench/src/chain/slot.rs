//! A container that is attached and detached over and over.

use std::process::Command;
use std::sync::Mutex;

use anyhow::{Result, ensure};
use serde_json::Value;
use testkit::NetNs;

use super::network::{self, GATEWAY};

/// A container's network namespace, which is made once, and what a runtime knows of it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) sandbox: NetNs,
    /// The address for one who has nobody to choose it, with the prefix's length.
    pub(super) address: String,
    /// The last ADD's result, for the DEL after it.
    result: Mutex<Option<Value>>,
}

impl Slot {
    /// Makes the container of a number.
    pub(super) fn new(number: usize) -> Result<Self> {
        Ok(Self {
            sandbox: NetNs::new()?,
            address: network::address(number),
            result: Mutex::new(None),
        })
    }

    /// Keeps what ADD answered; nothing if that is no JSON.
    pub(super) fn keep(&self, answer: &[u8]) {
        let result = serde_json::from_slice(answer).ok();
        *self.result.lock().unwrap_or_else(|held| held.into_inner()) = result;
    }

    /// What was kept last.
    pub(super) fn kept(&self) -> Option<Value> {
        let result = self.result.lock().unwrap_or_else(|held| held.into_inner());
        result.clone()
    }

    /// An error unless the container reaches its gateway.
    pub(super) fn check_gateway(&self) -> Result<()> {
        let mut ping = Command::new("ping");
        ping.args(["-q", "-c", "1", "-W", "2", &GATEWAY.to_string()]);
        let output = self.sandbox.command(&mut ping);
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "the container does not reach its gateway: {}",
            text.trim()
        );
        Ok(())
    }
}
