use proptest::prelude::*;

use super::*;

fn lease(text: &str) -> Result<Lease, String> {
    parse(text.as_bytes()).map_err(|problem| problem.to_string())
}

fn cidrs(texts: &[&str]) -> Vec<IpNetwork> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

const IPV4: &str = "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";

fn ipv4() -> Lease {
    Lease {
        networks: cidrs(&["10.244.0.0/16"]),
        subnets: cidrs(&["10.244.1.0/24"]),
        mtu: 1450,
        ip_masq: true,
    }
}

#[test]
fn what_flanneld_writes() {
    assert_eq!(lease(IPV4), Ok(ipv4()));
    let dual_stack = format!(
        "{IPV4}FLANNEL_IPV6_NETWORK=fd00:244::/56\nFLANNEL_IPV6_SUBNET=fd00:244:0:1::1/64\n"
    );
    assert_eq!(
        lease(&dual_stack),
        Ok(Lease {
            networks: cidrs(&["10.244.0.0/16", "fd00:244::/56"]),
            subnets: cidrs(&["10.244.1.0/24", "fd00:244:0:1::/64"]),
            ..ipv4()
        })
    );
    let ipv6 = "FLANNEL_IPV6_NETWORK=fd00:244::/56\nFLANNEL_IPV6_SUBNET=fd00:244:0:1::1/64\nFLANNEL_MTU=1430\nFLANNEL_IPMASQ=false\n";
    assert_eq!(
        lease(ipv6),
        Ok(Lease {
            networks: cidrs(&["fd00:244::/56"]),
            subnets: cidrs(&["fd00:244:0:1::/64"]),
            mtu: 1430,
            ip_masq: false,
        })
    );
}

#[test]
fn lists_of_networks_lose_their_duplicates_and_host_bits() {
    let text = IPV4.replace(
        "10.244.0.0/16",
        "10.244.0.0/16,10.245.0.0/16,10.244.9.9/16, 10.244.0.0/17",
    );
    // To a shell a blank ends the value, so a list with one needs quotes.
    let text = text.replace("NETWORK=", "NETWORK='").replace("/17", "/17'");
    assert_eq!(
        lease(&text).unwrap().networks,
        cidrs(&["10.244.0.0/16", "10.245.0.0/16", "10.244.0.0/17"])
    );
}

#[test]
fn it_is_read_as_a_shell_reads_it() {
    let text = "# written by hand\r\n\r\n  export FLANNEL_NETWORK=\"10.244.0.0/16\"\r\nFLANNEL_SUBNET='10.9.9.9/24' # not the last\r\n\
                export FLANNEL_SUBNET=10.244.1.1/24 FLANNEL_MTU=14\"50\"\r\nFLANNEL_IPMASQ=tr\\ue\r\nOTHER=a=b\r\nFLANNEL_IPV6_NETWORK=\r\n";
    assert_eq!(lease(text), Ok(ipv4()));
    // Without a newline at the end, and with one assignment twice.
    assert_eq!(
        lease(&format!("FLANNEL_MTU=9000\n{}", IPV4.trim_end())),
        Ok(ipv4())
    );
}

#[test]
fn all_that_is_missing_is_named() {
    assert_eq!(
        lease(""),
        Err("FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK, FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET, FLANNEL_MTU, FLANNEL_IPMASQ missing: flanneld has not written all of the lease".into())
    );
    for line in IPV4.lines() {
        let text = IPV4.replace(line, "");
        let missing = match line.split_once('=').unwrap().0 {
            "FLANNEL_NETWORK" => "FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK",
            "FLANNEL_SUBNET" => "FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET",
            key => key,
        };
        assert_eq!(
            lease(&text),
            Err(format!(
                "{missing} missing: flanneld has not written all of the lease"
            ))
        );
    }
}

#[test]
fn what_is_wrong_is_named() {
    for (from, to, message) in [
        (
            "FLANNEL_MTU=1450",
            "FLANNEL_MTU",
            "line 3: \"FLANNEL_MTU\" is no assignment of the form KEY=value",
        ),
        (
            "FLANNEL_MTU=1450",
            "2MTU=1",
            "line 3: \"2MTU=1\" is no assignment of the form KEY=value",
        ),
        (
            "FLANNEL_MTU=1450",
            "FLANNEL_MTU = 1450",
            "line 3: \"FLANNEL_MTU\" is no assignment of the form KEY=value",
        ),
        (
            "1450",
            "\"1450",
            "line 3: a quote is not closed, or a backslash ends the line",
        ),
        ("1450", "14x", "FLANNEL_MTU: \"14x\" is no number of bytes"),
        ("1450", "-1", "FLANNEL_MTU: \"-1\" is no number of bytes"),
        (
            "1450",
            "99999999999",
            "FLANNEL_MTU: \"99999999999\" is no number of bytes",
        ),
        (
            "=true",
            "=maybe",
            "FLANNEL_IPMASQ: \"maybe\" is neither true nor false",
        ),
        (
            "10.244.0.0/16",
            "10.244.0.0/16,",
            "FLANNEL_NETWORK: \"\" is no network in CIDR notation, such as 10.0.0.0/24 or fd00::/64",
        ),
        (
            "10.244.1.1/24",
            "10.244.1.1",
            "FLANNEL_SUBNET: \"10.244.1.1\" is no network in CIDR notation, such as 10.0.0.0/24 or fd00::/64",
        ),
        (
            "10.244.1.1/24",
            "fd00::1/64",
            "FLANNEL_SUBNET: fd00::/64 is not IPv4",
        ),
    ] {
        assert_eq!(lease(&IPV4.replace(from, to)), Err(message.into()), "{to}");
    }
    assert_eq!(
        parse(b"A=\xff").unwrap_err().to_string(),
        "is no text: byte 2 is not UTF-8"
    );
}

#[test]
fn the_file_is_named() {
    assert_eq!(
        read(Path::new("/nowhere/subnet.env"))
            .unwrap_err()
            .to_string(),
        "/nowhere/subnet.env: there is no such file: flanneld has no lease for this node yet"
    );
    assert_eq!(
        read(Path::new("/")).unwrap_err().to_string(),
        "/: cannot be read: Is a directory (os error 21)"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn anything_like_a_lease_is_read_or_refused(
        text in "(FLANNEL_(NETWORK|SUBNET|MTU|IPMASQ)|=|10\\.1\\.0\\.0/1[0-9]|true|1450|'|\"|\\\\|#|\n|\r| |,|export ){0,30}"
    ) {
        if let Ok(lease) = parse(text.as_bytes()) {
            prop_assert!(!lease.networks.is_empty() && !lease.subnets.is_empty());
        }
    }
}
