use std::path::Path;

use super::*;
use crate::source::UnknownSource;

fn fixture(name: &str) -> Vec<u8> {
    let path = format!(
        "{}/../../testdata/runtimes/{name}",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read(path).unwrap()
}

/// Each container's ID up to the twelfth character or, where a namespace comes first, to the
/// twentieth; with name, whether it lives, the runtime's word and the process ID.
fn summary(containers: Result<Vec<Container>, LivingError>) -> Vec<String> {
    let containers = containers.unwrap().into_iter();
    containers
        .map(|container| {
            let (is_alive, word) = match container.state {
                State::Alive(word) => ("alive", word),
                State::Ended(word) => ("ended", word),
            };
            let length = if container.id.starts_with("default-") {
                20
            } else {
                12
            };
            let id: String = container.id.chars().take(length).collect();
            let name = container.name.unwrap_or_else(|| "-".to_owned());
            let pid = container
                .pid
                .map_or_else(|| "-".to_owned(), |pid| pid.to_string());
            format!("{id} {name} {is_alive} {word} {pid}")
        })
        .collect()
}

#[test]
fn crictl_lists_sandboxes() {
    assert_eq!(
        summary(crictl::parse(&fixture("crictl.json"))),
        [
            "3c9a6bd3f2f1 kube-system/coredns-5d78c9869d-abcde alive SANDBOX_READY -",
            "a4c8e2f0b6d4 kube-system/coredns-5d78c9869d-abcde ended SANDBOX_NOTREADY -",
        ]
    );
    // Fields that are not set: missing, or null.
    assert_eq!(
        summary(crictl::parse(&fixture("crictl-defaults.json"))),
        [
            "b1d2c3e4f5a6 - alive SANDBOX_READY -",
            "c0ffee00f5a6 /web-0 ended SANDBOX_NOTREADY -",
        ]
    );
    for empty in ["{\n  \"items\": []\n}\n", "{}\n", "{\"items\": null}"] {
        assert_eq!(summary(crictl::parse(empty.as_bytes())), [""; 0]);
    }
    let error = crictl::parse(b"").unwrap_err();
    assert_eq!(error.to_string(), "cannot decode the output of `crictl`");
}

// The container `web` and its conmon were killed, and podman has not noticed.
#[test]
fn podman_lists_containers() {
    assert_eq!(
        summary(podman::parse(&fixture("podman.json"))),
        [
            "82f430d617e1 web alive running 37",
            "a9fcf73fabb5 done ended exited -",
            "6c033a5feecc made alive initialized 223",
            "0aa3d5c85958 held alive running 142",
            "bcfbfba1f52c inpod alive running 190",
        ]
    );
    for empty in ["[]", "null", "\n[]\n"] {
        assert_eq!(summary(podman::parse(empty.as_bytes())), [""; 0]);
    }
    podman::parse(b"Error: no such thing\n").unwrap_err();
}

#[test]
fn nerdctl_lists_containers_by_the_id_that_plugins_get() {
    assert_eq!(
        summary(nerdctl::parse(&fixture("nerdctl.jsonl"), "default")),
        [
            "default-5d3d1c7a0e4b web alive Up -",
            "5d3d1c7a0e4b web alive Up -",
            "default-7e2f4a6b8c0d done ended Exited -",
            "7e2f4a6b8c0d done ended Exited -",
            "default-9f8e7d6c5b4a - ended Created -",
            "9f8e7d6c5b4a - ended Created -",
            "default-000000000e4b held alive Paused -",
            "000000000e4b held alive Paused -",
            "default-111111110e4b sound alive Up -",
            "111111110e4b sound alive Up -",
            "default-222222220e4b again alive Restarting -",
            "222222220e4b again alive Restarting -",
        ]
    );
    assert_eq!(summary(nerdctl::parse(b"", "default")), [""; 0]);
}

// The output of containerd 1.6.
#[test]
fn ctr_lists_tasks() {
    assert_eq!(
        summary(ctr::parse(&fixture("ctr.txt"), "default")),
        [
            "default-web - alive PAUSED 71",
            "web - alive PAUSED 71",
            "default-0123456789ab - alive RUNNING 169",
            "0123456789ab - alive RUNNING 169",
        ]
    );
    assert_eq!(
        summary(ctr::parse(&fixture("ctr-ended.txt"), "other")),
        ["other-job - ended STOPPED 121", "job - ended STOPPED 121"]
    );
    assert_eq!(
        summary(ctr::parse(b"TASK    PID    STATUS    \n", "x")),
        [""; 0]
    );
    // An output of another form must not look like one without tasks.
    assert_eq!(
        ctr::parse(b"", "x").unwrap_err().to_string(),
        "cannot decode the output of `ctr`: the first line is \"\", not TASK, PID and STATUS"
    );
    ctr::parse(b"TASK PID STATUS\nc1 5\n", "x").unwrap_err();
}

#[test]
fn a_list_has_the_form_of_the_specification() {
    let valid = |text: &[u8]| {
        let valid = list::parse(text)?;
        let pairs = valid
            .iter()
            .map(|it| format!("{} {}", it.container_id, it.ifname));
        Ok::<_, LivingError>(pairs.collect::<Vec<_>>())
    };
    let expected = ["c1 eth0", "c2 net1"];
    assert_eq!(valid(&fixture("valid-attachments.json")).unwrap(), expected);
    let bare = br#"[{"containerID":"c2","ifname":"net1"},{"containerID":"c1","ifname":"eth0"}]"#;
    assert_eq!(valid(bare).unwrap(), expected);
    assert_eq!(valid(b"[]").unwrap(), [""; 0]);
    for empty in [&b""[..], b" \n"] {
        let error = valid(empty).unwrap_err().to_string();
        assert_eq!(error, "the list is empty: write [] if no container lives");
    }
    for wrong in [
        &b"null"[..],
        b"{}",
        br#"["c1"]"#,
        br#"[{"containerID":"c1"}]"#,
    ] {
        let error = valid(wrong).unwrap_err().to_string();
        assert!(
            error.starts_with("the list must be [{\"containerID\""),
            "{error}"
        );
    }
}

#[test]
fn sources_have_names() {
    for (text, source) in [
        ("crictl", Source::Crictl),
        ("netns", Source::Netns),
        ("-", Source::Stdin),
        ("/run/list", Source::File("/run/list".into())),
        ("list.json", Source::File("list.json".into())),
    ] {
        assert_eq!(text.parse(), Ok(source));
    }
    assert_eq!("docker".parse::<Source>(), Err(UnknownSource));
}

fn owner(container_id: &str, ifname: &str) -> Owner {
    Owner {
        container_id: container_id.parse().unwrap(),
        ifname: Some(ifname.parse().unwrap()),
    }
}

fn living(reports: Vec<(Source, Report)>) -> Living {
    Living { reports }
}

#[test]
fn a_container_lives_if_any_source_says_so() {
    let container = |id: &str, state: State, pid: Option<u32>| Container {
        id: id.to_owned(),
        name: Some(format!("name-of-{id}")),
        state,
        pid,
    };
    let running = || State::Alive("running".to_owned());
    // No process has a number beyond the kernel's limit of 2^22.
    let none = Some(u32::MAX);
    let containers = [
        container("c1", running(), None),
        container("c2", State::Ended("exited".to_owned()), None),
        container("c3", running(), none),
    ];
    let containers = report(containers.to_vec(), &Processes::read(Path::new("/proc")));
    let list = list::parse(br#"[{"containerID":"c4","ifname":"eth0"}]"#).unwrap();
    let living = living(vec![
        (Source::Podman, containers),
        (Source::File("list".into()), Report::Attachments(list)),
    ]);
    let of = |id: &str, ifname: &str| {
        let subject = Subject {
            owner: &owner(id, ifname),
            addresses: &[],
            alias: None,
        };
        let verdict = living.verdict(subject, &Namespaces::default());
        (verdict.is_alive, verdict.reason)
    };
    let expect = |is_alive: bool, reason: &str| (is_alive, reason.to_owned());
    assert_eq!(
        of("c1", "eth0"),
        expect(true, "podman reports it as running")
    );
    assert_eq!(
        of("c2", "eth0"),
        expect(false, "podman reports it as exited; list does not list it")
    );
    assert_eq!(
        of("c3", "eth0"),
        expect(
            false,
            "podman reports it as running, but its process 4294967295 is gone; list does not list it"
        )
    );
    assert_eq!(of("c4", "eth0"), expect(true, "list lists it"));
    assert_eq!(
        of("c4", "eth1"),
        expect(
            false,
            "podman knows no such container; list does not list it"
        )
    );
    assert_eq!(living.name_of("c1"), Some("name-of-c1"));
    assert_eq!(living.name_of("c4"), None);
}
