//! `deploy/`: what Kubernetes gets.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What `kubectl kustomize` makes of the overlay and a manifest like kube-flannel's.
#[test]
fn the_overlay_replaces_the_init_container_and_nothing_else() {
    let overlay = tempfile::tempdir().unwrap();
    for (from, to) in [
        ("deploy/kustomize/kustomization.yaml", "kustomization.yaml"),
        ("deploy/kustomize/install-twill.yaml", "install-twill.yaml"),
        ("testdata/deploy/kube-flannel.yml", "kube-flannel.yml"),
    ] {
        fs::copy(root().join(from), overlay.path().join(to)).unwrap();
    }
    let mut kubectl = Command::new("kubectl");
    let Ok(output) = kubectl.arg("kustomize").arg(overlay.path()).output() else {
        // Debian has no package of it, so the suite cannot install it.
        eprintln!("without kubectl, nothing applies the overlay");
        return;
    };
    assert!(output.status.success(), "{output:?}");
    let made = String::from_utf8(output.stdout).unwrap();
    let expected = fs::read_to_string(root().join("testdata/deploy/init-container.yml")).unwrap();
    let expected = expected.replace("VERSION", env!("CARGO_PKG_VERSION"));
    assert!(made.contains(&expected), "{made}");
    assert_eq!(made.matches("localhost/twill").count(), 1, "{made}");
    assert!(made.contains("- /opt/bin/flanneld\n"), "{made}");
    assert!(!made.contains("flannel-cni-plugin:"), "{made}");
}

/// The version stands in the workspace's manifest; these repeat it.
#[test]
fn the_manifests_name_this_version() {
    for (path, count) in [
        ("deploy/daemonset.yaml", 1),
        ("deploy/kustomize/kustomization.yaml", 1),
        ("deploy/Containerfile", 2),
    ] {
        let text = fs::read_to_string(root().join(path)).unwrap();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(text.matches(version).count(), count, "{path}");
    }
}
