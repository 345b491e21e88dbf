//! `twill gc`: what dead containers hold is freed, and nothing else.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

mod support;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};
use testkit::Container;

use support::{Inhabitant, KINDS, RunningTwill, Stage, container};

/// A list of these containers' `eth0` for `--from`.
fn list_of(containers: &[&Container]) -> String {
    let list = containers
        .iter()
        .map(|container| json!({"containerID": container.id, "ifname": "eth0"}));
    list.collect::<Value>().to_string()
}

#[test]
fn exactly_the_dead_attachments_are_freed_with_all_their_holdings() {
    for (number, kind) in KINDS.into_iter().enumerate() {
        let Some(stage) = Stage::new(kind, &format!("10.201.{number}")) else {
            return;
        };
        let containers = ["c1", "c2", "c3"].map(container);
        let [one, two, three] = &containers;
        for container in &containers {
            stage.add(container);
        }
        let list = stage.list(&list_of(&[two]));
        let before = stage.holdings();

        let looked = stage.twill(&["gc", "--from", &list, "--older-than", "0s"]);
        assert_eq!(
            stage.holdings(),
            before,
            "{kind:?}: only --apply changes anything"
        );
        let (net, name) = (format!("10.201.{number}"), stage.network());
        assert_eq!(
            looked.text(1),
            format!(
                "NETWORK    CONTAINER  INTERFACE  ADDRESSES   STATE\n\
                 {name}  c1         eth0       {net}.2  dead: {list} does not list it\n\
                 {name}  c3         eth0       {net}.4  dead: {list} does not list it\n\
                 \n\
                 2 dead, 1 alive, 0 unclear: --apply frees what is dead\n"
            )
        );

        let freed = stage.twill(&["gc", "--from", &list, "--older-than", "0s", "--apply"]);
        assert_eq!(
            freed.text(0),
            format!(
                "NETWORK    CONTAINER  INTERFACE  ADDRESSES   STATE\n\
                 {name}  c1         eth0       {net}.2  freed: {list} does not list it\n\
                 {name}  c3         eth0       {net}.4  freed: {list} does not list it\n\
                 \n\
                 2 of 2 dead attachments freed; 1 alive, 0 unclear\n"
            )
        );
        assert_eq!(stage.holdings(), before.only(&[two]), "{kind:?}");
        assert_eq!(one.link_names(), ["lo"]);
        assert_eq!(two.link_names(), ["lo", "eth0"]);

        let again = stage.twill(&["gc", "--from", &list, "--older-than", "0s", "--apply"]);
        assert_eq!(again.text(0), "nothing is dead; 1 alive, 0 unclear\n");
        // What was freed can be used again.
        stage.add(one);
        stage.add(three);
        stage.check(two);
    }
}

#[test]
fn the_output_as_json() {
    let Some(stage) = Stage::new(KINDS[0], "10.201.10") else {
        return;
    };
    let containers = ["c1", "c2"].map(container);
    for container in &containers {
        stage.add(container);
    }
    let list = stage.list(&list_of(&[&containers[0]]));
    let shown = stage.twill(&["gc", "--from", &list, "--older-than", "0s", "--json"]);
    let shown: Value = serde_json::from_str(&shown.text(1)).unwrap();
    assert_eq!(
        shown,
        json!({
            "applied": false,
            "dead": 1,
            "freed": 0,
            "alive": 1,
            "unclear": 0,
            "attachments": [
                {
                    "network": "n10-201-10", "containerID": "c1", "name": null, "ifname": "eth0",
                    "addresses": ["10.201.10.2"], "state": "alive",
                    "reason": format!("{list} lists it"),
                },
                {
                    "network": "n10-201-10", "containerID": "c2", "name": null, "ifname": "eth0",
                    "addresses": ["10.201.10.3"], "state": "dead",
                    "reason": format!("{list} does not list it"),
                },
            ],
        })
    );
}

