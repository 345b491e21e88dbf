//! Commands in blocks are run on a node, in the order of their page, or something else checks them.

use std::process::Output;

use testkit::requirements::require_root;

use crate::pages::{self, Block, Shown};
use crate::scene::Scene;

/// Commands that no test runs here, and what checks them instead.
const ELSEWHERE: [(&str, &str); 13] = [
    ("cargo xtask demo", "the part `demo` of `cargo xtask test`"),
    (
        "cargo xtask test",
        "it is the suite that this test belongs to",
    ),
    ("cargo xtask dist", "the part `dist` of `cargo xtask test`"),
    (
        "kubectl apply --kustomize deploy/kustomize",
        "tests/deploy.rs, without a cluster",
    ),
    (
        "kubectl apply --filename deploy/daemonset.yaml",
        "tests/deploy.rs, without a cluster",
    ),
    (
        "sed 's|path: /opt/cni/bin|path: /var/lib/rancher/k3s/data/cni|' deploy/daemonset.yaml | \
         kubectl apply --filename -",
        "the_command_for_k3s_changes_the_nodes_directory",
    ),
    (
        "CNI_PATH=/var/lib/rancher/k3s/data/cni \
         NETCONFPATH=/var/lib/rancher/k3s/agent/etc/cni/net.d twill status",
        "`twill status` with these variables: tests/operator",
    ),
    (
        "helm upgrade --install flannel flannel/flannel --namespace kube-flannel --values \
         deploy/helm/values.yaml --post-renderer deploy/helm/post-render.sh",
        "the script: tests/deploy.rs; Debian has no Helm",
    ),
    ("helm plugin install deploy/helm", "Debian has no Helm"),
    (
        "git clone . /tmp/again",
        "the part `packages` of `cargo xtask test` packs twice",
    ),
    (
        "cd /tmp/again && cargo xtask dist --release",
        "the part `packages` of `cargo xtask test` packs twice",
    ),
    (
        "diff target/release-archives/SHA256SUMS /tmp/again/target/release-archives/SHA256SUMS",
        "the part `packages` of `cargo xtask test` compares two packings",
    ),
    (
        "helm upgrade --install flannel flannel/flannel --namespace kube-flannel --values \
         deploy/helm/values.yaml --post-renderer twill",
        "the script: tests/deploy.rs; Debian has no Helm",
    ),
];

/// A command, and what its page does not say of its end.
struct Run {
    command: &'static str,
    /// Is added to the command.
    more: &'static str,
    status: i32,
    /// Is on standard output, besides what the page shows.
    prints: &'static [&'static str],
    /// A command that succeeds afterwards.
    after: &'static str,
}

const RUNS: [Run; 13] = [
    Run {
        after: "for name in bandwidth bridge flannel host-local ipvlan loopback macvlan portmap \
                twill; do test -f /opt/cni/bin/$name && test ! -L /opt/cni/bin/$name; done",
        ..printing(
            "target/cni/twill install",
            &["/opt/cni/bin/bridge: installed\n"],
        )
    },
    printing(
        "twill status",
        &[
            "lease     10.244.1.0/24 of 10.244.0.0/16",
            "\nnothing is wrong",
        ],
    ),
    printing("twill leases", &["10.244.1.2", "10.244.1.7"]),
    printing("twill show 10.244.1.7", &["10.244.1.7", "c6"]),
    printing("twill render", &["+ type: \"bridge\"", "10.244.1.0/24"]),
    Run {
        after: "grep -q '^twill_' /var/lib/prometheus/node-exporter/twill.prom",
        ..printing(
            "twill metrics --output /var/lib/prometheus/node-exporter/twill.prom",
            &[],
        )
    },
    Run {
        after: "test -e /run/netns/testing",
        ..printing("ip netns add testing", &[])
    },
    Run {
        after: "ip netns exec testing ping -c1 -W5 10.244.1.1",
        ..printing("twill add cbr0 testing", &[])
    },
    printing("twill check cbr0 testing", &[]),
    Run {
        after: "test -z \"$(ip -br link show type veth)\"",
        ..printing("twill del cbr0 testing", &[])
    },
    Run {
        // The containers of a test are seconds old.
        more: "--older-than 0s",
        after: "test -e /var/lib/cni/networks/cbr0/10.244.1.7",
        status: 1,
        ..printing("twill gc --from crictl", &[])
    },
    Run {
        more: "--older-than 0s",
        after: "test ! -e /var/lib/cni/networks/cbr0/10.244.1.7 && \
                test -e /var/lib/cni/networks/cbr0/10.244.1.8",
        ..printing(
            "twill gc --from crictl --apply",
            &["freed: crictl knows no such container"],
        )
    },
    Run {
        status: 1,
        ..printing("twill doctor", &[])
    },
];

