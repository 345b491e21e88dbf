//! The licences of what is linked into the binary beside Twill: libraries, the standard library of
//! Rust, and the C library.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use xtask::command;
use xtask::workspace::Workspace;

/// The package whose libraries are linked.
const BINARY: &str = "twill";

/// The starts of the names of files with licences and copyrights, in lower case.
const NAMES: [&str; 6] = [
    "copying",
    "copyright",
    "licence",
    "license",
    "notice",
    "unlicense",
];

/// The C library of targets with musl.
const MUSL: &str = "Copyright (c) 2005-2020 Rich Felker, et al.\n\nmusl as a whole is under the MIT \
    license: the text of the Rust standard library's.\n";

/// The C library of targets with glibc. Whoever changes it can link the binary again, since
/// everything else in it comes with its sources.
const GLIBC: &str = "Copyright (C) the Free Software Foundation and others\n\nThe sources are those \
    of the package glibc of the distribution that the compiler is from. The text of the license \
    is at https://www.gnu.org/licenses/old-licenses/lgpl-2.1.txt.\n";

/// What the compiler's copy of the MIT license has for a copyright, and that of its library.
const HOLDERS: &str = "<year> <copyright holders>";
const RUST: &str = "the Rust Project developers (see https://thanks.rust-lang.org)";

/// A library, with its licence as an expression of SPDX.
type Library = (String, String);

/// A text, and the names of the libraries that have it.
type Texts = BTreeMap<String, (String, BTreeSet<String>)>;

/// The notices for a target of the compiler, as plain text.
///
/// # Errors
/// If cargo fails, or a library's files cannot be read.
pub fn write(workspace: &Workspace, triple: &str) -> Result<String> {
    let mut cargo = workspace.cargo(&["metadata", "--format-version=1", "--locked"]);
    cargo.args(["--filter-platform", triple]);
    let metadata: Value = serde_json::from_str(&command::output(&mut cargo)?)?;
    let (mut libraries, mut texts) = (BTreeSet::new(), Texts::new());
    for package in linked(&metadata)? {
        // The workspace's own.
        if package["source"].is_null() {
            continue;
        }
        let text = |key: &str| {
            let value = package.get(key).and_then(Value::as_str);
            value.with_context(|| format!("{} has no {key}", package["name"]))
        };
        let name = format!("{} {}", text("name")?, text("version")?);
        libraries.insert((name.clone(), text("license")?.replace('/', " OR ")));
        let dir = Path::new(text("manifest_path")?).parent();
        for file in files_with_licences(dir.context("a manifest is in a directory")?)? {
            let text = fs::read_to_string(&file);
            let text = text.with_context(|| format!("cannot read {}", file.display()))?;
            add(&mut texts, &name, &text);
        }
    }
    let rust = command::output(Command::new("rustc").arg("--version"))?;
    let rust = rust.split_whitespace().nth(1).unwrap_or_default();
    let rust = format!("Rust standard library {rust}");
    libraries.insert((
        rust.clone(),
        "(MIT OR Apache-2.0) AND Unicode-3.0".to_owned(),
    ));
    for text in texts_of_rust()? {
        add(&mut texts, &rust, &text);
    }
    let (libc, license, text) = match triple.contains("musl") {
        true => ("musl", "MIT", MUSL),
        false => ("glibc", "LGPL-2.1-or-later", GLIBC),
    };
    libraries.insert((libc.to_owned(), license.to_owned()));
    add(&mut texts, libc, text);
    Ok(lay_out(triple, &libraries, &texts))
}

/// The packages that are linked: normal dependencies, and theirs, without procedural macros.
fn linked(metadata: &Value) -> Result<Vec<&Value>> {
    let by_id = |list: &'static str| -> BTreeMap<&str, &Value> {
        let all = metadata.pointer(list).and_then(Value::as_array);
        let all = all.into_iter().flatten();
        all.filter_map(|it| Some((it.get("id")?.as_str()?, it)))
            .collect()
    };
    let (packages, nodes) = (by_id("/packages"), by_id("/resolve/nodes"));
    let root = packages.iter().find(|(_, it)| it["name"] == BINARY);
    let (root, _) = root.with_context(|| format!("there is no package {BINARY}"))?;
    let (mut found, mut seen, mut open) = (Vec::new(), BTreeSet::new(), vec![*root]);
    while let Some(id) = open.pop() {
        let package = *packages
            .get(id)
            .with_context(|| format!("there is no package {id}"))?;
        if !seen.insert(id) || is_macro(package) {
            continue;
        }
        found.push(package);
        let node = nodes.get(id);
        let dependencies = node.and_then(|it| it.get("deps")?.as_array());
        for dependency in dependencies.into_iter().flatten() {
            let mut kinds = dependency["dep_kinds"].as_array().into_iter().flatten();
            if kinds.any(|kind| kind["kind"].is_null()) {
                open.extend(dependency["pkg"].as_str());
            }
        }
    }
    Ok(found)
}

