//! STATUS: whether the kernel can limit traffic.

use cni_plugin::Call;
use cni_types::Error;
use container_link::not_ready;
use netlink::{NetlinkError, Rtnetlink};
use nix::errno::Errno;

use crate::config::{Config, Peers};
use crate::error::BandwidthError;

pub(crate) fn status(call: &Call<'_>) -> Result<(), Error> {
    let config = Config::of(call).map_err(not_ready)?;
    probe(&config).map_err(not_ready)
}

fn probe(config: &Config) -> Result<(), BandwidthError> {
    let mut kernel = Rtnetlink::open()?;
    let lacks = |asked_by, lacks| BandwidthError::Unsupported { asked_by, lacks };
    let check = |probed: Result<(), NetlinkError>, lacks| match probed {
        Err(error) if error.errno() == Some(Errno::EPERM) => Err(error.into()),
        Err(_) => Err(lacks),
        Ok(()) => Ok(()),
    };
    check(
        kernel.probe_qdisc("tbf"),
        lacks("bandwidth", "qdisc tbf (CONFIG_NET_SCH_TBF)"),
    )?;
    if config.peers != Peers::All {
        check(
            kernel.probe_qdisc("htb"),
            lacks("shapedSubnets", "qdisc htb (CONFIG_NET_SCH_HTB)"),
        )?;
    }
    // The message for actions needs more than the privilege in a user namespace; an ADD does not
    // send it.
    let may_use = |probed: Result<(), NetlinkError>| match probed {
        Err(error) if error.errno() == Some(Errno::EPERM) => Ok(()),
        probed => probed,
    };
    if kernel.probe_ifb().is_ok() && may_use(kernel.probe_action("mirred")).is_ok() {
        return Ok(());
    }
    check(
        may_use(kernel.probe_action("police")),
        lacks(
            "bandwidth",
            "ifb with action mirred (CONFIG_IFB, CONFIG_NET_ACT_MIRRED) and action police \
             (CONFIG_NET_ACT_POLICE)",
        ),
    )
}
