//! The architectures that the plugins are built for, and what compiles for them.

use std::process::Command;

use anyhow::{Result, bail};

use crate::packages;
use crate::platform::Platform;

/// An architecture of nodes.
#[derive(Debug, PartialEq, Eq)]
pub struct Architecture {
    /// The name that Rust has for it.
    pub name: &'static str,
    /// The target with musl, which is linked by the compiler's own linker; `None` if the compiler
    /// has none.
    musl: Option<&'static str>,
    /// The target with glibc.
    glibc: &'static str,
    /// The C compiler that links for `glibc`, and Debian's packages of it.
    linker: (&'static str, &'static str),
    /// The program that runs a binary of the architecture on another one (Debian: `qemu-user`).
    pub emulator: &'static str,
    /// Its name in Debian.
    pub debian: &'static str,
    /// Its name in rpm.
    pub rpm: &'static str,
    /// Its name in images, as Go has it, and its variant there if it has one.
    pub image: (&'static str, Option<&'static str>),
}

/// All of them: those of Debian's and Kubernetes' nodes.
pub const ALL: [Architecture; 7] = [
    Architecture {
        name: "x86_64",
        musl: Some("x86_64-unknown-linux-musl"),
        glibc: "x86_64-unknown-linux-gnu",
        linker: ("x86_64-linux-gnu-gcc", "gcc-x86-64-linux-gnu"),
        emulator: "qemu-x86_64",
        debian: "amd64",
        rpm: "x86_64",
        image: ("amd64", None),
    },
    Architecture {
        name: "x86",
        musl: Some("i686-unknown-linux-musl"),
        glibc: "i686-unknown-linux-gnu",
        linker: (
            "i686-linux-gnu-gcc",
            "gcc-i686-linux-gnu libc6-dev-i386-cross",
        ),
        emulator: "qemu-i386",
        debian: "i386",
        rpm: "i686",
        image: ("386", None),
    },
    Architecture {
        name: "aarch64",
        musl: Some("aarch64-unknown-linux-musl"),
        glibc: "aarch64-unknown-linux-gnu",
        linker: (
            "aarch64-linux-gnu-gcc",
            "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
        ),
        emulator: "qemu-aarch64",
        debian: "arm64",
        rpm: "aarch64",
        image: ("arm64", None),
    },
    Architecture {
        name: "arm",
        musl: Some("armv7-unknown-linux-musleabihf"),
        glibc: "armv7-unknown-linux-gnueabihf",
        linker: (
            "arm-linux-gnueabihf-gcc",
            "gcc-arm-linux-gnueabihf libc6-dev-armhf-cross",
        ),
        emulator: "qemu-arm",
        debian: "armhf",
        rpm: "armv7hl",
        image: ("arm", Some("v7")),
    },
    Architecture {
        name: "riscv64",
        musl: Some("riscv64gc-unknown-linux-musl"),
        glibc: "riscv64gc-unknown-linux-gnu",
        linker: (
            "riscv64-linux-gnu-gcc",
            "gcc-riscv64-linux-gnu libc6-dev-riscv64-cross",
        ),
        emulator: "qemu-riscv64",
        debian: "riscv64",
        rpm: "riscv64",
        image: ("riscv64", None),
    },
    Architecture {
        name: "powerpc64le",
        musl: Some("powerpc64le-unknown-linux-musl"),
        glibc: "powerpc64le-unknown-linux-gnu",
        linker: (
            "powerpc64le-linux-gnu-gcc",
            "gcc-powerpc64le-linux-gnu libc6-dev-ppc64el-cross",
        ),
        emulator: "qemu-ppc64le",
        debian: "ppc64el",
        rpm: "ppc64le",
        image: ("ppc64le", None),
    },
    Architecture {
        name: "s390x",
        musl: None,
        glibc: "s390x-unknown-linux-gnu",
        linker: (
            "s390x-linux-gnu-gcc",
            "gcc-s390x-linux-gnu libc6-dev-s390x-cross",
        ),
        emulator: "qemu-s390x",
        debian: "s390x",
        rpm: "s390x",
        image: ("s390x", None),
    },
];

/// A target of the compiler, and what links for it.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// The target.
    pub platform: Platform,
    /// The linker; `None` for the machine's own.
    linker: Option<&'static str>,
}

impl Architecture {
    /// The architecture with a name, or with a target of this triple.
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter()
            .find(|it| it.name == name || it.musl == Some(name) || it.glibc == name)
    }

    /// Whether this machine has it.
    pub fn is_own(&self) -> bool {
        self.name == std::env::consts::ARCH
    }

    /// The target of another architecture, with musl if the compiler has that. rustup installs a
    /// standard library that is missing.
    ///
    /// # Errors
    /// If it cannot be installed.
    pub fn platform(&self) -> Result<Platform> {
        let musl = self.musl.map(Platform::available).transpose();
        match musl {
            Ok(Some(platform)) => Ok(platform),
            Ok(None) | Err(_) => Platform::available(self.glibc),
        }
    }

    /// What compiles and links for it. rustup installs a standard library that is missing.
    ///
    /// # Errors
    /// If the machine has neither a target with musl nor one with glibc and a linker; says what to
    /// install.
    pub fn toolchain(&self) -> Result<Toolchain> {
        if self.is_own() {
            let platform = Platform::of_plugins()?;
            return Ok(Toolchain {
                platform,
                linker: None,
            });
        }
        let platform = self.platform()?;
        if platform.triple() != self.glibc {
            return Ok(Toolchain {
                platform,
                linker: Some("rust-lld"),
            });
        }
        let (linker, package) = self.linker;
        if packages::find(linker).is_none() {
            bail!("{} needs {linker} (Debian packages {package})", self.glibc);
        }
        Ok(Toolchain {
            platform,
            linker: Some(linker),
        })
    }
}

impl Toolchain {
    /// Has a cargo command compile and link for it.
    pub fn use_in(&self, cargo: &mut Command) {
        cargo.args(["--target", self.platform.triple()]);
        if let Some(linker) = self.linker {
            cargo.env(self.setting("LINKER"), linker);
        }
    }

    /// Has a cargo command run programs by an emulator.
    pub fn emulate_in(&self, cargo: &mut Command, emulator: &str) {
        cargo.env(self.setting("RUNNER"), emulator);
    }

    /// The variable of cargo's for a setting of the target.
    fn setting(&self, name: &str) -> String {
        let triple = self.platform.triple().to_uppercase().replace('-', "_");
        format!("CARGO_TARGET_{triple}_{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_architecture_is_named_by_itself_and_by_its_targets() {
        for name in ["s390x", "s390x-unknown-linux-gnu"] {
            assert_eq!(Architecture::named(name).unwrap().name, "s390x");
        }
        assert_eq!(Architecture::named("mips"), None);
        assert_eq!(ALL.iter().filter(|it| it.is_own()).count(), 1);
    }

    #[test]
    fn the_machines_own_needs_no_other_linker() {
        let own = ALL.iter().find(|it| it.is_own()).unwrap();
        let toolchain = own.toolchain().unwrap();
        assert!(toolchain.linker.is_none());
        let mut cargo = Command::new("cargo");
        toolchain.use_in(&mut cargo);
        assert_eq!(cargo.get_args().next().unwrap(), "--target");
    }
}
