//! Files and directories that cannot be used.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::directory::contents;
use crate::network::Network;

fn conf_at(network: &Network, data_dir: &str) -> Value {
    let mut conf = network.subnet();
    conf["ipam"]["dataDir"] = data_dir
        .replace("{temp}", network.path().to_str().unwrap())
        .into();
    conf
}

#[test]
fn an_unreadable_resolv_conf_is_reported() {
    let network = Network::new();
    let add = |file: &str| {
        let file = network.path().join(file);
        network.call(
            "ADD",
            &network.conf(json!({ "subnet": "10.1.1.0/24", "resolvConf": file })),
        )
    };
    network.refuses(
        &add("missing.conf"),
        5,
        "ipam.resolvConf: cannot read {temp}/missing.conf: No such file or directory (os error 2)",
    );
    network.refuses(
        &add("data"),
        5,
        "ipam.resolvConf: cannot read {temp}/data: Is a directory (os error 21)",
    );
    network.refuses(
        &add("outside/resolv.conf"),
        5,
        "ipam.resolvConf: cannot read {temp}/outside/resolv.conf: Not a directory (os error 20)",
    );
}

#[test]
fn a_data_dir_that_is_a_file_is_reported_except_by_del() {
    let network = Network::new();
    // Nothing can have been given there.
    for data_dir in ["{temp}/outside", "{temp}/outside/below"] {
        for backend in ["disk", "db"] {
            let mut conf = conf_at(&network, data_dir);
            conf["ipam"]["backend"] = backend.into();
            network.call("DEL", &conf).run().silent();
        }
    }
    for command in ["ADD", "CHECK"] {
        network.refuses(
            &network.call(command, &conf_at(&network, "{temp}/outside")),
            5,
            "cannot open {temp}/outside: Not a directory (os error 20)",
        );
        network.refuses(
            &network.call(command, &conf_at(&network, "{temp}/outside/below")),
            5,
            "cannot open {temp}/outside/below: Not a directory (os error 20)",
        );
    }
    network.refuses(
        &network.call("ADD", &conf_at(&network, "/proc/networks")),
        5,
        "cannot create /proc/networks: No such file or directory (os error 2)",
    );
    network
        .call("DEL", &conf_at(&network, "/proc/networks"))
        .run()
        .silent();
}

#[test]
fn a_network_directory_that_is_a_file_is_reported_except_by_del() {
    let network = Network::new();
    network.write("files/net", "");
    fs::create_dir(network.path().join("links")).unwrap();
    symlink("../outside", network.path().join("links/net")).unwrap();
    for data_dir in ["files", "links"] {
        // Nothing can have been given there.
        let conf = conf_at(&network, &format!("{{temp}}/{data_dir}"));
        network.call("DEL", &conf).run().silent();
        for command in ["ADD", "CHECK"] {
            network.refuses(
                &network
                    .call(command, &conf_at(&network, &format!("{{temp}}/{data_dir}")))
                    .container("held"),
                5,
                &format!(
                    "{{temp}}/{data_dir}/net is not a directory: remove it if nobody needs it"
                ),
            );
        }
    }
}

#[test]
fn a_lock_file_that_is_a_link_is_refused() {
    let network = Network::new();
    let lock = network.path().join("data/net/lock");
    fs::remove_file(&lock).unwrap();
    symlink("../../elsewhere", &lock).unwrap();
    for command in ["ADD", "CHECK"] {
        network.refuses(
            &network.call(command, &network.subnet()),
            5,
            "{temp}/data/net/lock is no regular file: remove it if nobody needs it",
        );
    }
}

/// The target of a link is neither read nor written nor removed.
#[test]
fn links_inside_a_network_directory_are_not_followed() {
    let network = Network::new();
    let inside = |name: &str| network.path().join("data/net").join(name);
    symlink("../../outside", inside("10.1.1.3")).unwrap();
    symlink("../../outside", inside(".new")).unwrap();
    let before = contents(network.path());

    network.call("DEL", &network.subnet()).run().silent();
    assert_eq!(contents(network.path()), before);
    network.refuses(
        &network.call("CHECK", &network.subnet()),
        120,
        "eth0 of container c1 holds no address in {temp}/data/net",
    );
    let result = network.call("ADD", &network.subnet()).run().success();
    assert_eq!(result["ips"][0]["address"], "10.1.1.4/24");
    let mut expected = before;
    expected.remove("data/net/.new");
    expected.insert(
        "data/net/10.1.1.4".to_owned(),
        Some("c1\\r\\neth0".to_owned()),
    );
    expected.insert(
        "data/net/last_reserved_ip.0".to_owned(),
        Some("10.1.1.4".to_owned()),
    );
    assert_eq!(contents(network.path()), expected);
}

/// The last address is a hint, and is rebuilt.
#[test]
fn a_last_reserved_ip_that_is_a_link_is_not_followed() {
    let network = Network::new();
    let outside = network.path().join("outside");
    fs::write(&outside, "10.1.1.77").unwrap();
    let last = network.path().join("data/net/last_reserved_ip.0");
    fs::remove_file(&last).unwrap();
    symlink("../../outside", &last).unwrap();
    let result = network.call("ADD", &network.subnet()).run().success();
    assert_eq!(result["ips"][0]["address"], "10.1.1.3/24");
    assert_eq!(fs::read_to_string(&outside).unwrap(), "10.1.1.77");
    assert!(!last.is_symlink());
    assert_eq!(fs::read_to_string(&last).unwrap(), "10.1.1.3");
}

#[test]
fn a_network_name_that_is_too_long_for_a_directory_is_reported() {
    let network = Network::new();
    for backend in ["disk", "db"] {
        let mut conf = network.subnet();
        conf["name"] = "n".repeat(256).into();
        conf["ipam"]["backend"] = backend.into();
        if backend == "disk" {
            let directory = network.path().join("data").join("n".repeat(256));
            let failure = network.call("ADD", &conf).run().failure();
            // The text of the reason is the C library's.
            let start = format!("cannot create {}: ", directory.display());
            assert_eq!(failure.code, 5);
            assert!(failure.msg.starts_with(&start), "{failure:?}");
            assert!(failure.msg.ends_with(" (os error 36)"), "{failure:?}");
            assert!(!directory.exists());
        } else {
            network.call("ADD", &conf).run().success();
        }
        network.call("DEL", &conf).run().silent();
        network.call("DEL", &conf).run().silent();
    }
}

/// Without the plugin's doing, the kernel would end it by SIGXFSZ, before its answer.
#[test]
fn a_limit_of_file_sizes_is_an_error() {
    let network = Network::new();
    for backend in ["disk", "db"] {
        let mut conf = conf_at(&network, &format!("{{temp}}/limited-{backend}"));
        conf["ipam"]["backend"] = backend.into();
        let limited = network.call("ADD", &conf).under(["prlimit", "--fsize=0"]);
        let failure = limited.run().failure();
        assert_eq!(failure.code, 5, "{backend}: {failure:?}");
        assert!(failure.msg.contains("File too large"), "{failure:?}");
        network.call("DEL", &conf).run().silent();
        network.call("ADD", &conf).run().success();
        network.call("DEL", &conf).run().silent();
    }
}
