//! A machine that boots. It takes some seconds, and a kernel in the directory that
//! `TWILL_VM_KERNEL` names; apt fetches it if it is not there.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "for tests only, where a panic reports a failure and the environment is an input"
)]

use std::path::Path;
use std::time::Duration;

use testkit::requirements::leave_to_vm;
use vm::{DISK_MODULES, Kernel, Machine};

#[track_caller]
fn machine() -> Option<Machine> {
    let Some(dir) = std::env::var_os("TWILL_VM_KERNEL") else {
        leave_to_vm("needs TWILL_VM_KERNEL, the directory of a kernel");
        return None;
    };
    let kernel = Kernel::of_debian(Path::new(&dir)).unwrap();
    Some(Machine::new(kernel).unwrap())
}

#[test]
fn a_script_has_modules_files_and_a_status() {
    let Some(machine) = machine() else { return };
    let script = "uname -s; ls /usr/bin/env; env -i A=1 /usr/bin/env; \
        ip link add probe0 type dummy && ip link; cat /link; exit 3";
    let machine = machine.copy("/usr/bin/env").unwrap().modules(&["dummy"]);
    let machine = machine.link("/link", "script").unwrap();
    let finished = machine.run(script).unwrap();
    assert_eq!(finished.status, Some(3), "{}", finished.console);
    for text in [
        "Linux\n",
        "/usr/bin/env\n",
        "A=1\n",
        "probe0",
        "; cat /link",
    ] {
        assert!(finished.console.contains(text), "{}", finished.console);
    }
}

#[test]
fn a_machine_that_takes_too_long_is_killed() {
    let Some(machine) = machine() else { return };
    let machine = machine.limit(Duration::from_secs(1));
    let finished = machine.run("echo in time").unwrap();
    assert_eq!(finished.status, None, "{}", finished.console);
}

#[test]
fn a_machine_is_switched_off_where_it_is() {
    let Some(machine) = machine() else { return };
    let mut running = machine.start("echo before; sleep 600").unwrap();
    let timeout = Duration::from_secs(60);
    assert!(running.waits_until(timeout, |console| console.contains("before\n")));
    let finished = running.cut_after(Duration::ZERO);
    assert_eq!(finished.status, None, "{}", finished.console);
    assert!(
        finished.console.ends_with("before\n"),
        "{}",
        finished.console
    );
}

#[test]
fn a_disk_has_what_was_written_to_it() {
    let Some(machine) = machine() else { return };
    let disk = tempfile::NamedTempFile::new().unwrap();
    disk.as_file().set_len(1 << 20).unwrap();
    let drive = format!("format=raw,file={}", disk.path().display());
    let machine = machine.modules(&DISK_MODULES).disk(drive);
    let finished = machine.run("echo kept > /dev/vda").unwrap();
    assert_eq!(finished.status, Some(0), "{}", finished.console);
    let start = &std::fs::read(disk.path()).unwrap()[..5];
    assert_eq!(start, b"kept\n");
}

#[test]
fn a_module_that_is_not_there_is_named() {
    let Some(machine) = machine() else { return };
    let error = machine
        .modules(&["no-such-module"])
        .run("true")
        .unwrap_err();
    assert!(error.to_string().contains("no-such-module.ko"), "{error}");
}