const fn printing(command: &'static str, prints: &'static [&'static str]) -> Run {
    Run {
        command,
        more: "",
        status: 0,
        prints,
        after: "true",
    }
}

/// Adds containers, named by the numbers of a range.
fn add(scene: &Scene, numbers: &str, id: &str) {
    scene.prepare(&format!(
        "for i in {numbers}; do ip netns add c$i; twill add cbr0 c$i --container {id}; done"
    ));
}

fn with_containers() -> Scene {
    let scene = Scene::new().with_plugins();
    scene.prepare("mkdir -p /var/lib/prometheus/node-exporter");
    add(&scene, "$(seq 1 6)", "c$i");
    scene
}

fn with_a_dead_container() -> Scene {
    let scene = Scene::new().with_plugins();
    add(&scene, "$(seq 1 5)", "c$i");
    add(&scene, "6", "a4c8e2f0b6d4a2c8");
    add(&scene, "$(seq 7 15)", "c$i");
    // The pod is gone, its namespace with it, and its pair once the kernel gets to it.
    scene.prepare(
        "ip netns del c6
         timeout 60 sh -c 'until [ $(ip -o link show type veth | wc -l) = 14 ]; do sleep 0.05; done'",
    );
    let alive = (1..=5)
        .chain(7..=15)
        .map(|number| format!("{{\"id\": \"c{number}\", \"state\": \"SANDBOX_READY\"}}"));
    let pods = alive.collect::<Vec<_>>().join(",");
    scene.install_program("crictl", &format!("echo '{{\"items\": [{pods}]}}'"));
    scene
}

fn with_a_foreign_bridge() -> Scene {
    let scene = Scene::new().with_plugins();
    let line = "CNI Plugin flannel version v1.4.0 (linux/amd64) commit x built on y";
    // As an ADD leaves it.
    scene.prepare("echo 1 >/proc/sys/net/ipv4/ip_forward");
    scene.prepare(&format!(
        "rm /opt/cni/bin/bridge; printf '#!/bin/sh\\necho \"{line}\" >&2\\n' >/opt/cni/bin/bridge; \
         chmod 755 /opt/cni/bin/bridge"
    ));
    scene
}

#[test]
fn every_command_runs_and_prints_what_its_page_shows() {
    if !require_root() {
        return;
    }
    let mut left: Vec<&str> = RUNS.iter().map(|run| run.command).collect();
    let mut others: Vec<&str> = ELSEWHERE.iter().map(|(command, _)| *command).collect();
    for block in pages::blocks("console") {
        let mut scene = None;
        for shown in block.shown() {
            let command = shown.command.as_str();
            if let Some(run) = RUNS.iter().find(|run| run.command == command) {
                let scene = scene.get_or_insert_with(|| stage(&block));
                try_out(scene, run, &shown, &block.place);
                left.retain(|other| *other != command);
            } else {
                assert!(
                    ELSEWHERE.iter().any(|(other, _)| *other == command),
                    "{}: nothing checks `{command}`: add it to RUNS or ELSEWHERE",
                    block.place
                );
                others.retain(|other| *other != command);
            }
        }
    }
    assert!(
        left.is_empty() && others.is_empty(),
        "no page has {left:?}, {others:?} any more"
    );
}

/// The node that a section's commands expect.
fn stage(block: &Block) -> Scene {
    match block.section.as_str() {
        "Install" => Scene::new(),
        "Looking at a node" => with_containers(),
        "Running a list by hand" => Scene::new().with_plugins(),
        "Freeing what dead containers hold" => with_a_dead_container(),
        "Finding and mending faults" => with_a_foreign_bridge(),
        other => panic!("{}: the section {other} needs a node", block.place),
    }
}

#[track_caller]
fn try_out(scene: &Scene, run: &Run, shown: &Shown, place: &str) {
    let output = scene.run(&format!("{} {}", run.command, run.more));
    let place = format!("{place}: {}", run.command);
    let Output {
        status,
        stdout,
        stderr,
    } = output;
    let (stdout, stderr) = (
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    );
    assert_eq!(
        (status.code(), stderr.as_str()),
        (Some(run.status), ""),
        "{place}: {stdout}"
    );
    for text in run.prints {
        assert!(stdout.contains(text), "{place}: no {text:?} in\n{stdout}");
    }
    if !shown.output.is_empty() {
        let is_same = is_like(&shown.output, &stdout);
        let page = shown.output.join("\n");
        assert!(
            is_same,
            "{place} is said to print\n{page}\n\nand prints\n{stdout}"
        );
    }
    scene.prepare(run.after);
}

/// Whether this is what a page shows: MACs, times, and names of veth pairs may differ, and `…`
/// stands for the rest of a line.
fn is_like(page: &[String], printed: &str) -> bool {
    let page = page.join("\n");
    let (page, printed) = (page.trim_end().lines(), printed.trim_end().lines());
    let (page, printed): (Vec<&str>, Vec<&str>) = (page.collect(), printed.collect());
    page.len() == printed.len()
        && page
            .iter()
            .zip(&printed)
            .all(|(page, printed)| is_like_line(page, printed))
}

fn is_like_line(page: &str, printed: &str) -> bool {
    let (page, printed) = (normal(page), normal(printed));
    match page.split_last() {
        Some((last, start)) if last == "…" => printed.starts_with(start),
        _ => page == printed,
    }
}

fn normal(line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_time = |index: usize| {
        let unit = words
            .get(index + 1)
            .map(|word| word.trim_end_matches([')', ',']));
        matches!(unit, Some("µs" | "ms" | "s"))
    };
    let of = |(index, word): (usize, &&str)| {
        let is_mac = word.len() == 17 && word.matches(':').count() == 5;
        let pair = word.strip_prefix("veth");
        if is_mac {
            "MAC".to_owned()
        } else if pair.is_some_and(|name| name.len() == 11) {
            "veth".to_owned()
        } else if is_time(index) && word.parse::<f64>().is_ok() {
            "N".to_owned()
        } else {
            (*word).to_owned()
        }
    };
    words.iter().enumerate().map(of).collect()
}

#[test]
fn only_what_differs_from_run_to_run_may_differ() {
    let page = [
        "veth40uu286dmau 5e:20:7d:3b:90:6f mtu 1450 (2 plugins, 4.1 ms)",
        "mend …",
    ]
    .map(str::to_owned);
    for (printed, expected) in [
        (
            "vethaaaabbbbccc 5e:20:7d:3b:90:60  mtu 1450 (2 plugins, 12 ms)\nmend it\n",
            true,
        ),
        (
            "vethaaaabbbbccc 5e:20:7d:3b:90:60 mtu 1400 (2 plugins, 12 ms)\nmend it\n",
            false,
        ),
        (
            "vethaaaabbbbccc 5e:20:7d:3b:90:60 mtu 1450 (2 plugins, 12 ms)\nremove\n",
            false,
        ),
        (
            "vethaaaabbbbccc 5e:20:7d:3b:90:60 mtu 1450 (2 plugins, 12 ms)\n",
            false,
        ),
    ] {
        assert_eq!(is_like(&page, printed), expected, "{printed}");
    }
}

#[test]
fn the_command_for_k3s_changes_the_nodes_directory() {
    let (command, _) = ELSEWHERE
        .iter()
        .find(|(command, _)| command.starts_with("sed"))
        .unwrap();
    let (sed, _) = command.split_once(" | kubectl").unwrap();
    let mut shell = std::process::Command::new("sh");
    let output = shell
        .args(["-ec", sed])
        .current_dir(pages::root())
        .output()
        .unwrap();
    let changed = String::from_utf8(output.stdout).unwrap();
    let plain = std::fs::read_to_string(pages::root().join("deploy/daemonset.yaml")).unwrap();
    let directory = "          hostPath:\n            path: /opt/cni/bin\n";
    let directory = directory.trim_start_matches(' ');
    assert_eq!(plain.matches(directory).count(), 1, "{plain}");
    let of_k3s = directory.replace("/opt/cni/bin", "/var/lib/rancher/k3s/data/cni");
    assert_eq!(changed, plain.replace(directory, &of_k3s));
}
