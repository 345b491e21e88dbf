//! Tests of namespaces.

use std::path::{Path, PathBuf};

use netlink::{NetlinkError, Netns, NetnsError, Rtnetlink};
use testkit::requirements::require_root;

use crate::Pair;

fn of_this_thread() -> PathBuf {
    std::fs::read_link("/proc/thread-self/ns/net").unwrap()
}

#[test]
fn a_path_that_leads_to_no_network_namespace() {
    let path = Path::new("/run/netns/no-such-namespace-4711");
    let error = Netns::open(path).unwrap_err();
    assert!(matches!(error, NetnsError::NotFound(_)));
    assert_eq!(
        error.to_string(),
        "network namespace /run/netns/no-such-namespace-4711 does not exist"
    );
    for path in ["/", "/etc/passwd", "/proc/self/maps"] {
        let error = Netns::open(Path::new(path)).unwrap_err();
        assert!(matches!(error, NetnsError::NotANetns(_)), "{error}");
    }
    let code = cni_types::Error::from(error).code;
    assert_eq!(code, cni_types::Code::INVALID_NETNS);
}

#[test]
fn a_fifo_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("netns");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let error = Netns::open(&fifo).unwrap_err();
    assert!(matches!(error, NetnsError::NotANetns(_)), "{error}");
}

#[test]
fn a_namespace_of_another_kind_cannot_be_entered() {
    let home = Netns::current().unwrap();
    let mounts = Netns::open(Path::new("/proc/self/ns/mnt")).unwrap();
    let before = of_this_thread();
    let entered = mounts.enter(&home, || -> Result<(), NetlinkError> {
        panic!("must not be run")
    });
    if require_root() {
        let error = entered.unwrap_err();
        assert_eq!(
            error.to_string(),
            "/proc/self/ns/mnt is no network namespace"
        );
    }
    assert_eq!(of_this_thread(), before);
}

#[test]
fn a_namespace_is_the_same_by_every_path() {
    let Some(pair) = Pair::new() else { return };
    let by_path = Netns::open(&pair.container.path()).unwrap();
    let from_inside = pair.container.enter(|| Netns::current().unwrap());
    assert_eq!(by_path.id(), from_inside.id());
    assert_ne!(by_path.id(), Netns::current().unwrap().id());
    assert_eq!(by_path.path(), pair.container.path());
}

#[test]
fn inside_and_back() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let before = of_this_thread();
        let inside = both
            .netns
            .enter(&both.home, || Ok::<_, NetlinkError>(of_this_thread()));
        assert_ne!(inside.unwrap(), before);
        assert_eq!(of_this_thread(), before);

        let failed = both.netns.enter(&both.home, || -> Result<(), NetnsError> {
            Err(NetnsError::NotFound("/inside".into()))
        });
        assert!(matches!(failed, Err(NetnsError::NotFound(_))));
        assert_eq!(of_this_thread(), before);

        let panicked = std::panic::catch_unwind(|| {
            let inside = || -> Result<(), NetnsError> { panic!("inside") };
            both.netns.enter(&both.home, inside)
        });
        assert!(panicked.is_err());
        assert_eq!(of_this_thread(), before);
    });
}

#[test]
fn a_thread_that_cannot_leave_a_namespace_is_stranded() {
    let Some(pair) = Pair::new() else { return };
    let error = pair.run(|both| {
        // A home that cannot be entered.
        let home = Netns::open(Path::new("/proc/self/ns/mnt")).unwrap();
        both.netns
            .enter(&home, || Ok::<_, NetlinkError>("done"))
            .unwrap_err()
    });
    let NetlinkError::Netns(NetnsError::Stranded { path, .. }) = error else {
        panic!("{error}");
    };
    assert_eq!(path, pair.container.path());
}

#[test]
fn a_socket_stays_in_its_namespace() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let bridge = both.bridge();
        assert!(both.host.link_by_name("cni0").unwrap().is_some());
        assert_eq!(both.container.link_by_name("cni0").unwrap(), None);
        assert_eq!(both.container.link_by_index(bridge.index).unwrap(), None);
        let mut again = Rtnetlink::open_in(&both.home, &both.home).unwrap();
        assert!(again.link_by_name("cni0").unwrap().is_some());
    });
}
