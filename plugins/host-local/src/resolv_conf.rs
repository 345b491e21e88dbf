//! The resolver's settings from a file in the format of resolv.conf(5).

use std::path::Path;

use cni_types::Dns;
use state::read_beginning;

use crate::error::ResolvConfError;

/// The maximum number of bytes that are read of the file.
const MAX_FILE: usize = 1 << 20;

pub(crate) fn read(path: &Path) -> Result<Dns, ResolvConfError> {
    let contents = read_beginning(path, MAX_FILE).map_err(|source| ResolvConfError {
        path: path.to_owned(),
        source,
    })?;
    Ok(parse(&String::from_utf8_lossy(&contents)))
}

/// Parses the keywords that the resolver knows and a result has. Other lines are ignored, as the
/// resolver ignores unknown ones.
fn parse(text: &str) -> Dns {
    let mut dns = Dns::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(keyword) = words.next() else {
            continue;
        };
        let mut values = words.map(str::to_owned);
        match keyword {
            "nameserver" => dns.nameservers.extend(values.next()),
            "domain" => dns.domain = values.next().or(dns.domain),
            "search" => dns.search.extend(values),
            "options" => dns.options.extend(values),
            // Comments, which start with `#` or `;`, are among these.
            _ => {}
        }
    }
    dns
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_four_keywords() {
        let dns = parse(
            "# comment\n; another\n\n  nameserver 192.0.2.1 # not ours\r\nnameserver\t2001:db8::1\nnameserver\n\
             domain example.org\ndomain\nsearch a.example b.example\nsearch c.example\noptions \
             ndots:5 rotate\n\
             sortlist 10.0.0.0\n#nameserver 192.0.2.9\n",
        );
        assert_eq!(
            dns,
            Dns {
                nameservers: vec!["192.0.2.1".into(), "2001:db8::1".into()],
                domain: Some("example.org".into()),
                search: vec!["a.example".into(), "b.example".into(), "c.example".into()],
                options: vec!["ndots:5".into(), "rotate".into()],
            }
        );
        assert!(parse("").is_empty());
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        assert_eq!(
            read(Path::new("/nowhere/resolv.conf"))
                .unwrap_err()
                .to_string(),
            "ipam.resolvConf: cannot read /nowhere/resolv.conf: No such file or directory (os \
                error 2)"
        );
    }

    #[test]
    fn an_endless_file_is_read_up_to_the_limit() {
        assert!(read(Path::new("/dev/zero")).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC*|(nameserver|search|#|\n| |a){0,20}") {
            let dns = parse(&text);
            prop_assert!(dns.nameservers.iter().all(|word| !word.is_empty()));
        }
    }
}
