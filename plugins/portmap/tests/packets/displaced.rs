//! The last ADD of a host port has it, and the one before has it back once the last is gone.

use serde_json::json;
use testkit::Side;

use crate::support::{Lan, NODE, Place, Protocol};

#[test]
fn a_displaced_container_gets_its_port_back() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    lan.serve(Place::Pod(0), "::", 80);
    lan.serve(Place::Pod(1), "::", 80);
    let mappings = json!([
        {"hostPort": 8080, "containerPort": 80},
        {"hostPort": 8080, "containerPort": 80, "hostIP": NODE[0]},
    ]);
    let who = || {
        let of = |family: usize| {
            let answer = lan.ask(Place::Outside, Protocol::Tcp, NODE[family], 8080);
            answer.split(' ').next().unwrap().to_owned()
        };
        [of(0), of(1)]
    };
    lan.map(0, &mappings);
    assert_eq!(who(), ["c1", "c1"]);
    lan.map(1, &mappings);
    assert_eq!(who(), ["c2", "c2"]);
    lan.checked(1, &mappings).silent();
    let failure = lan.checked(0, &mappings).failure();
    assert_eq!(failure.code, 120);
    assert_eq!(
        failure.msg,
        "tcp port 8080 does not lead to the container: \
        table ip twill_portmap has eth0 of c2 in cbr0 in its place"
    );
    lan.unmap(1);
    assert_eq!(who(), ["c1", "c1"]);
    lan.checked(0, &mappings).silent();
    // An attachment that is deleted while it waits for a port does not get the port later.
    lan.map(1, &mappings);
    lan.unmap(0);
    assert_eq!(who(), ["c2", "c2"]);
    lan.unmap(1);
    assert!(!lan.is_answered(Place::Outside, Protocol::Tcp, NODE[0], 8080));
}
