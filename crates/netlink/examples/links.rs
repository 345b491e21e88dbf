//! Lists the links of a network namespace with their addresses, as a short `ip address` does.
//!
//! ```console
//! # cargo run -p netlink --example links                     # the links of this namespace
//! # cargo run -p netlink --example links /run/netns/demo     # those of another one (needs root)
//! ```

#![allow(clippy::print_stdout, reason = "a command for the terminal: it prints")]

use std::env;
use std::error::Error;
use std::path::Path;

use netlink::{Netns, Rtnetlink};

fn main() -> Result<(), Box<dyn Error>> {
    let mut socket = match env::args_os().nth(1) {
        None => Rtnetlink::open()?,
        // The socket stays in the namespace in which it was opened; the thread comes back at once.
        Some(path) => Rtnetlink::open_in(&Netns::open(Path::new(&path))?, &Netns::current()?)?,
    };
    for link in socket.links()? {
        let state = if link.is_up { "up" } else { "down" };
        let mac = link
            .mac
            .map_or_else(|| "-".to_owned(), |mac| mac.to_string());
        println!(
            "{}: {} {state} mtu {} mac {mac}",
            link.index, link.name, link.mtu
        );
        for address in socket.addresses(link.index, None)? {
            println!("    {}", address.network);
        }
    }
    Ok(())
}
