//! Tests of dispatch, with a plugin that records its calls.

use std::cell::RefCell;
use std::path::PathBuf;

use cni_types::Attachment;
use proptest::prelude::*;

use super::*;

/// Records its calls. Its CHECK fails.
#[derive(Debug, Default)]
struct Recorder {
    seen: RefCell<Vec<String>>,
}

impl Recorder {
    fn note(
        &self,
        command: &str,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: Option<&ContainerNetns>,
    ) {
        let netns = netns.map(ContainerNetns::path);
        let for_delegates = call.environment.get("CNI_NETNS").unwrap_or_default();
        assert_eq!(call.netns.map(ContainerNetns::path), netns);
        self.seen.borrow_mut().push(format!(
            "{command} {attachment} {netns:?}, delegates get {for_delegates:?}"
        ));
    }
}

impl Plugin for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }

    fn add(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: &ContainerNetns,
    ) -> Result<String, Error> {
        self.note("ADD", call, attachment, Some(netns));
        Ok(format!(
            "{{\"cniVersion\":\"{}\",\"name\":\"{}\"}}",
            call.conf.version, call.conf.name
        ))
    }

    fn del(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: Option<&ContainerNetns>,
    ) -> Result<(), Error> {
        self.note("DEL", call, attachment, netns);
        Ok(())
    }

    fn check(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: &ContainerNetns,
    ) -> Result<(), Error> {
        self.note("CHECK", call, attachment, Some(netns));
        Err(Error::new(Code::CHECK_FAILED, "gone").with_details("all of it"))
    }

    fn gc(&self, _: &Call<'_>, valid: &ValidAttachments) -> Result<(), Error> {
        let count = valid.iter().count();
        self.seen.borrow_mut().push(format!("GC but for {count}"));
        Ok(())
    }
}

fn request(command: &str, netns: &str, stdin: &str) -> Request {
    Request {
        environment: [
            ("CNI_COMMAND", command),
            ("CNI_CONTAINERID", "c1"),
            ("CNI_IFNAME", "eth0"),
            ("CNI_NETNS", netns),
            ("CNI_PATH", "/opt/cni/bin"),
        ]
        .into_iter()
        .collect(),
        stdin: stdin.into(),
    }
}

/// The reply, and the calls that reached the plugin.
fn ask(request: &Request) -> (Reply, Vec<String>) {
    let recorder = Recorder::default();
    let reply = dispatch(&recorder, request);
    (reply, recorder.seen.into_inner())
}

fn success(stdout: &str) -> Reply {
    Reply {
        stdout: stdout.into(),
        ..Reply::default()
    }
}

fn failure(stdout: &str) -> Reply {
    Reply {
        failed: true,
        ..success(stdout)
    }
}

const CONF: &str = r#"{"cniVersion":"1.1.0","name":"n"}"#;

#[test]
fn each_command_calls_its_method_of_the_plugin() {
    let netns = "/run/netns/none";
    assert_eq!(
        ask(&request("ADD", netns, CONF)),
        (
            success("{\"cniVersion\":\"1.1.0\",\"name\":\"n\"}\n"),
            vec![format!(
                "ADD eth0 of container c1 Some({netns:?}), delegates get {netns:?}"
            )]
        )
    );
    assert_eq!(
        ask(&request("DEL", "", CONF)),
        (
            success(""),
            vec!["DEL eth0 of container c1 None, delegates get \"\"".to_owned()]
        )
    );
    assert_eq!(
        ask(&request("CHECK", netns, CONF)),
        (
            failure(
                "{\"cniVersion\":\"1.1.0\",\"code\":120,\"msg\":\"gone\",\"details\":\"all of it\"}\n"
            ),
            vec![format!(
                "CHECK eth0 of container c1 Some({netns:?}), delegates get {netns:?}"
            )]
        )
    );
    assert_eq!(ask(&request("GC", "", CONF)), (success(""), vec![]));
    assert_eq!(ask(&request("STATUS", "", CONF)), (success(""), vec![]));
}

#[test]
fn version_needs_no_parameters_and_no_configuration() {
    let bare = Request {
        environment: [("CNI_COMMAND", "VERSION")].into_iter().collect(),
        ..Request::default()
    };
    assert_eq!(
        ask(&bare).0,
        success(
            "{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.1.0\",\"0.2.0\",\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n"
        )
    );
}

#[test]
fn a_call_without_a_command_prints_name_and_versions() {
    let expected = format!(
        "CNI recorder plugin v1.9.1+twill.{}\nCNI protocol versions supported: 0.1.0, 0.2.0, 0.3.0, 0.3.1, \
            0.4.0, 1.0.0, 1.1.0\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(
        ask(&Request::default()).0,
        Reply {
            stderr: expected,
            ..Reply::default()
        }
    );
}

