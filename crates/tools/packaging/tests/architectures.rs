//! Packages and the image name each architecture as their readers do.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use packaging::contents::Product;
use packaging::release::{Release, VERSION};
use packaging::{archive, deb, image, rpm};
use serde_json::Value;
use tempfile::TempDir;
use testkit::requirements;
use xtask::architecture::{ALL, Architecture};
use xtask::workspace::Workspace;

/// Something in the place of what the compiler and the program `manual` make.
fn product(dir: &Path, architecture: &Architecture) -> Product {
    let dir = dir.join(architecture.name);
    for path in [
        "man/twill.1",
        "man/twill-plugins.8",
        "completions/twill",
        "completions/_twill",
        "completions/twill.fish",
    ] {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let binary = dir.join("binary");
    fs::write(&binary, architecture.name).unwrap();
    Product {
        binary,
        manual: dir,
        notices: "notices".to_owned(),
    }
}

#[track_caller]
fn output(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(file).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn is_missing(program: &str, package: &str) -> bool {
    let is_missing = Command::new(program).arg("--version").output().is_err();
    if is_missing {
        requirements::skip(&format!("needs {program} (Debian package {package})"));
    }
    is_missing
}

#[test]
fn every_architecture_gets_its_packages_and_its_part_of_the_image() {
    if is_missing("dpkg-deb", "dpkg") || is_missing("rpmbuild", "rpm") {
        return;
    }
    let temporary = TempDir::with_prefix("twill-architectures-").unwrap();
    let workspace = Workspace::find().unwrap();
    let release = Release::new(&workspace, temporary.path()).unwrap();
    let mut products = Vec::new();
    for architecture in &ALL {
        let product = product(temporary.path(), architecture);
        let name = format!("twill-{VERSION}-linux-{}.tar.gz", architecture.name);
        let packed = archive::write(&release, architecture, &product).unwrap();
        assert_eq!(packed, temporary.path().join(name));

        let package = deb::write(&release, architecture, &product).unwrap();
        let field = output(
            "dpkg-deb",
            &["--show", "--showformat=${Architecture}"],
            &package,
        );
        assert_eq!(field, architecture.debian);
        let package = rpm::write(&release, architecture, &product).unwrap();
        let field = output(
            "rpm",
            &["--query", "--queryformat=%{ARCH} %{OS}", "--package"],
            &package,
        );
        assert_eq!(field, format!("{} linux", architecture.rpm));
        products.push((architecture, product));
    }
    let packed = image::write(&release, &products).unwrap();
    assert_eq!(
        platforms(&packed),
        [
            "linux/amd64",
            "linux/386",
            "linux/arm64",
            "linux/arm/v7",
            "linux/riscv64",
            "linux/ppc64le",
            "linux/s390x",
        ]
    );
}

/// The platforms of an image, as podman and docker name them.
fn platforms(archive: &Path) -> Vec<String> {
    let dir = TempDir::with_prefix("twill-layout-").unwrap();
    let into = format!("--directory={}", dir.path().display());
    output("tar", &["--extract", &into, "--file"], archive);
    let read =
        |path: PathBuf| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let root = read(dir.path().join("index.json"));
    let digest = root["manifests"][0]["digest"].as_str().unwrap();
    let index = read(dir.path().join("blobs").join(digest.replace(':', "/")));
    let manifests = index["manifests"].as_array().unwrap().iter();
    let name = |manifest: &Value| {
        let platform = &manifest["platform"];
        let parts = ["os", "architecture", "variant"].map(|key| platform[key].as_str());
        parts.into_iter().flatten().collect::<Vec<_>>().join("/")
    };
    manifests.map(name).collect()
}