#[test]
fn an_interface_with_a_process_is_alive_whatever_a_runtime_reports() {
    for (number, kind) in KINDS.into_iter().enumerate() {
        let net = format!("10.202.{number}");
        let Some(stage) = Stage::new(kind, &net) else {
            return;
        };
        let containers = ["c1", "c2"].map(container);
        for container in &containers {
            stage.add(container);
        }
        let before = stage.holdings();
        let inhabitant = Inhabitant::of(&containers[0]);
        let nobody = stage.list("[]");
        let freed = stage.twill(&["gc", "--from", &nobody, "--older-than", "0s", "--apply"]);
        let text = freed.text(0);
        assert!(
            text.ends_with("1 of 1 dead attachments freed; 1 alive, 0 unclear\n"),
            "{text}"
        );
        assert_eq!(stage.holdings(), before.only(&[&containers[0]]), "{kind:?}");

        // The kernel alone can be asked, too.
        let looked = stage.twill(&["gc", "--from", "netns", "--older-than", "0s"]);
        assert_eq!(looked.text(0), "nothing is dead; 1 alive, 0 unclear\n");
        drop(inhabitant);
    }
}

#[test]
fn a_container_that_may_be_starting_is_left_alone() {
    for (number, kind) in KINDS.into_iter().enumerate() {
        let Some(stage) = Stage::new(kind, &format!("10.203.{number}")) else {
            return;
        };
        let one = container("c1");
        stage.add(&one);
        let before = stage.holdings();
        let nobody = stage.list("[]");
        let text = stage.twill(&["gc", "--from", &nobody, "--apply"]).text(0);
        let reason = match (kind.flannel, kind.backend) {
            // Nothing else notes when the address was given.
            (false, "db") => {
                "its age is not recorded, and its interface exists: --older-than 0s frees it"
            }
            _ => "younger than 5m: it may be starting",
        };
        assert!(text.contains(&format!("  unclear: {reason}\n")), "{text}");
        assert!(
            text.ends_with("nothing is dead; 0 alive, 1 unclear\n"),
            "{text}"
        );
        assert_eq!(stage.holdings(), before, "{kind:?}");
    }
}

/// A `twill gc` that has read the holdings, and waits for the list of the living: a FIFO. Opening
/// that for writing waits until `twill` opens it for reading.
struct HalfwayGc {
    running: RunningTwill,
    living: File,
}

impl HalfwayGc {
    fn start(stage: &Stage) -> Self {
        let fifo = stage.directory().join("living");
        mkfifo(&fifo, Mode::from_bits_truncate(0o600)).unwrap();
        let path = fifo.to_str().unwrap();
        let words = ["gc", "--from", path, "--older-than", "0s", "--apply"];
        let running = stage.start_twill(&words);
        let living = OpenOptions::new().write(true).open(&fifo).unwrap();
        Self { running, living }
    }

    /// Ends it, with no container alive. Returns its report, by which something has changed.
    #[track_caller]
    fn leave_one_alone(mut self) -> String {
        self.living.write_all(b"[]").unwrap();
        drop(self.living);
        let text = self.running.wait().text(0);
        assert!(
            text.contains("  changed: it has changed meanwhile, and was left alone\n"),
            "{text}"
        );
        text
    }
}

#[test]
fn a_container_that_is_added_meanwhile_is_kept() {
    for (number, kind) in KINDS.into_iter().enumerate() {
        let Some(stage) = Stage::new(kind, &format!("10.204.{number}")) else {
            return;
        };
        let [one, two, three] = ["c1", "c2", "c3"].map(container);
        stage.add(&one);
        stage.add(&two);
        let gc = HalfwayGc::start(&stage);
        stage.del(&two);
        stage.add(&two);
        stage.add(&three);
        let before = stage.holdings();
        let text = gc.leave_one_alone();
        assert!(
            text.ends_with("1 of 2 dead attachments freed; 0 alive, 0 unclear\n"),
            "{text}"
        );
        assert_eq!(stage.holdings(), before.only(&[&two, &three]), "{kind:?}");
        stage.check(&two);
        stage.check(&three);
    }
}