#[test]
fn a_command_is_refused_that_the_version_does_not_define() {
    for (command, version) in [
        ("CHECK", "0.3.1"),
        ("CHECK", ""),
        ("GC", "1.0.0"),
        ("STATUS", "0.4.0"),
    ] {
        let conf = format!(r#"{{"cniVersion":"{version}","name":"n"}}"#);
        let version = if version.is_empty() { "0.1.0" } else { version };
        assert_eq!(
            ask(&request(command, "/run/netns/none", &conf)),
            (
                failure(&format!(
                    "{{\"cniVersion\":\"{version}\",\"code\":1,\"msg\":\"config version does not allow {command}\"}}\n"
                )),
                vec![]
            )
        );
    }
}

#[test]
fn an_invalid_configuration_does_not_reach_the_plugin() {
    for (conf, start) in [
        ("", r#"{"cniVersion":"1.1.0","code":6,"#),
        ("[]", r#"{"cniVersion":"1.1.0","code":6,"#),
        (
            r#"{"cniVersion":"0.4.0"}"#,
            r#"{"cniVersion":"0.4.0","code":7,"#,
        ),
        (
            r#"{"cniVersion":"2.0.0","name":"n"}"#,
            r#"{"cniVersion":"1.1.0","code":1,"#,
        ),
    ] {
        for command in ["ADD", "DEL", "CHECK", "GC", "STATUS"] {
            let (reply, seen) = ask(&request(command, "/run/netns/none", conf));
            assert!(reply.failed);
            assert!(reply.stdout.starts_with(start), "{}", reply.stdout);
            assert_eq!(seen, Vec::<String>::new());
        }
    }
}

#[test]
fn the_plugins_own_netns_is_refused_before_the_plugin_is_called() {
    let own = "/proc/thread-self/ns/net";
    for command in ["ADD", "CHECK"] {
        assert_eq!(
            ask(&request(command, own, CONF)),
            (
                failure(&format!(
                    "{{\"cniVersion\":\"1.1.0\",\"code\":8,\"msg\":\"CNI_NETNS {own} is the plugin's own network namespace\",\"details\":\"set CNI_NETNS_OVERRIDE=1 to allow it\"}}\n"
                )),
                vec![]
            )
        );
    }
    for (value, allowed) in [("1", true), ("True", true), ("0", false), ("yes", false)] {
        let plain = request("ADD", own, CONF);
        let variables = plain
            .environment
            .iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()));
        let environment: Environment = variables
            .chain([("CNI_NETNS_OVERRIDE".into(), value.into())])
            .collect();
        let (reply, _) = ask(&Request {
            environment,
            ..plain
        });
        assert_eq!(reply.failed, !allowed, "{value}");
    }
}

/// Four values of CNI_NETNS that lead to no namespace of a container.
#[test]
fn del_without_a_namespace_calls_the_plugin_without_one() {
    let own = "/proc/thread-self/ns/net";
    for (netns, for_delegates) in [
        ("", ""),
        ("/run/netns/none", "/run/netns/none"),
        (own, ""),
        ("/dev/null", ""),
    ] {
        let expected = format!("DEL eth0 of container c1 None, delegates get {for_delegates:?}");
        assert_eq!(
            ask(&request("DEL", netns, CONF)),
            (success(""), vec![expected])
        );
    }
    let plain = request("DEL", own, CONF);
    let environment = plain.environment.with("CNI_NETNS_OVERRIDE", "1");
    let forced = Request {
        environment,
        ..plain
    };
    let expected = format!("DEL eth0 of container c1 Some({own:?}), delegates get {own:?}");
    assert_eq!(ask(&forced), (success(""), vec![expected]));
}

/// libcni omits the key if its caller passes no list. GC must not take that for an empty list.
#[test]
fn gc_without_a_list_removes_nothing() {
    let with = |list: &str| {
        let conf = format!(r#"{{"cniVersion":"1.1.0","name":"n"{list}}}"#);
        ask(&request("GC", "", &conf))
    };
    assert_eq!(with(""), (success(""), vec![]));
    for (list, count) in [
        ("null", 0),
        ("[]", 0),
        (r#"[{"containerID":"c1","ifname":"eth0"}]"#, 1),
    ] {
        let seen = with(&format!(r#","cni.dev/valid-attachments":{list}"#));
        assert_eq!(seen, (success(""), vec![format!("GC but for {count}")]));
    }
    let (reply, seen) = with(r#","cni.dev/valid-attachments":{}"#);
    assert!(reply.failed && seen.is_empty(), "{reply:?}");
    assert!(reply.stdout.contains(r#""code":6"#), "{reply:?}");
}

/// The depth counts through the plugins of other projects.
#[test]
fn nested_delegation_is_refused_beyond_a_depth() {
    let at_depth = |command: &str, depth: &str| {
        let plain = request(command, "", CONF);
        let environment = plain.environment.with_all([
            ("CNI_NETNS", "/none".into()),
            (depth::VARIABLE, depth.into()),
        ]);
        ask(&Request {
            environment,
            ..plain
        })
    };
    for command in ["ADD", "CHECK", "GC", "STATUS"] {
        let (reply, seen) = at_depth(command, "9");
        assert!(reply.failed && seen.is_empty(), "{reply:?}");
        assert!(reply.stdout.contains(r#""code":7"#), "{reply:?}");
        assert!(reply.stdout.contains("more than 8 plugins"), "{reply:?}");
        let (reply, _) = at_depth(command, "none");
        assert!(!reply.stdout.contains("more than"), "{reply:?}");
    }
    let (reply, seen) = at_depth("DEL", "9");
    assert_eq!((reply, seen), (success(""), vec![]));
    assert_eq!(at_depth("DEL", "8").1.len(), 1);
}

proptest! {
    #[test]
    fn any_input_gets_one_json_object_or_nothing(
        command in "ADD|DEL|CHECK|GC|STATUS|VERSION|\\PC{0,5}",
        values in prop::array::uniform4("\\PC{0,8}"),
        stdin in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..64),
            "\\{\"name\":\"n\",\\PC{0,20}\\}".prop_map(String::into_bytes),
        ],
    ) {
        let names = ["CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS", "CNI_PATH"];
        let variables = names.into_iter().map(PathBuf::from).zip(values.map(PathBuf::from));
        let environment = variables.chain([("CNI_COMMAND".into(), command.into())]).collect();
        let (reply, _) = ask(&Request { environment, stdin });
        if reply.failed {
            let error: Error = serde_json::from_str(&reply.stdout).unwrap();
            prop_assert!(!error.msg.is_empty());
        }
    }
}
