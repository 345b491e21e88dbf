//! Installations while containers come and go.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};
use testkit::requirements::require_root;
use testkit::{Container, Invocation, Node, conf};

use crate::support::{Plugins, binary, run};

/// How often the plugins are replaced: by default a few times; `TWILL_INSTALLS=1000` for all of it.
#[allow(clippy::disallowed_methods, reason = "a setting of the test")]
fn rounds() -> usize {
    let set = std::env::var("TWILL_INSTALLS").ok();
    set.map_or(10, |count| count.parse().unwrap())
}

/// Attaches and detaches a container over and over until `done`, and returns how often.
fn attach(node: &Node, plugins: &Plugins, id: &str, conf: &Value, done: &AtomicBool) -> usize {
    let container = Container::new(id);
    let call = |command: &str| {
        let call = Invocation::attach(plugins.path("bridge"), command, &container.id)
            .netns(container.sandbox.path())
            .config(conf);
        node.run(&call)
    };
    let mut count = 0;
    while !done.load(Ordering::Relaxed) {
        let added = call("ADD").success();
        assert!(added["ips"][0]["address"].is_string(), "{added}");
        call("DEL").silent();
        count += 1;
    }
    count
}

/// Runs `replace` for each round while three containers come and go.
fn under_a_storm(plugins: &Plugins, replace: impl Fn(usize)) {
    let node = Node::new().unwrap();
    let keys = json!({ "bridge": "cni0", "isGateway": true });
    let conf = conf::with(conf::of("bridge", keys), conf::host_local(&[conf::SUBNET]));
    // Without a container that stays, the Go plugin creates the bridge while another removes it.
    node.ip("link add cni0 type bridge");
    let (done, attached) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for id in ["c1", "c2", "c3"] {
            let (node, conf, done, attached) = (&node, &conf, &done, &attached);
            scope.spawn(move || {
                let _end = EndAll(done);
                attached.fetch_add(attach(node, plugins, id, conf, done), Ordering::Relaxed);
            });
        }
        let _end = EndAll(&done);
        for round in 0..rounds() {
            // A thread has failed, and its panic is the test's.
            if done.load(Ordering::Relaxed) {
                break;
            }
            replace(round);
        }
    });
    assert!(attached.load(Ordering::Relaxed) > 0);
    let left = node.list(format!("/var/lib/cni/networks/{}", conf::NETWORK));
    let addresses = left.iter().filter(|name| name.starts_with("10."));
    assert_eq!(addresses.count(), 0, "{left:?}");
}

/// Ends all threads as soon as one of them has ended, by a panic or not.
struct EndAll<'a>(&'a AtomicBool);

impl Drop for EndAll<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn no_call_fails_while_one_build_replaces_another() {
    if !require_root() {
        return;
    }
    let (plugins, other) = (Plugins::new(), Plugins::new());
    let only = ["--plugins", "bridge,host-local"];
    let contents = [fs::read(binary()).unwrap(), b"another build".to_vec()].concat();
    other.write("twill", contents);
    plugins.run(&[&["install"][..], &only].concat());
    under_a_storm(&plugins, |round| {
        let program = [other.path("twill"), binary()][round % 2].clone();
        let words = [&["install"][..], &only, &[plugins.dir().to_str().unwrap()]];
        let output = run(&program, &words.concat());
        assert!(output.status.success(), "{output:?}");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert_eq!(printed.matches(": updated\n").count(), 2, "{printed}");
    });
}

#[test]
fn no_call_fails_while_the_go_plugins_are_replaced_and_put_back() {
    let Some(plugins) = Plugins::of_go(&["bridge", "host-local"]) else {
        return;
    };
    let only = ["--plugins", "bridge,host-local"];
    under_a_storm(&plugins, |round| {
        let command = ["install", "uninstall"][round % 2];
        let printed = plugins.run(&[&[command][..], &only].concat());
        assert_eq!(printed.lines().count(), 2, "{printed}");
    });
}
