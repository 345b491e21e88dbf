//! resolv.conf.

use std::path::Path;

use twill_host_local::HostLocal;

use super::room::{host_local_conf, write};
use crate::answer::{Call, ensure};

const FILE: &str = "/etc/resolv.conf";

pub(super) fn feed(input: &[u8]) -> Result<String, String> {
    write(Path::new(FILE), input).map_err(|error| error.to_string())?;
    let conf = host_local_conf(&format!(r#""resolvConf":"{FILE}","#), "");
    let call = Call {
        plugin: &HostLocal,
        command: "ADD",
        container: "c",
        args: b"",
        stdin: conf.as_bytes(),
    };
    let answer = call.answer()?;
    let result = answer.result.as_ref();
    let dns = &result.ok_or("a file that can be read is refused")?.dns;
    let text = String::from_utf8_lossy(input);
    let words = dns
        .nameservers
        .iter()
        .chain(&dns.search)
        .chain(&dns.options)
        .chain(&dns.domain);
    for word in words {
        ensure(text.contains(word.as_str()), "it makes words up")?;
    }
    let counts = [dns.nameservers.len(), dns.search.len(), dns.options.len()];
    Ok(format!(
        "{} {:?} {}",
        answer.kind,
        counts.map(|count| count.min(3)),
        dns.domain.is_some()
    ))
}
