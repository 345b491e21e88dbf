//! The virtual machine: its root directory, its command line, and how it is started.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;
use xtask::{command, packages};

use crate::running::{Finished, Running};
use crate::{Kernel, libraries};

/// The first process. It prints the script's status last.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox mount -t proc none /proc
/bin/busybox --install -s /bin
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t sysfs none /sys
mount -t devtmpfs none /dev
exec </dev/console >/dev/console 2>&1
chmod 1777 /tmp
for module in $(cat /modules/order); do
    insmod "/modules/$module.ko" || echo "vm: cannot load $module"
done
ip link set lo up
cd /root
sh /script </dev/null 2>&1
status=$?

echo "
vm: exit status $status"
poweroff -f
"#;

/// The kernel's command line. Guards against attackers are off, since emulated they take most of
/// the time. So is the randomness of addresses: qemu keeps what it has translated by address, and
/// would translate it again for every program. The kernel does not check its timer by counting
/// ticks: the check fails on a busy machine, which gives qemu no time to raise them.
const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1 rdinit=/init norandmaps nokaslr \
    no_timer_check mitigations=off no5lvl init_on_alloc=0 audit=0 apparmor=0 preempt=none \
    rcupdate.rcu_expedited=1";

/// The processors: plain ones, since what protects newer ones from attackers, and their wide
/// registers, cost time too. The kernel seeds its random numbers from `rdrand`; without that, Go's
/// programs wait half a minute for other sources.
const PROCESSOR: &str = "qemu64,+rdrand";

/// The modules for disks, in the order in which they are loaded; ext4 is in the kernel.
pub const DISK_MODULES: [&str; 6] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "virtio_blk",
];

/// A virtual machine that is yet to run.
#[derive(Debug)]
pub struct Machine {
    kernel: Kernel,
    /// What its root directory is made of.
    root: TempDir,
    modules: Vec<String>,
    disks: Vec<String>,
    options: String,
    memory: u32,
    processors: u32,
    limit: Duration,
}

impl Machine {
    /// A machine with two processors, 1 GiB of memory, and nothing but busybox. It may run for two
    /// minutes.
    ///
    /// # Errors
    /// If busybox cannot be read.
    pub fn new(kernel: Kernel) -> Result<Self> {
        let busybox = kernel.busybox.clone();
        let mut machine = Self {
            kernel,
            root: tempfile::tempdir().context("cannot create a temporary directory")?,
            modules: Vec::new(),
            disks: Vec::new(),
            options: COMMAND_LINE.to_owned(),
            memory: 1024,
            processors: 2,
            limit: Duration::from_secs(120),
        };
        for dir in ["proc", "sys", "dev", "tmp", "run", "root", "usr/bin", "etc"] {
            machine = machine.dir(dir)?;
        }
        machine.copy_to(&busybox, Path::new("/bin/busybox"))?;
        machine.write("/init", INIT.as_bytes(), 0o755)?;
        Ok(machine)
    }

    /// Gives it another number of processors. With a single one, qemu has no processors to wait for
    /// each other, and takes less of the machine's time for the same work.
    pub fn processors(mut self, processors: u32) -> Self {
        self.processors = processors;
        self
    }

    /// How long it may run before it is killed.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Adds a word to the kernel's command line, such as `ipv6.disable=1`.
    pub fn option(mut self, option: &str) -> Self {
        self.options.push(' ');
        self.options.push_str(option);
        self
    }

    /// Loads modules before the script, in this order.
    pub fn modules(mut self, names: &[&str]) -> Self {
        self.modules
            .extend(names.iter().map(|&name| name.to_owned()));
        self
    }

    /// Creates a directory.
    ///
    /// # Errors
    /// If something else is in its place.
    pub fn dir(self, path: impl AsRef<Path>) -> Result<Self> {
        let place = self.place(path.as_ref())?;
        fs::create_dir_all(&place).with_context(|| format!("cannot create {}", place.display()))?;
        Ok(self)
    }

