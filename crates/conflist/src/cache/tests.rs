//! Tests of the cache.

use std::fs;
use std::os::unix::fs::MetadataExt;

use tempfile::TempDir;

use super::*;

const LIST: &str = r#"{"cniVersion": "1.0.0", "name": "n", "plugins": [{"type": "x"}]}"#;

/// What libcni 1.3 writes for `LIST`.
const FILE: &str = concat!(
    r#"{"kind":"cniCacheV1","containerId":"c1","#,
    r#""config":"eyJjbmlWZXJzaW9uIjogIjEuMC4wIiwgIm5hbWUiOiAibiIsICJwbHVnaW5zIjogW3sidHlwZSI6ICJ4In1dfQ==","#,
    r#""ifName":"eth0","networkName":"n","netns":"/run/netns/c1","cniArgs":[["A","1"]],"#,
    r#""capabilityArgs":{"ips":["10.0.0.5"]},"#,
    r#""result":{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.5/24"}]}}"#
);

fn runtime(container: &str) -> RuntimeConf {
    RuntimeConf {
        attachment: Attachment {
            container_id: container.parse().unwrap(),
            ifname: "eth0".parse().unwrap(),
        },
        netns: Some("/run/netns/c1".into()),
        args: vec![("A".to_owned(), "1".to_owned())],
        capability_args: json::from_str(r#"{"ips":["10.0.0.5"]}"#).unwrap(),
    }
}

fn list() -> NetworkList {
    NetworkList::parse(LIST).unwrap()
}

#[test]
fn a_file_is_as_libcni_writes_it() {
    let directory = TempDir::with_prefix("twill-cache-").unwrap();
    let cache = Cache::new(directory.path());
    let result = r#"{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.5/24"}]}"#;
    cache.keep(&list(), &runtime("c1"), result).unwrap();
    let path = directory.path().join("results/n-c1-eth0");
    assert_eq!(fs::read_to_string(&path).unwrap(), FILE);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);

    let list = list();
    let cached = cache
        .find(&list.name, &runtime("c1").attachment)
        .unwrap()
        .unwrap();
    assert_eq!((cached.network.as_str(), cached.list.as_str()), ("n", LIST));
    let passed_on = r#"{"ips":[{"address":"10.0.0.5/24"}],"cniVersion":"1.0.0"}"#;
    assert_eq!(cached.result(Version::V1_0_0).as_deref(), Ok(passed_on));
    assert_eq!(
        cached.result(Version::V0_3_1).as_deref(),
        Ok(r#"{"cniVersion":"0.3.1","ips":[{"version":"4","address":"10.0.0.5/24"}],"dns":{}}"#)
    );
    assert_eq!(cached.runtime.args, [("A".to_owned(), "1".to_owned())]);
    assert_eq!(
        cached.runtime.netns.as_deref(),
        Some(Path::new("/run/netns/c1"))
    );
    assert_eq!(
        cached.runtime.capability_args.get("ips"),
        Some(r#"["10.0.0.5"]"#)
    );

    cache
        .remove(&list.name, &cached.runtime.attachment)
        .unwrap();
    cache
        .remove(&list.name, &cached.runtime.attachment)
        .unwrap();
    assert_eq!(
        fs::read_dir(directory.path().join("results"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn a_file_of_an_old_libcni_has_the_result_alone() {
    let directory = TempDir::with_prefix("twill-cache-").unwrap();
    let (cache, list) = (Cache::new(directory.path()), list());
    let attachment = runtime("c1").attachment;
    assert!(cache.find(&list.name, &attachment).unwrap().is_none());
    let path = cache.path(&list.name, &attachment);
    fs::create_dir(path.parent().unwrap()).unwrap();
    let old = r#"{"cniVersion":"0.2.0","ip4":{"ip":"10.0.0.5/24"}}"#;
    fs::write(&path, old).unwrap();
    let cached = cache.find(&list.name, &attachment).unwrap().unwrap();
    let expected = r#"{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.5/24"}]}"#;
    assert_eq!(cached.result(Version::V1_0_0).as_deref(), Ok(expected));
}

#[test]
fn unreadable_files_of_the_cache_are_left_out() {
    let directory = TempDir::with_prefix("twill-cache-").unwrap();
    let cache = Cache::new(directory.path());
    assert!(cache.all().unwrap().is_empty());
    for container in ["c1", "c2"] {
        cache.keep(&list(), &runtime(container), "{}").unwrap();
    }
    let results = directory.path().join("results");
    for (name, text) in [
        ("n-c3-eth0", "garbage"),
        ("n-c4-eth0", r#"{"kind":"cniCacheV2"}"#),
        ("n-c5-eth0", r#"{"cniVersion":"1.0.0"}"#),
    ] {
        fs::write(results.join(name), text).unwrap();
    }
    let mut all: Vec<_> = cache.all().unwrap().into_iter().collect();
    all.sort_by_key(|cached| cached.runtime.attachment.to_string());
    let names: Vec<_> = all
        .iter()
        .map(|it| it.runtime.attachment.to_string())
        .collect();
    assert_eq!(names, ["eth0 of container c1", "eth0 of container c2"]);

    let (list, attachment) = (list(), runtime("c3").attachment);
    let message = cache.find(&list.name, &attachment).unwrap_err().to_string();
    let path = results.join("n-c3-eth0");
    let expected = format!(
        "the cached result {}: expected value at line 1 column 1",
        path.display()
    );
    assert_eq!(message, expected);
}
