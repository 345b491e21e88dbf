//! What each contender attaches with.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use testkit::requirements::REFERENCE_DIR;

use super::contender::Contender;
use super::entry::Plugins;
use super::network;
use super::programs::{self, Builder, PLUGINS};
use crate::Setting;
use xtask::platform::Platform;
use xtask::workspace::Workspace;

/// Programs, those that are there and those that are built when they are asked for.
pub(super) struct Means<'a> {
    setting: &'a Setting,
    builder: Builder<'a>,
    /// Where the plugins are that are programs of their own.
    apart: PathBuf,
    subnet_file: PathBuf,
}

impl<'a> Means<'a> {
    pub(super) fn new(workspace: &'a Workspace, setting: &'a Setting) -> Result<Self> {
        let apart = setting.folder.join("chain");
        fs::create_dir_all(&apart).with_context(|| format!("cannot make {}", apart.display()))?;
        let subnet_file = setting.state.path().join("subnet.env");
        Ok(Self {
            setting,
            builder: Builder {
                workspace,
                platform: Platform::of_plugins()?,
            },
            apart,
            subnet_file: crate::write(&subnet_file, &network::subnet_env())?,
        })
    }

    /// The program that is called, and where it finds things if it is a plugin.
    pub(super) fn of(&self, contender: Contender) -> Result<(PathBuf, Option<Plugins>)> {
        match contender {
            Contender::Empty => Ok((self.setting.bare.clone(), None)),
            Contender::Floor => Ok((self.builder.floor(&self.setting.folder)?, None)),
            Contender::OneProcess => {
                let folder = &self.setting.plugins;
                programs::check_one_file(folder)?;
                Ok(self.chain(folder, folder, "one"))
            }
            Contender::Processes => {
                for name in PLUGINS {
                    self.builder.plugin(name, &self.apart)?;
                }
                Ok(self.chain(&self.apart, &self.apart, "several"))
            }
            Contender::Reference => {
                let [flannel, ..] = PLUGINS;
                self.builder.plugin(flannel, &self.apart)?;
                Ok(self.chain(&self.apart, Path::new(REFERENCE_DIR), "reference"))
            }
        }
    }

    fn chain(&self, flannel: &Path, delegates: &Path, state: &str) -> (PathBuf, Option<Plugins>) {
        let [name, ..] = PLUGINS;
        let plugins = Plugins {
            delegates: delegates.to_owned(),
            subnet_file: self.subnet_file.clone(),
            data_dir: self.setting.state.folder(&format!("{state}-flannel")),
            addresses: self.setting.state.folder(&format!("{state}-networks")),
        };
        (flannel.join(name), Some(plugins))
    }
}
