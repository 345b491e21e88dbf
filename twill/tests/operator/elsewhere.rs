//! Nodes whose directories are not the usual ones.

use serde_json::json;
use testkit::requirements::require_root;

use crate::site::Site;

#[test]
fn gc_and_release_look_where_the_list_says() {
    if !require_root() {
        return;
    }
    for backend in ["disk", "db"] {
        let site = Site::of_ours();
        site.lease();
        site.list(&json!({
            "cniVersion": "1.0.0",
            "name": "net",
            "plugins": [{
                "type": "flannel", "dataDir": "/run/kept",
                "ipam": {"dataDir": "/run/addresses", "backend": backend},
            }],
        }));
        for container in ["c12", "c2", "c3"] {
            site.add("net", container, &[]);
        }
        site.end("c12");
        site.end("c2");
        let older = ["--older-than", "0s"];
        let (text, status) = site.twill(&[&["gc", "--from", "netns"], &older[..]].concat());
        assert!(text.ends_with("2 dead, 1 alive, 0 unclear: --apply frees what is dead"));
        assert_eq!(status, 1);
        // Programs print the start of an ID.
        let (text, status) = site.twill(&["release", "c1"]);
        let expected = "twill: c1 is only the start of a container's ID: name c12 in full";
        assert_eq!((text.as_str(), status), (expected, 2));
        let (text, status) = site.twill(&["release", "10.244.1.2"]);
        let expected = "released 10.244.1.2 of c12 eth0 in net";
        assert_eq!((text.as_str(), status), (expected, 0));
        let gc = [&["gc", "--from", "netns", "--apply"], &older[..]].concat();
        let (text, status) = site.twill(&gc);
        assert!(text.ends_with("1 of 1 dead attachments freed; 1 alive, 0 unclear"));
        assert_eq!(status, 0);
        let (leases, _) = site.json(&["leases"]);
        let left: Vec<_> = leases.as_array().unwrap().iter().collect();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0]["containerID"], "c3");
        assert_eq!(site.node.list("/run/kept"), ["c3"]);
    }
}

#[test]
fn the_list_of_k3s_is_found() {
    if !require_root() {
        return;
    }
    let site = Site::of_ours();
    // The machine's /var/lib stays as it is.
    let own = "mkdir -p /run/own/upper /run/own/work && \
               mount -t overlay -o lowerdir=/var/lib,upperdir=/run/own/upper,workdir=/run/own/work \
               overlay /var/lib && \
               mkdir -p /var/lib/cni && mount -t tmpfs tmpfs /var/lib/cni && rm -r /etc/cni/* ; \
               mkdir -p /var/lib/rancher/k3s/agent/etc/cni/net.d";
    site.run("sh", &["-c", own]);
    site.lease();
    let list = json!({
        "cniVersion": "1.0.0",
        "name": "cbr0",
        "plugins": [{"type": "flannel", "delegate": {"isDefaultGateway": true}}],
    });
    let file = "/var/lib/rancher/k3s/agent/etc/cni/net.d/10-flannel.conflist";
    site.node.write(file, list.to_string());
    site.add("cbr0", "c1", &[]);
    let (status, code) = site.json(&["status"]);
    assert_eq!(status["list"], json!({"file": file, "network": "cbr0"}));
    assert_eq!((&status["problems"], code), (&json!([]), 0));
    assert_eq!(site.twill(&["render"]).1, 0);
    // Another runtime has the usual directory.
    let podman = json!({
        "cniVersion": "1.0.0", "name": "podman",
        "plugins": [{"type": "bridge", "ipam": {"type": "host-local", "subnet": "10.88.0.0/16"}}],
    });
    site.node
        .write("/etc/cni/net.d/87-podman.conflist", podman.to_string());
    site.add("podman", "c2", &[]);
    let (status, _) = site.json(&["status"]);
    assert_eq!(status["list"]["network"], "cbr0");
    let names: Vec<_> = status["networks"].as_array().unwrap().iter().collect();
    let names: Vec<_> = names
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["cbr0", "podman"]);
}
