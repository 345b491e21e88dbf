//! Feeds the target that `TWILL_FUZZ_TARGET` names with libFuzzer's inputs; see `hunt.sh`.

#![no_main]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a developer's command: it prints, and reads the environment"
)]

use std::cell::OnceCell;

use anyhow::Result;
use fuzz::targets::Target;
use libfuzzer_sys::fuzz_target;

type Feed = Box<dyn Fn(&[u8]) -> Result<()>>;

thread_local! {
    static FEED: OnceCell<Feed> = const { OnceCell::new() };
}

fn feeder() -> Feed {
    let name = std::env::var("TWILL_FUZZ_TARGET").unwrap_or_default();
    match Target::find(&name) {
        Ok(target) => Box::new(target.feeder()),
        Err(error) => Box::new(move |_| Err(anyhow::anyhow!("{error}"))),
    }
}

fuzz_target!(|input: &[u8]| {
    let fed = FEED.with(|feed| feed.get_or_init(feeder)(input));
    if let Err(error) = fed {
        eprintln!("{error:#}");
        // libFuzzer's handler then keeps the input. It runs on this thread, which is not in the
        // jail.
        std::process::abort();
    }
});
