//! `twill install` and `twill uninstall`: files, failures, and containers that come and go
//! meanwhile.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

mod copied_over;
mod failures;
mod files;
mod going_back;
mod needs;
mod storm;
mod support;
mod upgrade;
