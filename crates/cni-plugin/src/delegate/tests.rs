//! Tests of delegation, with scripted delegates.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

use cni_types::{Code, Error};
use testkit::ScriptedDelegate;

use super::*;

fn environment(path: impl Into<OsString>) -> Environment {
    let variables: [(&str, OsString); 4] = [
        ("CNI_PATH", path.into()),
        ("CNI_COMMAND", "ADD".into()),
        ("CNI_IFNAME", "eth0".into()),
        ("CNI_NETNS", "/run/netns/a".into()),
    ];
    variables.into_iter().collect()
}

fn find(environment: &Environment) -> Result<Delegate<'_>, Error> {
    let bundle = Bundle::default();
    Delegate::find("bridge".parse().unwrap(), environment, None, bundle).map_err(Error::from)
}

const CONF: &str = r#"{"cniVersion":"1.0.0","name":"n","type":"bridge"}"#;

#[test]
fn a_delegate_gets_the_environment_the_command_and_the_configuration() {
    let scripted = ScriptedDelegate::new("bridge");
    let environment = environment(scripted.dir());
    let delegate = find(&environment).unwrap();
    assert_eq!(
        delegate
            .start(Command::Add)
            .unwrap()
            .add(CONF, Version::V1_0_0)
            .unwrap(),
        r#"{"interfaces":[{"name":"eth0","sandbox":"/run/netns/a"}],"ips":[],"cniVersion":"1.0.0"}"#
    );
    delegate.run(Command::Del, CONF).unwrap();
    let calls = scripted.calls();
    let seen: Vec<_> = calls
        .iter()
        .map(|call| {
            (
                call.command.as_str(),
                call.env["CNI_IFNAME"].as_str(),
                call.stdin.as_slice(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("ADD", "eth0", CONF.as_bytes()),
            ("DEL", "eth0", CONF.as_bytes())
        ]
    );
}

#[test]
fn a_delegates_error_keeps_its_code_and_gets_its_name() {
    let scripted = ScriptedDelegate::new("bridge");
    scripted
        .on("ADD")
        .stdout(r#"{"cniVersion":"1.0.0","code":999,"msg":"no bridge","details":"d"}"#)
        .exit(1);
    let environment = environment(scripted.dir());
    let error = find(&environment)
        .unwrap()
        .start(Command::Add)
        .and_then(|call| call.add(CONF, Version::V1_0_0))
        .unwrap_err();
    assert_eq!(
        Error::from(error),
        Error::new(Code(999), "bridge: no bridge").with_details("d")
    );
}

#[test]
fn any_other_outcome_of_a_delegate_is_an_error_of_its_own() {
    let scripted = ScriptedDelegate::new("bridge");
    let environment = environment(scripted.dir());
    let delegate = find(&environment).unwrap();
    let program = scripted.program().display().to_string();
    let add = || {
        Error::from(
            delegate
                .start(Command::Add)
                .unwrap()
                .add(CONF, Version::V1_0_0)
                .unwrap_err(),
        )
    };

    scripted
        .on("ADD")
        .stdout("")
        .stderr("oh no\nwhere and when\n")
        .exit(3);
    assert_eq!(
        add(),
        Error::new(
            Code::DELEGATE_BROKEN,
            format!("plugin {program} failed with exit status 3 and no error in JSON: oh no")
        )
        .with_details("oh no\nwhere and when")
    );

    scripted.on("ADD").reset().kill(9);
    let killed = add();
    assert_eq!(killed.code, Code::DELEGATE_BROKEN);
    assert_eq!(
        killed.msg,
        format!("plugin {program} was killed by SIGKILL")
    );

    scripted.on("ADD").reset().stdout("hello");
    assert_eq!(
        add(),
        Error::new(
            Code::DECODING_FAILURE,
            format!(
                "plugin {program} answered ADD with an invalid result: expected value at line \
                1 column 1"
            )
        )
        .with_details("hello")
    );

    scripted.on("ADD").reset().stdout("");
    assert_eq!(
        add().msg,
        format!(
            "plugin {program} answered ADD with an invalid result: empty: a JSON object is expected"
        )
    );

    scripted.on("ADD").reset().stdout(b"\xff\xfe");
    assert_eq!(add().code, Code::DECODING_FAILURE);

    scripted.on("DEL").stdout("whatever");
    delegate.run(Command::Del, CONF).unwrap();
}

#[test]
fn input_and_output_of_any_size_do_not_block_each_other() {
    let directory = tempfile::tempdir().unwrap();
    // `tee` writes what it reads while it reads it, so both pipes fill up at once.
    symlink("/usr/bin/tee", directory.path().join("bridge")).unwrap();
    let environment = environment(directory.path());
    let filler = "x".repeat(5 << 20);
    let conf = format!(r#"{{"cniVersion":"1.0.0","filler":"{filler}"}}"#);
    let result = find(&environment)
        .unwrap()
        .start(Command::Add)
        .and_then(|call| call.add(&conf, Version::V1_0_0));
    assert_eq!(result.unwrap().len(), conf.len());

    // `true` reads nothing.
    fs::remove_file(directory.path().join("bridge")).unwrap();
    symlink("/usr/bin/true", directory.path().join("bridge")).unwrap();
    find(&environment)
        .unwrap()
        .run(Command::Del, &conf)
        .unwrap();
}

#[test]
fn the_first_directory_with_an_executable_wins() {
    let (empty, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = empty.path().join("bridge");

    let only = environment(format!("/nowhere::{}", empty.path().display()));
    assert_eq!(
        find(&only).unwrap_err().msg,
        format!(
            "no plugin \"bridge\" in CNI_PATH /nowhere::{}: install it there, or correct the type \
                in the network configuration",
            empty.path().display()
        )
    );

    fs::write(&file, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let error = find(&only).unwrap_err();
    assert_eq!(
        (error.code, error.msg),
        (
            Code::DELEGATE_UNUSABLE,
            format!(
                "plugin {} is not executable: make it so with chmod +x",
                file.display()
            )
        )
    );

    symlink("/usr/bin/true", other.path().join("bridge")).unwrap();
    let both = environment(format!(
        "{}:{}",
        empty.path().display(),
        other.path().display()
    ));
    assert_eq!(
        find(&both).unwrap().program,
        other.path().join("bridge"),
        "a file that cannot be run hides nothing"
    );
}

#[test]
fn a_binary_that_is_open_for_writing_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("bridge");
    fs::copy("/usr/bin/true", &program).unwrap();
    let environment = environment(directory.path());
    let delegate = find(&environment).unwrap();

    let writer = fs::OpenOptions::new().write(true).open(&program).unwrap();
    let begin = Instant::now();
    let busy = Duration::from_millis(200);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(busy);
            drop(writer);
        });
        delegate.run(Command::Del, CONF).unwrap();
    });
    assert!(begin.elapsed() >= busy, "it ran while it was being written");
}

#[test]
fn a_missing_interpreter_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("bridge");
    fs::write(&program, "#!/nowhere/interpreter\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let environment = environment(directory.path());
    let error = find(&environment)
        .unwrap()
        .run(Command::Del, CONF)
        .map_err(Error::from)
        .unwrap_err();
    assert_eq!(error.code, Code::DELEGATE_UNUSABLE);
    assert_eq!(
        error.msg,
        format!(
            "cannot start plugin {}: No such file or directory (os error 2)",
            program.display()
        )
    );
}