/// Of its holdings, only the kept configuration was read.
#[test]
fn a_container_whose_add_was_under_way_is_kept() {
    let of_flannel = KINDS.into_iter().filter(|kind| kind.flannel);
    let scenes = of_flannel.flat_map(|kind| [(kind, "bridge"), (kind, "macvlan")]);
    for (number, (kind, delegate)) in scenes.enumerate() {
        let net = format!("10.206.{}", 100 + number);
        let Some(stage) = Stage::with_delegate(kind, &net, delegate) else {
            return;
        };
        let go = stage.directory().join("go");
        let (file, plugin) = (go.display(), testkit::binaries::plugin(delegate));
        let wait = format!("while [ ! -e {file} ]; do sleep 0.01; done");
        stage.install_plugin(delegate, &format!("{wait}\nexec {}", plugin.display()));
        let one = container("c1");
        thread::scope(|scope| {
            let add = scope.spawn(|| stage.add(&one));
            while !stage
                .node
                .list("/var/lib/cni/flannel")
                .contains(&"c1".to_owned())
            {
                thread::sleep(Duration::from_millis(1));
            }
            let gc = HalfwayGc::start(&stage);
            fs::write(&go, "").unwrap();
            add.join().unwrap();
            let before = stage.holdings();
            gc.leave_one_alone();
            assert_eq!(stage.holdings(), before, "{kind:?} {delegate}");
        });
        assert_eq!(one.link_names(), ["lo", "eth0"]);
    }
}