fn is_macro(package: &Value) -> bool {
    let mut targets = package["targets"].as_array().into_iter().flatten();
    targets.any(|target| {
        let mut kinds = target["kind"].as_array().into_iter().flatten();
        kinds.any(|kind| kind == "proc-macro")
    })
}

fn files_with_licences(dir: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = || format!("cannot read {}", dir.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let name = entry.file_name().to_string_lossy().to_ascii_lowercase();
        if NAMES.iter().any(|start| name.starts_with(start)) && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    ensure!(!files.is_empty(), "{} has no licence", dir.display());
    files.sort();
    Ok(files)
}

/// The compiler's own copies; none with a compiler that has none.
fn texts_of_rust() -> Result<Vec<String>> {
    let sysroot = command::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let dir = Path::new(sysroot.trim_end()).join("share/doc/rust/licenses");
    let texts = ["MIT.txt", "Unicode-3.0.txt"].map(|name| fs::read_to_string(dir.join(name)));
    let texts = texts.into_iter().flatten();
    Ok(texts.map(|text| text.replace(HOLDERS, RUST)).collect())
}

/// Adds a text once, however its lines are broken, unless it is that of the file LICENSE.
fn add(texts: &mut Texts, library: &str, text: &str) {
    let words: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let is_apache = words.contains("TERMS AND CONDITIONS FOR USE, REPRODUCTION");
    if is_apache && !words.contains("LLVM Exceptions") {
        return;
    }
    let entry = texts.entry(words);
    let (_, libraries) = entry.or_insert_with(|| (text.trim().to_owned(), BTreeSet::new()));
    libraries.insert(library.to_owned());
}

fn lay_out(triple: &str, libraries: &BTreeSet<Library>, texts: &Texts) -> String {
    let mut all = format!(
        "Third-party software in Twill's binary ({triple})\n\n\
         Twill is under the Apache License, version 2.0 (LICENSE). Its binary contains the\n\
         following as well. The texts of other licenses, with copyrights, are below.\n\n"
    );
    for (name, license) in libraries {
        let _ = writeln!(all, "{name:<32} {license}");
    }
    // By the libraries, not by the texts' own words.
    let mut texts: Vec<_> = texts.values().map(|(text, of)| (of, text)).collect();
    texts.sort();
    for (libraries, text) in texts {
        let libraries: Vec<&str> = libraries.iter().map(String::as_str).collect();
        let line = "-".repeat(80);
        let _ = write!(all, "\n{line}\n{}\n\n{text}\n", libraries.join("\n"));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_library_that_is_linked_is_named_with_its_texts() {
        let workspace = Workspace::find().unwrap();
        let text = write(&workspace, "x86_64-unknown-linux-musl").unwrap();
        assert!(text == write(&workspace, "x86_64-unknown-linux-musl").unwrap());
        for library in ["anyhow 1.", "clap 4.", "hmac-sha512 1.", "nix 0.", "musl  "] {
            let is_line = |line: &str| line.starts_with(library);
            assert!(text.lines().any(is_line), "{library}: {text}");
        }
        // Macros, and what only tools and tests have.
        for other in [
            "serde_derive",
            "syn 3.",
            "clap_complete",
            "tempfile",
            "glibc",
        ] {
            assert!(!text.contains(other), "{other}: {text}");
        }
        for copyright in [
            "2014 Alex Crichton",
            "Frank Denis",
            "Rich Felker",
            "Rust Project developers",
        ] {
            assert!(text.contains(copyright), "{copyright}: {text}");
        }
        // The text of LICENSE is not repeated.
        assert_eq!(text.matches("TERMS AND CONDITIONS FOR USE").count(), 1);
        let glibc = write(&workspace, "s390x-unknown-linux-gnu").unwrap();
        assert!(glibc.contains("LGPL-2.1-or-later") && !glibc.contains("\nmusl "));
    }
}
