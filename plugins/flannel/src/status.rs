//! STATUS: checks `flannel`'s own state, then passes STATUS on to the delegate.

use cni_plugin::{Call, Command};
use cni_types::Error;
use state::Dir;

use crate::config::Config;
use crate::error::NotReady;
use crate::{delegate_conf, subnet_env};

/// Reports whether an ADD could succeed now: whether there is a lease, `dataDir` can be written to,
/// and the delegate is ready.
pub(crate) fn status(call: &Call<'_>) -> Result<(), Error> {
    let config = Config::of(call)?;
    let lease = subnet_env::read(&config.subnet_file, call.log).map_err(NotReady::Lease)?;
    config.require_room(&lease).map_err(NotReady::Lease)?;
    Dir::probe(&config.data_dir).map_err(NotReady::DataDir)?;
    let conf = delegate_conf::render(&config, &call.conf.name, &lease)?;
    let json = delegate_conf::to_json(call, &conf)?;
    let delegate = call
        .delegate(config.delegate_type)
        .map_err(NotReady::Delegate)?;
    let version = call.conf.version;
    if !delegate.run_if_known(Command::Status, &json)?
        && delegate.supports(version).is_ok_and(|supports| !supports)
    {
        return Err(NotReady::Version {
            program: delegate.program().to_owned(),
            version,
        }
        .into());
    }
    Ok(())
}