#[test]
fn a_source_that_cannot_be_asked_frees_nothing() {
    let Some(stage) = Stage::new(KINDS[0], "10.205.0") else {
        return;
    };
    let one = container("c1");
    stage.add(&one);
    let before = stage.holdings();
    let empty = stage.list("");
    let absent = stage.directory().join("absent");
    let absent = absent.to_str().unwrap();
    let start = "twill: it is unknown which containers live, so nothing was changed: ";
    for (source, reason) in [
        ("crictl", "`crictl` is not in PATH".to_owned()),
        (
            &empty,
            "the list is empty: write [] if no container lives".to_owned(),
        ),
        (
            absent,
            format!("cannot read {absent}: No such file or directory (os error 2)"),
        ),
    ] {
        let words = ["gc", "--from", source, "--older-than", "0s", "--apply"];
        assert_eq!(stage.twill(&words).failure(), format!("{start}{reason}\n"));
    }
    // A program that fails, and one that prints something else.
    for (script, reason) in [
        (
            "echo 'connection refused' >&2; exit 1",
            "`crictl pods --output json` fails (exit status: 1): connection refused",
        ),
        (
            "echo Usage",
            "cannot decode the output of `crictl`: expected value at line 1 column 1",
        ),
    ] {
        stage.install_program("crictl", script);
        let words = ["gc", "--from", "crictl", "--older-than", "0s", "--apply"];
        assert_eq!(stage.twill(&words).failure(), format!("{start}{reason}\n"));
    }
    assert_eq!(stage.holdings(), before);
    stage.install_program("crictl", r#"echo '{"items": []}'"#);
    let words = ["gc", "--from", "crictl", "--older-than", "0s", "--apply"];
    let text = stage.twill(&words).text(0);
    assert!(
        text.contains("freed: crictl knows no such container"),
        "{text}"
    );
    assert_eq!(stage.holdings(), before.only(&[]));
}

// A macvlan is only in the container's namespace, which a process that is not seen keeps alive.
#[test]
fn nothing_is_freed_while_namespaces_of_processes_are_unknown() {
    for (number, kind) in KINDS.into_iter().enumerate() {
        let stage = Stage::with_delegate(kind, &format!("10.209.{number}"), "macvlan");
        let Some(stage) = stage else { return };
        let [one, two] = ["c1", "c2"].map(container);
        stage.add(&one);
        let inhabitant = Inhabitant::of(&one);
        let before = stage.holdings();
        let words = ["gc", "--from", "netns", "--older-than", "0s", "--apply"];
        let failure = stage.twill_that_sees_little(&words).failure();
        let start = "twill: the network namespaces cannot be read, so nothing was changed: cannot \
                     read /proc/";
        assert!(failure.starts_with(start), "{failure}");
        assert!(
            failure.ends_with("/ns/net: Permission denied (os error 13)\n"),
            "{failure}"
        );
        let failure = stage.twill_that_sees_little(&["release", "c1"]).failure();
        assert!(failure.contains("cannot read /proc/"), "{failure}");
        let leases = stage.twill_that_sees_little(&["leases"]).text(0);
        assert!(leases.contains("  unknown  cannot read /proc/"), "{leases}");
        let bin = stage.bin();
        let doctor = ["doctor", "--json", "--older-than", "0s", "--path"];
        let doctor = [&doctor[..], &[bin.to_str().unwrap()]].concat();
        let faults = stage.twill_that_sees_little(&doctor).text(1);
        assert!(faults.contains("\"unreadable\""), "{faults}");
        assert!(!faults.contains("\"dead-lease\""), "{faults}");
        assert_eq!(stage.holdings(), before, "{kind:?}");
        drop(inhabitant);

        // The runtime has recorded all namespaces, and each of them can be looked into.
        stage.add(&two);
        let mounted = [&one, &two].map(|container| {
            let name = format!("{}-{}-eth0", stage.network(), container.id);
            let cached = json!({
                "kind": "cniCacheV1", "containerId": container.id, "ifName": "eth0",
                "networkName": stage.network(), "netns": format!("/run/netns/{}", container.id),
                "config": "", "result": {},
            });
            let file = format!("/var/lib/cni/results/{name}");
            stage.node.write(file, cached.to_string());
            stage.mount_namespace(container)
        });
        let before = stage.holdings();
        one.ip("link delete eth0");
        let text = stage.twill_that_sees_little(&words).text(0);
        assert!(
            text.ends_with("1 of 1 dead attachments freed; 1 alive, 0 unclear\n"),
            "{kind:?}: {text}"
        );
        assert_eq!(stage.holdings(), before.only(&[&two]), "{kind:?}");
        drop(mounted);
    }
}

#[test]
fn other_networks_are_left_alone() {
    let Some(stage) = Stage::new(KINDS[2], "10.206.0") else {
        return;
    };
    let one = container("c1");
    stage.add(&one);
    let before = stage.holdings();
    let nobody = stage.list("[]");
    let words = [
        "gc",
        "--from",
        &nobody,
        "--older-than",
        "0s",
        "--apply",
        "other",
    ];
    assert_eq!(
        stage.twill(&words).text(0),
        "nothing is dead; 0 alive, 0 unclear\n"
    );
    assert_eq!(stage.holdings(), before);
}

// A namespace may be held by a mount while its container is long dead, as podman's are.
#[test]
fn a_dead_containers_namespace_is_cleaned_too() {
    for (number, kind) in KINDS.into_iter().enumerate() {
        let stage = Stage::with_delegate(kind, &format!("10.207.{number}"), "macvlan");
        let Some(stage) = stage else { return };
        let one = container("c1");
        // A namespace is found by a process in it, or by a mount.
        let mounted = stage.mount_namespace(&one);
        stage.add(&one);
        assert_eq!(one.link_names(), ["lo", "eth0"]);
        let nobody = stage.list("[]");
        let words = ["gc", "--from", &nobody, "--older-than", "0s", "--apply"];
        let text = stage.twill(&words).text(0);
        assert!(
            text.contains("1 of 1 dead attachments freed"),
            "{kind:?}: {text}"
        );
        assert_eq!(one.link_names(), ["lo"], "{kind:?}");
        assert!(stage.holdings().is_empty(), "{kind:?}");
        drop(mounted);
    }
}

#[test]
fn adds_beside_it_lose_nothing() {
    let Some(stage) = Stage::new(KINDS[0], "10.208.0") else {
        return;
    };
    let dead: Vec<_> = (0..10)
        .map(|number| container(&format!("dead{number}")))
        .collect();
    for container in &dead {
        stage.add(container);
    }
    let living: Vec<_> = (0..10)
        .map(|number| container(&format!("live{number}")))
        .collect();
    let refs: Vec<&Container> = living.iter().collect();
    let list = stage.list(&list_of(&refs));
    thread::scope(|scope| {
        let adding = scope.spawn(|| {
            for container in &living {
                stage.add(container);
            }
        });
        thread::sleep(Duration::from_millis(5));
        let words = ["gc", "--from", &list, "--older-than", "0s", "--apply"];
        let text = stage.twill(&words).text(0);
        assert!(text.contains("10 of 10 dead attachments freed"), "{text}");
        adding.join().unwrap();
    });
    let held = stage.holdings();
    assert_eq!(held, held.only(&refs));
    for container in &living {
        stage.check(container);
    }
}

#[test]
fn help_has_examples() {
    let output = Command::new(testkit::binaries::plugin("twill"))
        .args(["gc", "--help"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("twill gc --from crictl --apply"), "{text}");
}
