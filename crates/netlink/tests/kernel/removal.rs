//! The state after `remove_links`, which returns before the kernel has acknowledged the removal.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use netlink::{
    Change, Existing, Family, IpvlanMode, Link, MAIN_TABLE, MacvlanMode, NewLink, NewSubInterface,
    Route, Rtnetlink, SubInterface,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Both, Pair, up};

/// The name of the helper process, which waits for the kernel's acknowledgement.
const HELPER: &str = "twill-unlink";

/// The state of each child of this process by the helper's name (proc_pid_stat(5)).
///
/// Only the children are read: to read all processes of a busy machine takes longer than the kernel
/// needs to free a link.
fn helpers() -> Vec<(Pid, char)> {
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
    let children = threads.map(|thread| {
        let children = fs::read_to_string(thread.path().join("children"));
        // A thread of another test may have ended.
        children.unwrap_or_default()
    });
    let children: Vec<String> = children.collect();
    let pids = children.iter().flat_map(|pids| pids.split_whitespace());
    pids.filter_map(helper_state).collect()
}

fn helper_state(pid: &str) -> Option<(Pid, char)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (before, after) = stat.rsplit_once(") ").unwrap();
    let state = after.chars().next().unwrap();
    let pid = Pid::from_raw(pid.parse().unwrap());
    let is_helper = before.ends_with(&format!("({HELPER}"));
    is_helper.then_some((pid, state))
}

fn names(rtnetlink: &mut Rtnetlink) -> Vec<String> {
    let links = rtnetlink.links().unwrap();
    links.into_iter().map(|link| link.name).collect()
}

/// Gives a container's link addresses and a route.
fn address(both: &mut Both, link: &Link) {
    let gateway = Route {
        gateway: Some([10, 244, 0, 1].into()),
        link: Some(link.index),
        ..Route::to("0.0.0.0/0".parse().unwrap())
    };
    let changes = [
        Change::SetLink {
            link: link.index,
            change: up(),
        },
        Change::add_address(link.index, "10.244.0.2/24".parse().unwrap(), false),
        Change::add_address(link.index, "fd00::2/64".parse().unwrap(), false),
        Change::AddRoute {
            route: gateway,
            existing: Existing::Refuse,
        },
    ];
    both.container.apply(&changes).unwrap();
}

/// Asserts that the container's only link is gone, with its addresses and routes.
fn assert_gone(both: &mut Both, link: &Link) {
    assert_eq!(names(&mut both.container), ["lo"]);
    let found = both.container.link_by_index(link.index).unwrap();
    assert_eq!(found, None);
    for family in [Family::V4, Family::V6] {
        let routes = both.container.routes(family, MAIN_TABLE, None).unwrap();
        assert_eq!(routes, []);
    }
}

#[test]
fn a_veth_pair_is_gone_and_can_be_recreated_at_once() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let bridge = both.bridge();
        for round in 0..20 {
            let (near, far) = both.veth("veth0", "eth0", bridge.index);
            address(both, &far);
            // The request may name either end.
            match round % 2 {
                0 => both.host.remove_links(&[near.index]).unwrap(),
                _ => both.container.remove_links(&[far.index]).unwrap(),
            }
            assert_eq!(names(&mut both.host), ["lo", "cni0"]);
            assert_eq!(both.host.ports(bridge.index).unwrap(), []);
            assert_gone(both, &far);
        }
    });
    let forwarding = pair.bridge(&["fdb", "show", "br", "cni0"]);
    let of_port = |entry: &&serde_json::Value| entry["ifname"] == "veth0";
    let forwarding = forwarding.as_array().unwrap().iter();
    assert_eq!(forwarding.filter(of_port).count(), 0);
}

