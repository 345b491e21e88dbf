//! Tests of the order of calls, with plugins that are closures.

use cni_types::{Attachment, ValidAttachment};
use tempfile::TempDir;

use super::*;

const LIST: &str = r#"{"cniVersion": "1.1.0", "name": "n", "plugins": [
    {"type": "a"}, {"type": "b", "capabilities": {"ips": true}}, {"type": "c"}
]}"#;

/// The plugins' requests as `<command> <type> <container> <conf>`, and a cache.
struct Desk {
    directory: TempDir,
    cache: Cache,
    failing: Option<&'static str>,
    requests: Vec<String>,
}

impl Desk {
    fn new() -> Self {
        let directory = TempDir::with_prefix("twill-runtime-").unwrap();
        Self {
            cache: Cache::new(directory.path()),
            directory,
            failing: None,
            requests: Vec::new(),
        }
    }

    /// Runs a command, in which each plugin adds its name to `by` of the result.
    fn with<T>(&mut self, command: impl FnOnce(&mut Runtime<'_, String>) -> T) -> T {
        let (failing, requests) = (self.failing, &mut self.requests);
        let mut run = |request: &PluginRequest<'_>| {
            let conf: serde_json::Value = serde_json::from_str(&request.conf).unwrap();
            let container = request.variables[1].1.to_str().unwrap();
            let (command, name) = (request.command, request.plugin_type.as_str());
            let mut seen = format!("{command} {name} {container}");
            for key in ["prevResult", "runtimeConfig", "cni.dev/valid-attachments"] {
                if let Some(value) = conf.get(key) {
                    seen.push_str(&format!(" {value}"));
                }
            }
            requests.push(seen);
            if failing == Some(name) {
                return Err("no".to_owned());
            }
            let by = conf["prevResult"]["by"].as_str().unwrap_or_default();
            Ok(format!(r#"{{"by":"{by}{name}"}}"#))
        };
        command(&mut Runtime::new(&self.cache, &mut run))
    }

    fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.requests)
    }

    fn cached(&self) -> usize {
        let results = std::fs::read_dir(self.directory.path().join("results"));
        results.map(Iterator::count).unwrap_or_default()
    }
}

fn list() -> NetworkList {
    NetworkList::parse(LIST).unwrap()
}

