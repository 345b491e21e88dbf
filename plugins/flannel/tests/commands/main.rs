//! Each command of flannel, with a scripted delegate that records its calls.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

#[path = "../support/asked.rs"]
mod asked;
#[path = "../support/desk.rs"]
mod desk;
#[path = "../support/log_lines.rs"]
mod log_lines;
#[path = "../support/traced.rs"]
mod traced;
#[path = "../support/upkeep.rs"]
mod upkeep;

mod added;
mod at_once;
mod broken;
mod corrected;
mod failed;
mod gc;
mod gc_of_many;
mod gc_of_the_delegate;
mod go_state;
mod log_file;
mod logged;
mod long_ids;
mod lost;
mod renewed;
mod replayed;
mod status;
mod troubled;
mod versions;
mod waiting;
