//! Which files an installation leaves, and what becomes of those that were there.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use crate::support::{NAMES, Plugins, binary, run, twill};

const KEPT: &str = "installed; the file before it is kept for `twill uninstall`";

#[test]
fn each_name_is_a_file_of_its_own_and_a_repetition_changes_nothing() {
    let plugins = Plugins::new();
    let printed = plugins.run(&["install"]);
    let expected: String = NAMES
        .iter()
        .map(|name| format!("DIR/{name}: installed\n"))
        .collect();
    assert_eq!(printed, expected);
    assert_eq!(plugins.list(), NAMES);

    let contents = fs::read(binary()).unwrap();
    let mut inodes = Vec::new();
    for name in NAMES {
        let metadata = fs::symlink_metadata(plugins.path(name)).unwrap();
        assert!(metadata.is_file(), "{name}");
        assert_eq!(
            (metadata.mode() & 0o7777, metadata.nlink()),
            (0o755, 1),
            "{name}"
        );
        assert!(plugins.read(name) == contents, "{name}");
        inodes.push(metadata.ino());
    }
    inodes.sort_unstable();
    inodes.dedup();
    assert_eq!(inodes.len(), NAMES.len());

    let before = plugins.state();
    assert_eq!(plugins.run(&["install"]), "DIR: 9 unchanged\n");
    // The installed binary installs, too, and so does one that runs from the directory itself.
    let own = run(
        &plugins.path("twill"),
        &[Path::new("install"), plugins.dir()],
    );
    assert!(own.status.success(), "{own:?}");
    assert_eq!(plugins.state(), before);

    let removed = plugins.run(&["uninstall"]);
    let expected: String = NAMES
        .iter()
        .map(|name| format!("DIR/{name}: removed\n"))
        .collect();
    assert_eq!(removed, expected);
    assert_eq!(plugins.list(), [""; 0]);
    assert_eq!(plugins.run(&["uninstall"]), "DIR: nothing to remove\n");
}

#[test]
fn replaced_files_are_kept_and_put_back() {
    let plugins = Plugins::new();
    plugins.write("bridge", "the Go bridge");
    plugins.write("tuning", "the Go tuning");
    symlink("elsewhere/flannel", plugins.path("flannel")).unwrap();
    let before = plugins.state();

    let printed = plugins.run(&["install", "--plugins", "bridge,flannel,host-local"]);
    assert_eq!(
        printed,
        format!("DIR/bridge: {KEPT}\nDIR/flannel: {KEPT}\nDIR/host-local: installed\n")
    );
    let names = [
        ".bridge.before-twill",
        ".flannel.before-twill",
        "bridge",
        "flannel",
        "host-local",
        "tuning",
    ];
    assert_eq!(plugins.list(), names);
    assert_eq!(plugins.read(".bridge.before-twill"), b"the Go bridge");

    assert_eq!(
        plugins.run(&["uninstall"]),
        "DIR/bridge: replaced by the file that it had replaced\n\
         DIR/flannel: replaced by the file that it had replaced\n\
         DIR/host-local: removed\n"
    );
    // All but the change times, which renaming sets.
    let but_times = |state: Vec<(String, [i64; 5])>| -> Vec<(String, Vec<i64>)> {
        let files = state.into_iter();
        files
            .map(|(name, numbers)| (name, numbers[..3].to_vec()))
            .collect()
    };
    assert_eq!(but_times(plugins.state()), but_times(before));
    let link = fs::read_link(plugins.path("flannel")).unwrap();
    assert_eq!(link, Path::new("elsewhere/flannel"));
}