    /// Creates a file.
    ///
    /// # Errors
    /// If a directory is in its place.
    pub fn file(self, path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> Result<Self> {
        self.write(path, contents.as_ref(), 0o644)?;
        Ok(self)
    }

    fn write(&self, path: impl AsRef<Path>, contents: &[u8], mode: u32) -> Result<()> {
        let place = self.place(path.as_ref())?;
        fs::write(&place, contents)
            .and_then(|()| fs::set_permissions(&place, fs::Permissions::from_mode(mode)))
            .with_context(|| format!("cannot write {}", place.display()))
    }

    /// Where a path of the machine is, until it boots; the directories above exist.
    fn place(&self, path: &Path) -> Result<PathBuf> {
        let root = self.root.path();
        let place = root.join(path.strip_prefix("/").unwrap_or(path));
        let above = place.parent().unwrap_or(root);
        fs::create_dir_all(above).with_context(|| format!("cannot create {}", above.display()))?;
        Ok(place)
    }

    /// Attaches a disk, the first as `/dev/vda`, given as `-drive` has it but for the interface,
    /// such as `format=raw,file=/tmp/image`. What is on it is only there once the modules
    /// [`DISK_MODULES`] are loaded.
    pub fn disk(mut self, drive: impl Into<String>) -> Self {
        self.disks.push(drive.into());
        self
    }

    /// Copies a file to where it is here, with the libraries that it needs.
    ///
    /// # Errors
    /// If it, or one of these, cannot be read.
    pub fn copy(self, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        self.copy_as(&path, &path)
    }

    /// Copies a program that is in `PATH` here, or in one of root's directories, to where it is
    /// here.
    ///
    /// # Errors
    /// If it is not installed; as [`Machine::copy`].
    pub fn program(self, name: &str) -> Result<Self> {
        let file = packages::find(name).with_context(|| format!("{name} is not installed"))?;
        self.copy(file)
    }

    /// Copies a file to another place, with the libraries that it needs to theirs.
    ///
    /// # Errors
    /// As [`Machine::copy`].
    pub fn copy_as(self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<Self> {
        let from = from.as_ref();
        self.copy_to(from, to.as_ref())?;
        for library in libraries::of(from)? {
            self.copy_to(&library, &library)?;
        }
        Ok(self)
    }

    /// Copies what is in a directory, but not in further ones; symbolic links stay links.
    ///
    /// # Errors
    /// As [`Machine::copy`].
    pub fn copy_dir(mut self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<Self> {
        let (from, to) = (from.as_ref(), to.as_ref());
        let entries = fs::read_dir(from);
        for entry in entries.with_context(|| format!("cannot read {}", from.display()))? {
            let entry = entry?;
            let to = to.join(entry.file_name());
            if entry.file_type()?.is_symlink() {
                let place = self.place(&to)?;
                symlink(fs::read_link(entry.path())?, &place)
                    .with_context(|| format!("cannot create {}", place.display()))?;
            } else {
                self = self.copy_as(entry.path(), to)?;
            }
        }
        Ok(self)
    }

    fn copy_to(&self, from: &Path, to: &Path) -> Result<()> {
        let place = self.place(to)?;
        if place.symlink_metadata().is_err() {
            fs::copy(from, place).with_context(|| format!("cannot copy {}", from.display()))?;
        }
        Ok(())
    }

    /// Boots, runs a script of `sh`, and switches off.
    ///
    /// # Errors
    /// As [`Machine::start`].
    pub fn run(self, script: &str) -> Result<Finished> {
        Ok(self.start(script)?.finish())
    }

    /// Switches it on. It boots, runs a script of `sh`, and switches itself off.
    ///
    /// # Errors
    /// If a module is missing, or no program can be started. A script that fails is no error, nor
    /// is a missing qemu: the console says so.
    pub fn start(self, script: &str) -> Result<Running> {
        self.write("/script", script.as_bytes(), 0o755)?;
        for name in &self.modules {
            let to = format!("/modules/{name}.ko");
            self.copy_to(&self.kernel.module(name)?, Path::new(&to))?;
        }
        self.write("/modules/order", self.modules.join("\n").as_bytes(), 0o644)?;
        let dir = tempfile::tempdir().context("cannot create a temporary directory")?;
        let initramfs = dir.path().join("initramfs");
        self.pack(&initramfs)?;

        // Its processors are one or two threads, beside the many of other tests. Without precedence
        // (which only root can give) it would take a multiple of the time on a busy machine, and
        // its tests would exceed their limits. It ends with this process, however that ends.
        let mut qemu = Command::new("nice");
        qemu.args(["-n", "-10", "setpriv"])
            .args(["--pdeathsig", "KILL", "qemu-system-x86_64"])
            .args(["-machine", "accel=tcg", "-cpu", PROCESSOR])
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            .args(["-serial", "stdio", "-monitor", "none", "-no-reboot"])
            .args(["-m", &self.memory.to_string()])
            .args(["-smp", &self.processors.to_string()])
            .args(["-append", &self.options])
            .arg("-kernel")
            .arg(&self.kernel.image)
            .arg("-initrd")
            .arg(&initramfs);
        for disk in &self.disks {
            qemu.arg("-drive").arg(format!("if=virtio,{disk}"));
        }
        Running::start(qemu, dir, self.limit)
    }

    /// Writes the root directory as an initramfs. `/dev/console` is in the kernel's own.
    fn pack(&self, initramfs: &Path) -> Result<()> {
        let pack = "find . | cpio --create --format=newc --owner=0:0 --quiet --file=\"$0\"";
        let mut sh = Command::new("sh");
        sh.args(["-c", pack])
            .arg(initramfs)
            .current_dir(self.root.path());
        command::output(&mut sh).map(drop)
    }
}
