//! Fuzzing: each target hands bytes to the plugins as one kind of input, and checks the replies.
//!
//! The tests feed the inputs in `testdata/fuzz`, and random mutations of them. The program `hunt`,
//! which `hunt.sh` builds, feeds what libFuzzer makes of these inputs, guided by the code that they
//! reach.
//!
//! A target is a function and a row in `TARGETS` (`targets.rs`), with a directory of inputs to
//! start from, `testdata/fuzz/<name>`, and perhaps further words in `testdata/fuzz/dictionary`.

mod jail;
mod reply;
pub mod targets;