#[track_caller]
fn a_sub_interface_is_gone(kind: SubInterface) {
    let Some(pair) = Pair::new() else { return };
    let is_supported = pair.run(|both| {
        let new = NewSubInterface {
            link: NewLink::named("eth0"),
            kind,
            parent: both.bridge().index,
        };
        for _ in 0..10 {
            let made =
                both.host
                    .create_sub_interface_in(&new, None, &both.netns, &mut both.container);
            let link = match made {
                Err(error) if error.is_unsupported() => return false,
                made => made.unwrap(),
            };
            address(both, &link);
            both.container.remove_links(&[link.index]).unwrap();
            assert_gone(both, &link);
        }
        assert_eq!(names(&mut both.host), ["lo", "cni0"]);
        true
    });
    if !is_supported {
        testkit::requirements::skip_for_kernel("ipvlan");
    }
}

#[test]
fn a_macvlan_is_gone_and_can_be_recreated_at_once() {
    a_sub_interface_is_gone(SubInterface::Macvlan(MacvlanMode::Bridge));
    a_sub_interface_is_gone(SubInterface::Macvlan(MacvlanMode::Passthru));
}

#[test]
fn an_ipvlan_is_gone_and_can_be_recreated_at_once() {
    a_sub_interface_is_gone(SubInterface::Ipvlan(IpvlanMode::L2));
}

#[test]
fn a_helper_process_waits_for_the_kernel_and_ends() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let bridge = both.bridge();
        // On a busy machine the kernel may be done before the state can be read.
        let is_seen = (0..200).any(|_| {
            let (near, _) = both.veth("veth1", "eth1", bridge.index);
            both.host.remove_links(&[near.index]).unwrap();
            helpers().iter().any(|(_, state)| *state == 'D')
        });
        assert!(is_seen, "no removal has left the wait to another process");
    });
    let deadline = Instant::now() + Duration::from_secs(20);
    while helpers().iter().any(|(_, state)| *state != 'Z') {
        assert!(Instant::now() < deadline, "{:?}", helpers());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_link_is_removed_even_if_the_helper_is_killed() {
    let Some(pair) = Pair::new() else { return };
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // This also kills the helpers of other tests.
            while !is_over.load(Ordering::Relaxed) {
                for (pid, _) in helpers() {
                    let _ = kill(pid, Signal::SIGKILL);
                }
            }
        });
        pair.run(|both| {
            let bridge = both.bridge();
            for _ in 0..30 {
                let (near, far) = both.veth("veth2", "eth2", bridge.index);
                both.host.remove_links(&[near.index]).unwrap();
                assert_eq!(names(&mut both.host), ["lo", "cni0"]);
                assert_gone(both, &far);
            }
        });
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_missing_link_is_no_error_and_a_refusal_is_reported() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        both.host.remove_links(&[]).unwrap();
        both.host.remove_links(&[4711]).unwrap();
        both.host.remove_links(&[4711, 4712, 4713]).unwrap();
        let error = both.host.remove_links(&[1]).unwrap_err();
        let expected = "cannot delete link lo: Operation not supported on transport endpoint";
        assert_eq!(error.to_string(), expected);
        // One of several links cannot be removed; the others are.
        let bridge = both.bridge();
        let (near, _) = both.veth("veth3", "eth3", bridge.index);
        let error = both.host.remove_links(&[1, near.index, 4711, bridge.index]);
        assert_eq!(error.unwrap_err().to_string(), expected);
        assert_eq!(names(&mut both.host), ["lo"]);
        assert_eq!(names(&mut both.container), ["lo"]);
        let lo = both.host.link_by_index(1).unwrap().unwrap();
        assert!(lo.is_up);
    });
}

#[test]
fn several_links_are_removed_together() {
    const MANY: usize = 40;
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let bridge = both.bridge();
        let ends = (0..MANY).map(|number| {
            let (near, far) = (format!("veth{number}"), format!("eth{number}"));
            both.veth(&near, &far, bridge.index).0.index
        });
        let links: Vec<u32> = ends.collect();
        both.host.remove_links(&links).unwrap();
        assert_eq!(names(&mut both.host), ["lo", "cni0"]);
        assert_eq!(names(&mut both.container), ["lo"]);
    });
}
