//! The keys of docs/configuration.md exist, and the configurations of the pages have no others.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use testkit::requirements::require_root;
use testkit::{Invocation, Node, binaries};

use crate::pages::{self, Page};
use crate::scene::Scene;

/// Keys that a plugin passes on unread, so that only its delegate refuses a value.
const PASSED_ON: [(&str, &str); 2] = [("flannel", "args"), ("flannel", "dns")];

/// Keys of the CNI specification that all plugins have.
const OF_ALL: [&str; 4] = ["capabilities", "name", "cniVersion", "type"];

/// The keys of each plugin that the page lists, by the tables' first column. The paragraph before a
/// table starts with the plugins' names.
fn documented() -> BTreeMap<String, Vec<String>> {
    of_tables(&pages::named("docs/configuration.md"))
}

fn of_tables(page: &Page) -> BTreeMap<String, Vec<String>> {
    let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let paragraphs: Vec<&str> = page.text.split("\n\n").collect();
    for pair in paragraphs.windows(2) {
        let [before, table] = pair else { continue };
        let Some(rows) = table.strip_prefix("| key | default | meaning |\n") else {
            continue;
        };
        let plugins = names_at_the_start(before);
        assert!(!plugins.is_empty(), "whose keys are these?\n{before}");
        for row in rows.lines().skip(1) {
            let first = row.trim_start_matches('|').split('|').next().unwrap();
            for key in first.split('`').skip(1).step_by(2) {
                for plugin in &plugins {
                    keys.entry(plugin.clone()).or_default().push(key.to_owned());
                }
            }
        }
    }
    keys
}

/// The code at the start of a text, as in "`ipvlan` and `macvlan`:".
fn names_at_the_start(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.strip_prefix('`').and_then(|it| it.split_once('`')) {
        names.push(name.to_owned());
        rest = after.strip_prefix(" and ").unwrap_or("");
    }
    names
}

/// A configuration that a plugin accepts.
fn accepted(plugin: &str) -> Value {
    let mut conf = json!({"cniVersion": "1.1.0", "name": "cbr0", "type": plugin});
    if plugin == "host-local" {
        conf["ipam"] = json!({"type": "host-local", "ranges": [[{"subnet": "10.1.1.0/24"}]]});
    }
    conf
}

/// Sets a key, given by a path with dots.
fn set(conf: &mut Value, path: &str, value: &Value) {
    let mut place = conf;
    for key in path.split('.') {
        let object = place.as_object_mut().unwrap();
        place = object
            .entry(key)
            .or_insert_with(|| Value::Object(Map::new()));
    }
    *place = value.clone();
}

#[test]
fn every_documented_key_is_read() {
    if !require_root() {
        return;
    }
    let node = Node::new().unwrap();
    let lease = "FLANNEL_NETWORK=10.1.0.0/16\nFLANNEL_SUBNET=10.1.1.1/24\nFLANNEL_MTU=1450\n\
                 FLANNEL_IPMASQ=true\n";
    node.write("/run/flannel/subnet.env", lease);
    let is_read = |plugin: &str, key: &str| {
        let place = if plugin == "host-local" { "ipam." } else { "" };
        let dir = binaries::plugin_dir();
        // A value that no key has is an error that names the key, unless nothing reads it.
        let wrong = [json!([[[0.5]]]), json!({"x": [0.5]}), json!("\u{1}/")];
        wrong.iter().any(|value| {
            let mut conf = accepted(plugin);
            set(&mut conf, &format!("{place}{key}"), value);
            let call = Invocation::new(dir.join(plugin), "STATUS");
            let outcome = node.run(&call.paths([&dir]).config(&conf));
            let printed = String::from_utf8(outcome.stdout).unwrap();
            let name = key.rsplit('.').next().unwrap();
            outcome.code == Some(1) && printed.contains(name)
        })
    };
    let all = documented();
    assert_eq!(all.len(), 7, "{all:?}");
    for (plugin, keys) in &all {
        assert!(keys.len() > 4, "{plugin}: {keys:?}");
        for key in keys {
            if !PASSED_ON.contains(&(plugin, key)) && !is_of_another(plugin, key) {
                assert!(is_read(plugin, key), "{plugin} does not read `{key}`");
            }
        }
        assert!(!is_read(plugin, "noSuchKey"), "{plugin}");
    }
}

/// A table of two plugins may have keys of one of them.
fn is_of_another(plugin: &str, key: &str) -> bool {
    (plugin, key) == ("ipvlan", "mac")
}

#[test]
fn the_pages_configurations_work_and_have_documented_keys_only() {
    if !require_root() {
        return;
    }
    let keys = documented();
    let lists = pages::blocks("json");
    assert!(!lists.is_empty());
    for block in lists {
        let text = block.lines.join("\n");
        let list: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", block.place));
        for plugin in list["plugins"].as_array().unwrap() {
            let unknown = undocumented(plugin, &keys);
            assert!(
                unknown.is_empty(),
                "{}: no page has {unknown:?}",
                block.place
            );
        }
        let scene = Scene::new().with_plugins();
        let name = list["name"].as_str().unwrap();
        scene.prepare(&format!(
            "rm /etc/cni/net.d/*; cat >/etc/cni/net.d/10-list.conflist <<'END'\n{text}\nEND\n\
             ip netns add testing; twill status {name}; twill add {name} testing; \
             twill check {name} testing; twill del {name} testing"
        ));
    }
}

/// The keys of a plugin's configuration, and of the objects in it, that its table does not have.
fn undocumented(conf: &Value, keys: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let plugin = conf["type"].as_str().unwrap_or("bridge");
    let known = keys.get(plugin).map_or(&[][..], Vec::as_slice);
    let mut unknown = Vec::new();
    for (key, value) in conf.as_object().unwrap() {
        if key == "delegate" || (key == "ipam" && plugin != "flannel") {
            let mut nested = value.clone();
            let kind = if key == "ipam" {
                "host-local"
            } else {
                "bridge"
            };
            let object = nested.as_object_mut().unwrap();
            object.entry("type").or_insert_with(|| kind.into());
            unknown.extend(undocumented(&nested, keys));
        } else if !OF_ALL.contains(&key.as_str()) && !known.contains(key) {
            unknown.push(key.clone());
        }
    }
    unknown
}

#[test]
fn a_mistaken_key_is_found() {
    let keys = documented();
    let conf = json!({
        "type": "flannel",
        "delegate": {"hairpinMode": true, "isDefaultGatway": true},
        "dataDirectory": "/x",
    });
    let mut unknown = undocumented(&conf, &keys);
    unknown.sort_unstable();
    assert_eq!(unknown, ["dataDirectory", "isDefaultGatway"]);
    let page = Page {
        name: "page.md".to_owned(),
        text: "`a` and `b`, in `c`:\n\n| key | default | meaning |\n| --- | --- | --- |\n\
               | `x`, `y` | `z` | |\n\nend\n"
            .to_owned(),
    };
    let both = ["a", "b"].map(|name| (name.to_owned(), vec!["x".to_owned(), "y".to_owned()]));
    assert_eq!(of_tables(&page), both.into());
}