fn list_of(version: &str, keys: &str) -> NetworkList {
    let from = r#""cniVersion": "1.1.0","#;
    let to = format!(r#""cniVersion": "{version}", {keys}"#);
    NetworkList::parse(&LIST.replace(from, &to)).unwrap()
}

fn runtime(container: &str) -> RuntimeConf {
    RuntimeConf {
        attachment: Attachment {
            container_id: container.parse().unwrap(),
            ifname: "eth0".parse().unwrap(),
        },
        netns: Some("/run/netns/x".into()),
        args: Vec::new(),
        capability_args: RuntimeConf::parse_capabilities(r#"{"ips": [1], "mac": "m"}"#).unwrap(),
    }
}

const ALL: &str = r#"{"by":"abc","cniVersion":"1.1.0"}"#;

#[test]
fn add_passes_results_on_and_del_has_the_last_one() {
    let mut desk = Desk::new();
    let result = desk.with(|it| it.add(&list(), &runtime("c1"))).unwrap();
    assert_eq!(result, ALL);
    assert_eq!(
        desk.take(),
        [
            "ADD a c1",
            r#"ADD b c1 {"by":"a","cniVersion":"1.1.0"} {"ips":[1]}"#,
            r#"ADD c c1 {"by":"ab","cniVersion":"1.1.0"}"#,
        ]
    );
    assert!(desk.with(|it| it.check(&list(), &runtime("c1"))).unwrap());
    let each = |command: &str, names: [&str; 3]| {
        names.map(|name| match name {
            "b" => format!(r#"{command} b c1 {ALL} {{"ips":[1]}}"#),
            _ => format!("{command} {name} c1 {ALL}"),
        })
    };
    assert_eq!(desk.take(), each("CHECK", ["a", "b", "c"]));
    desk.with(|it| it.del(&list(), &runtime("c1"))).unwrap();
    assert_eq!(desk.take(), each("DEL", ["c", "b", "a"]));
    assert_eq!(desk.cached(), 0);
    desk.with(|it| it.del(&list(), &runtime("c1"))).unwrap();
    assert_eq!(
        desk.take(),
        ["DEL c c1", r#"DEL b c1 {"ips":[1]}"#, "DEL a c1"]
    );
}

#[test]
fn a_failing_plugin_stops_add_and_del_and_the_result_stays() {
    let mut desk = Desk::new();
    desk.failing = Some("b");
    let error = desk.with(|it| it.add(&list(), &runtime("c1"))).unwrap_err();
    assert_eq!(error.to_string(), "plugin 2 of the list: no");
    assert_eq!((desk.take().len(), desk.cached()), (2, 0));
    desk.failing = None;
    desk.with(|it| it.add(&list(), &runtime("c1"))).unwrap();
    desk.take();
    desk.failing = Some("b");
    let error = desk.with(|it| it.del(&list(), &runtime("c1"))).unwrap_err();
    assert_eq!(error.to_string(), "plugin 2 of the list: no");
    assert_eq!((desk.take().len(), desk.cached()), (2, 1));
}

#[test]
fn a_result_is_cached_in_the_lists_version_and_converted_to_another() {
    let mut desk = Desk::new();
    desk.with(|it| it.add(&list(), &runtime("c1"))).unwrap();
    desk.take();
    let lowered = list_of("0.4.0", "");
    desk.with(|it| it.check(&lowered, &runtime("c1"))).unwrap();
    assert_eq!(
        desk.take()[0],
        r#"CHECK a c1 {"by":"abc","cniVersion":"0.4.0","dns":{}}"#
    );
    // Before 0.4.0, DEL had no prevResult, and there was no CHECK.
    let old = list_of("0.3.1", "");
    let error = desk.with(|it| it.check(&old, &runtime("c1"))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cniVersion 0.3.1 of the list has no CHECK: it came with 0.4.0"
    );
    desk.with(|it| it.del(&old, &runtime("c1"))).unwrap();
    assert_eq!(desk.take()[2], "DEL a c1");
}

#[test]
fn check_needs_a_result_and_can_be_disabled() {
    let mut desk = Desk::new();
    let error = desk
        .with(|it| it.check(&list(), &runtime("c1")))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "no result of an ADD is cached: CHECK has nothing to compare with"
    );
    let disabled = list_of("1.1.0", r#""disableCheck": true,"#);
    assert!(!desk.with(|it| it.check(&disabled, &runtime("c1"))).unwrap());
    assert_eq!(desk.take(), [""; 0]);
}

#[test]
fn a_garbled_cache_does_not_stop_del() {
    let mut desk = Desk::new();
    desk.with(|it| it.add(&list(), &runtime("c1"))).unwrap();
    desk.take();
    let path = desk.cache.path(&list().name, &runtime("c1").attachment);
    std::fs::write(&path, "garbage").unwrap();
    assert!(desk.with(|it| it.check(&list(), &runtime("c1"))).is_err());
    desk.with(|it| it.del(&list(), &runtime("c1"))).unwrap();
    assert_eq!((desk.take()[2].as_str(), desk.cached()), ("DEL a c1", 0));
}

#[test]
fn gc_deletes_stale_attachments_and_then_calls_the_plugins() {
    let mut desk = Desk::new();
    for container in ["c1", "c2"] {
        desk.with(|it| it.add(&list(), &runtime(container)))
            .unwrap();
    }
    let other = NetworkList::parse(r#"{"name": "o", "plugins": [{"type": "a"}]}"#).unwrap();
    desk.with(|it| it.add(&other, &runtime("c3"))).unwrap();
    desk.take();
    let valid = ValidAttachments::from_iter([ValidAttachment {
        container_id: "c1".into(),
        ifname: "eth0".into(),
    }]);
    let disabled = list_of("1.1.0", r#""disableGC": true,"#);
    assert!(!desk.with(|it| it.gc(&disabled, &valid)).unwrap());
    assert_eq!((desk.take().len(), desk.cached()), (0, 3));

    desk.failing = Some("b");
    let errors = desk.with(|it| it.gc(&list(), &valid)).unwrap_err();
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors, ["plugin 2 of the list: no"; 2]);
    let c1 = r#"[{"containerID":"c1","ifname":"eth0"}]"#;
    let calls = desk.take();
    assert_eq!(calls[0], format!("DEL c c2 {ALL}"));
    assert_eq!(
        calls[2..],
        ["a", "b", "c"].map(|name| format!("GC {name}  {c1}"))
    );
    desk.failing = None;
    assert!(desk.with(|it| it.gc(&list(), &valid)).unwrap());
    assert_eq!((desk.take().len(), desk.cached()), (6, 2));
    // A list of 1.0.0 has no GC, but its stale attachments are deleted.
    assert!(
        !desk
            .with(|it| it.gc(&list_of("1.0.0", ""), &valid))
            .unwrap()
    );
    assert_eq!(desk.take(), [""; 0]);
}

#[test]
fn status_asks_until_one_is_not_ready() {
    let mut desk = Desk::new();
    assert!(desk.with(|it| it.status(&list())).unwrap());
    assert_eq!(desk.take(), ["STATUS a ", "STATUS b ", "STATUS c "]);
    desk.failing = Some("b");
    assert!(desk.with(|it| it.status(&list())).is_err());
    assert_eq!(desk.take().len(), 2);
    assert!(!desk.with(|it| it.status(&list_of("1.0.0", ""))).unwrap());
    assert_eq!(desk.take(), [""; 0]);
}

#[test]
fn an_invalid_result_is_an_error() {
    let directory = TempDir::with_prefix("twill-runtime-").unwrap();
    let cache = Cache::new(directory.path());
    let mut run = |_: &PluginRequest<'_>| Ok::<_, String>("[]".to_owned());
    let error = Runtime::new(&cache, &mut run)
        .add(&list(), &runtime("c1"))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "plugin 1 of the list: a answered ADD with an invalid result: an object is expected, not an array"
    );
}