#[test]
fn other_builds_and_links_to_twill_are_updated_and_not_kept() {
    let plugins = Plugins::new();
    let other = [fs::read(binary()).unwrap(), b"another build".to_vec()].concat();
    fs::write(plugins.path("twill"), &other).unwrap();
    symlink("twill", plugins.path("bridge")).unwrap();
    fs::hard_link(plugins.path("twill"), plugins.path("flannel")).unwrap();
    // The same contents, but nobody can run them.
    fs::copy(binary(), plugins.path("portmap")).unwrap();
    fs::set_permissions(plugins.path("portmap"), PermissionsExt::from_mode(0o644)).unwrap();

    let printed = plugins.run(&["install", "--skip", "bandwidth,host-local,ipvlan,macvlan"]);
    assert_eq!(
        printed,
        "DIR/bridge: updated\nDIR/flannel: updated\nDIR/loopback: installed\n\
         DIR/portmap: updated\nDIR/twill: updated\n"
    );
    assert_eq!(
        plugins.list(),
        ["bridge", "flannel", "loopback", "portmap", "twill"]
    );
    assert_eq!(plugins.run(&["install"]).matches("unchanged").count(), 1);
    plugins.run(&["uninstall"]);
    assert_eq!(plugins.list(), [""; 0]);
}

#[test]
fn a_newer_file_of_another_project_stays() {
    let plugins = Plugins::new();
    plugins.write("flannel", "the first");
    plugins.run(&["install"]);
    // As `cp -f` of kube-flannel's init container does.
    fs::write(plugins.path("flannel"), "the second").unwrap();
    // Installed again: the newer one is kept.
    let printed = plugins.run(&["install"]);
    assert_eq!(printed, format!("DIR/flannel: {KEPT}\nDIR: 8 unchanged\n"));
    assert_eq!(plugins.read(".flannel.before-twill"), b"the second");
    // Or not installed again: the newest one stays.
    fs::write(plugins.path("flannel"), "the third").unwrap();
    let printed = plugins.run(&["uninstall"]);
    assert!(
        printed.contains("DIR/flannel: not Twill's: left as it is\n"),
        "{printed}"
    );
    assert_eq!(plugins.list(), ["flannel"]);
    assert_eq!(plugins.read("flannel"), b"the third");
}

#[test]
fn staged_files_of_a_killed_run_do_no_harm() {
    let plugins = Plugins::new();
    plugins.write("bridge", "the Go bridge");
    // Killed while it wrote, and between keeping and replacing.
    plugins.write(".flannel.twill-new", "half");
    plugins.write(".ipvlan.twill-new", "half");
    fs::hard_link(plugins.path("bridge"), plugins.path(".bridge.before-twill")).unwrap();
    fs::hard_link(
        plugins.path("bridge"),
        plugins.path(".bridge.before-twill.new"),
    )
    .unwrap();
    plugins.run(&["install"]);
    plugins.run(&["uninstall"]);
    assert_eq!(plugins.list(), ["bridge"]);
    assert_eq!(plugins.read("bridge"), b"the Go bridge");
}

#[test]
fn a_dry_run_prints_the_same_and_changes_nothing() {
    let plugins = Plugins::new();
    plugins.write("bridge", "the Go bridge");
    let before = plugins.state();
    let printed = plugins.run(&["install", "--dry-run"]);
    assert!(
        printed.starts_with("DIR/bandwidth: would be installed\n"),
        "{printed}"
    );
    assert!(
        printed.contains(&format!("DIR/bridge: would be {KEPT}\n")),
        "{printed}"
    );
    assert_eq!(plugins.state(), before);

    plugins.run(&["install"]);
    let before = plugins.state();
    assert_eq!(plugins.run(&["install", "--dry-run"]), "DIR: 9 unchanged\n");
    let printed = plugins.run(&["uninstall", "--dry-run"]);
    assert!(
        printed.contains("DIR/bridge: would be replaced by the file that it had replaced\n"),
        "{printed}"
    );
    assert_eq!(plugins.state(), before);

    // A directory that is missing is not created either, but by the real run.
    let missing = plugins.path("missing/bin");
    let dry = twill(&[Path::new("install"), Path::new("--dry-run"), &missing]);
    assert!(dry.status.success(), "{dry:?}");
    assert!(!plugins.path("missing").exists());
    let real = twill(&[Path::new("install"), &missing]);
    assert!(real.status.success(), "{real:?}");
    assert_eq!(fs::read_dir(missing).unwrap().count(), NAMES.len());
}
