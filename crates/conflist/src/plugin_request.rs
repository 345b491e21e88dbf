//! The input of one plugin of a list, as values.

use std::ffi::OsString;

use cni_plugin::Command;
use cni_types::json::{DecodeError, Object};
use cni_types::{PluginType, ValidAttachments};
use serde_json::value::RawValue;

use crate::{NetworkList, PluginConf, RuntimeConf};

/// A call of one plugin: its environment variables and its standard input.
#[derive(Clone, Debug)]
pub struct PluginRequest<'a> {
    /// The command.
    pub command: Command,
    /// The plugin.
    pub plugin_type: &'a PluginType,
    /// The variables of the specification except `CNI_PATH`, which the function that runs the
    /// plugin adds.
    pub variables: [(&'static str, OsString); 5],
    /// The configuration: JSON on one line, unless values of the list were written on several.
    pub conf: String,
}

impl<'a> PluginRequest<'a> {
    /// A call for one attachment: ADD, CHECK or DEL.
    ///
    /// # Errors
    /// [`DecodeError`] for a `prev_result` that is not JSON.
    pub(crate) fn of_attachment(
        command: Command,
        list: &NetworkList,
        plugin: &'a PluginConf,
        runtime: &RuntimeConf,
        prev_result: Option<&str>,
    ) -> Result<Self, DecodeError> {
        let mut conf = conf_in(list, plugin)?;
        if let Some(result) = prev_result {
            let result = RawValue::from_string(result.to_owned())
                .map_err(|error| DecodeError::at("prevResult", error))?;
            conf.set("prevResult", &result)?;
        }
        let runtime_config = runtime_config(plugin, &runtime.capability_args)?;
        if runtime_config.keys().next().is_some() {
            conf.set("runtimeConfig", &runtime_config)?;
        }
        let attachment = &runtime.attachment;
        let netns = runtime.netns.as_ref().map(OsString::from);
        Ok(Self {
            command,
            plugin_type: &plugin.plugin_type,
            variables: [
                ("CNI_COMMAND", command.as_str().into()),
                ("CNI_CONTAINERID", attachment.container_id.as_str().into()),
                ("CNI_NETNS", netns.unwrap_or_default()),
                ("CNI_IFNAME", attachment.ifname.as_str().into()),
                ("CNI_ARGS", runtime.args_text().into()),
            ],
            conf: conf.to_json()?,
        })
    }

    /// A call for no attachment: STATUS, or GC with the valid attachments.
    ///
    /// # Errors
    /// [`DecodeError`] if the configuration cannot be written.
    pub(crate) fn of_network(
        command: Command,
        list: &NetworkList,
        plugin: &'a PluginConf,
        valid: Option<&ValidAttachments>,
    ) -> Result<Self, DecodeError> {
        let mut conf = conf_in(list, plugin)?;
        if let Some(valid) = valid {
            valid.put_into(&mut conf)?;
        }
        // Empty, because the caller's own environment may have them.
        let empty = |name| (name, OsString::new());
        Ok(Self {
            command,
            plugin_type: &plugin.plugin_type,
            variables: [
                ("CNI_COMMAND", command.as_str().into()),
                empty("CNI_CONTAINERID"),
                empty("CNI_NETNS"),
                empty("CNI_IFNAME"),
                empty("CNI_ARGS"),
            ],
            conf: conf.to_json()?,
        })
    }
}

/// The plugin's configuration with the name and the version of the list.
fn conf_in(list: &NetworkList, plugin: &PluginConf) -> Result<Object, DecodeError> {
    let mut conf = plugin.conf.clone();
    conf.set("cniVersion", &list.version)?;
    conf.set("name", list.name.as_str())?;
    Ok(conf)
}

/// The arguments of the capabilities that the plugin has.
fn runtime_config(plugin: &PluginConf, arguments: &Object) -> Result<Object, DecodeError> {
    let mut config = Object::default();
    for name in &plugin.capabilities {
        // The keys of both are compared as they are written.
        if arguments.keys().any(|key| key == name)
            && let Some(value) = arguments.decode::<Box<RawValue>>(name)?
        {
            config.set(name, &value)?;
        }
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> NetworkList {
        NetworkList::parse(
            r#"{"cniVersion": "1.1.0", "name": "n", "plugins": [
                {"type": "a", "name": "x", "CNIVersion": "0.1.0", "big": 1e400},
                {"type": "b", "capabilities": {"ips": true, "portMappings": true, "mac": false}}
            ]}"#,
        )
        .unwrap()
    }

    fn runtime(capability_args: &str) -> RuntimeConf {
        RuntimeConf {
            attachment: cni_types::Attachment {
                container_id: "c1".parse().unwrap(),
                ifname: "eth0".parse().unwrap(),
            },
            netns: Some("/run/netns/c1".into()),
            args: vec![("A".into(), "1".into()), ("B".into(), "2".into())],
            capability_args: RuntimeConf::parse_capabilities(capability_args).unwrap(),
        }
    }

    fn conf(plugin: usize, capability_args: &str, prev_result: Option<&str>) -> String {
        let (list, runtime) = (list(), runtime(capability_args));
        let plugin = &list.plugins[plugin];
        PluginRequest::of_attachment(Command::Add, &list, plugin, &runtime, prev_result)
            .unwrap()
            .conf
    }

    #[test]
    fn a_plugin_gets_the_lists_name_and_version_and_its_own_keys() {
        assert_eq!(
            conf(0, r#"{"ips": ["10.0.0.5"]}"#, None),
            r#"{"type":"a","big":1e400,"cniVersion":"1.1.0","name":"n"}"#
        );
    }

    #[test]
    fn a_plugin_gets_the_arguments_of_its_own_capabilities() {
        let all = r#"{"mac": "m", "ips": ["10.0.0.5"], "bandwidth": {}, "PortMappings": []}"#;
        let expected = concat!(
            r#"{"type":"b","capabilities":{"ips": true, "portMappings": true, "mac": false},"#,
            r#""cniVersion":"1.1.0","name":"n","prevResult":{"ips":[]},"#,
            r#""runtimeConfig":{"ips":["10.0.0.5"]}}"#
        );
        assert_eq!(conf(1, all, Some(r#"{"ips":[]}"#)), expected);
    }

    #[test]
    fn the_variables_name_the_attachment() {
        let (list, runtime) = (list(), runtime(""));
        let request =
            PluginRequest::of_attachment(Command::Del, &list, &list.plugins[0], &runtime, None)
                .unwrap();
        let expected = [
            ("CNI_COMMAND", "DEL"),
            ("CNI_CONTAINERID", "c1"),
            ("CNI_NETNS", "/run/netns/c1"),
            ("CNI_IFNAME", "eth0"),
            ("CNI_ARGS", "A=1;B=2"),
        ];
        assert_eq!(
            request.variables,
            expected.map(|(name, value)| (name, value.into()))
        );
        assert_eq!(request.plugin_type.as_str(), "a");
    }

    #[test]
    fn gc_has_the_valid_attachments_and_no_variables() {
        let list = list();
        let valid = ValidAttachments::from_iter([cni_types::ValidAttachment {
            container_id: "c1".into(),
            ifname: "eth0".into(),
        }]);
        let plugin = &list.plugins[0];
        let request = PluginRequest::of_network(Command::Gc, &list, plugin, Some(&valid)).unwrap();
        let c1 = r#"[{"containerID":"c1","ifname":"eth0"}]"#;
        assert_eq!(
            request.conf,
            format!(
                r#"{{"type":"a","big":1e400,"cniVersion":"1.1.0","name":"n","cni.dev/valid-attachments":{c1},"cni.dev/attachments":{c1}}}"#
            )
        );
        let values = request.variables.map(|(_, value)| value);
        assert_eq!(values, ["GC", "", "", "", ""].map(OsString::from));
    }
}
