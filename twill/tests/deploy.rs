//! `deploy/`: what Kubernetes gets.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::requirements;

/// kube-flannel's init container, as kustomize prints it.
const GO: &str = "      - args:
        - -f
        - /flannel
        - /opt/cni/bin/flannel
        command:
        - cp
        image: ghcr.io/flannel-io/flannel-cni-plugin:v1.9.1-flannel3
        name: install-cni-plugin
";

/// The one in its place.
const TWILL: &str = "      - args:
        - install
        - /opt/cni/bin
        command:
        - /twill
        image: localhost/twill:VERSION
        name: install-cni-plugin
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Whether `kubectl` is installed; if not, the test is reported as skipped.
#[track_caller]
fn require_kubectl() -> bool {
    let version = Command::new("kubectl")
        .args(["version", "--client"])
        .output();
    if version.is_err() {
        requirements::skip("needs kubectl (Debian package kubernetes-client)");
    }
    version.is_ok()
}

/// A copy of the overlay, without the manifest that it changes.
fn overlay() -> TempDir {
    let overlay = tempfile::tempdir().unwrap();
    let mut settings = read("deploy/kustomize/kustomization.yaml");
    let version = run(Command::new("kubectl").args(["version", "--client"]), "");
    if version.contains("GitVersion:\"v1.20") {
        // Debian 12 has kubectl 1.20, which takes the same patch, but no target beside it.
        let (before, _) = settings.split_once("patches:").unwrap();
        settings = format!("{before}patchesStrategicMerge:\n  - install-twill.yaml\n");
    }
    fs::write(overlay.path().join("kustomization.yaml"), settings).unwrap();
    let patch = read("deploy/kustomize/install-twill.yaml");
    fs::write(overlay.path().join("install-twill.yaml"), patch).unwrap();
    overlay
}

/// What a command prints that gets this as its input.
#[track_caller]
fn run(command: &mut Command, input: &str) -> String {
    let input_file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&input_file, input).unwrap();
    command.stdin(Stdio::from(input_file.reopen().unwrap()));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn kustomize(dir: &Path) -> String {
    run(Command::new("kubectl").arg("kustomize").arg(dir), "")
}

/// The manifest as kustomize prints it, with one init container in the place of the other.
fn expected(manifest: &str) -> String {
    let plain = tempfile::tempdir().unwrap();
    fs::write(plain.path().join("kube-flannel.yml"), manifest).unwrap();
    fs::write(
        plain.path().join("kustomization.yaml"),
        "resources:\n  - kube-flannel.yml\n",
    )
    .unwrap();
    let before = kustomize(plain.path());
    assert_eq!(before.matches(GO).count(), 1, "{before}");
    before.replace(GO, &TWILL.replace("VERSION", env!("CARGO_PKG_VERSION")))
}

#[test]
fn the_overlay_replaces_the_init_container_and_nothing_else() {
    if !require_kubectl() {
        return;
    }
    let (overlay, manifest) = (overlay(), read("testdata/deploy/kube-flannel.yml"));
    fs::write(overlay.path().join("kube-flannel.yml"), &manifest).unwrap();
    assert_eq!(kustomize(overlay.path()), expected(&manifest));
}

/// Helm passes what a chart renders through the script.
#[test]
fn the_post_renderer_applies_the_overlay() {
    if !require_kubectl() {
        return;
    }
    let (overlay, manifest) = (overlay(), read("testdata/deploy/kube-flannel.yml"));
    let mut script = Command::new(root().join("deploy/helm/post-render.sh"));
    script
        .env("TWILL_OVERLAY", overlay.path())
        .env("TMPDIR", overlay.path());
    assert_eq!(run(&mut script, &manifest), expected(&manifest));
    // Nothing is left of its temporary directory.
    assert_eq!(fs::read_dir(overlay.path()).unwrap().count(), 2);
    // Installed as a plugin of Helm 4, its directory is a link.
    let link = overlay.path().join("plugin");
    std::os::unix::fs::symlink(root().join("deploy/helm"), &link).unwrap();
    let mut script = Command::new(link.join("post-render.sh"));
    script.env("TWILL_OVERLAY", overlay.path());
    assert_eq!(run(&mut script, &manifest), expected(&manifest));
}

/// The chart's values get the list that `twill install --conflist` writes.
#[test]
fn the_values_have_a_valid_network_list() {
    let values = read("deploy/helm/values.yaml");
    let (_, list) = values.split_once("  cniConf: |\n").unwrap();
    let list: Value = serde_json::from_str(list).unwrap();
    let written = tempfile::tempdir().unwrap();
    let mut option = std::ffi::OsString::from("--conflist=");
    option.push(written.path().join("net.d"));
    let mut twill = Command::new(testkit::binaries::plugin("twill"));
    twill
        .arg("install")
        .arg(option)
        .arg(written.path().join("bin"));
    run(&mut twill, "");
    let written = fs::read(written.path().join("net.d/10-flannel.conflist")).unwrap();
    assert_eq!(list, serde_json::from_slice::<Value>(&written).unwrap());
}

/// Kubernetes' own types read the DaemonSet, which installs into the directory that it mounts.
#[test]
fn the_daemon_set_installs_into_the_nodes_directory() {
    if !require_kubectl() {
        return;
    }
    let mut kubectl = Command::new("kubectl");
    kubectl
        .args(["set", "image", "--local", "--output=json", "--filename"])
        .arg(root().join("deploy/daemonset.yaml"))
        .arg("pause=another");
    let set: Value = serde_json::from_str(&run(&mut kubectl, "")).unwrap();
    let pod = &set["spec"]["template"]["spec"];
    let install = &pod["initContainers"][0];
    assert_eq!(install["args"], json!(["install", "/opt/cni/bin"]));
    assert_eq!(
        install["volumeMounts"],
        json!([{"name": "plugins", "mountPath": "/opt/cni/bin"}])
    );
    assert_eq!(
        pod["volumes"],
        json!([{
            "name": "plugins",
            "hostPath": {"path": "/opt/cni/bin", "type": "DirectoryOrCreate"},
        }])
    );
    assert_eq!(pod["containers"][0]["image"], "another");
    assert_eq!(
        set["spec"]["selector"]["matchLabels"],
        set["spec"]["template"]["metadata"]["labels"]
    );
}

/// The version stands in the workspace's manifest; these repeat it, since kubectl and helm read
/// them as they are.
#[test]
fn the_manifests_name_this_version() {
    let changelog = read("CHANGELOG.md");
    let first = changelog.lines().find_map(|line| line.strip_prefix("## "));
    let first = first.unwrap().split([',', ' ']).next();
    assert_eq!(first, Some(env!("CARGO_PKG_VERSION")), "CHANGELOG.md");
    let mut twill = Command::new(testkit::binaries::plugin("twill"));
    let expected = concat!("twill ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(run(twill.arg("--version"), ""), expected);
    for (path, count) in [
        ("deploy/daemonset.yaml", 1),
        ("deploy/helm/plugin.yaml", 1),
        ("deploy/kustomize/kustomization.yaml", 1),
    ] {
        let text = read(path);
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(text.matches(version).count(), count, "{path}");
    }
}
