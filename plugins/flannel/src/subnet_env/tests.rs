//! Tests of reading subnet.env.

use proptest::prelude::*;

use super::*;

fn lease(text: &str) -> Result<Lease, String> {
    parse(text.as_bytes())
        .map(|reading| reading.lease)
        .map_err(|problem| problem.to_string())
}

/// What is passed over in a file that has a lease.
#[track_caller]
fn passed_over(contents: &[u8]) -> Vec<String> {
    let reading = parse(contents).unwrap();
    assert_eq!(reading.lease, ipv4());
    reading
        .passed_over
        .iter()
        .map(ToString::to_string)
        .collect()
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
        no_room: None,
    }
}

#[test]
fn the_file_of_flanneld_is_parsed() {
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
            no_room: None,
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
fn shell_syntax_is_understood() {
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
fn one_error_names_all_missing_keys() {
    assert_eq!(
        lease(""),
        Err(
            "FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK, FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET, \
            FLANNEL_MTU, FLANNEL_IPMASQ missing: flanneld has not written all of the lease"
                .into()
        )
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
fn an_error_does_not_name_every_line_of_a_file_that_is_no_lease() {
    let error = lease(&"x\n".repeat(90)).unwrap_err();
    assert!(
        error.ends_with("; 87 more lines are passed over"),
        "{error}"
    );
    assert_eq!(error.matches("line ").count(), 3, "{error}");
}

#[test]
fn errors_name_key_and_value() {
    for (from, to, message) in [
        (
            "FLANNEL_MTU=1450",
            "FLANNEL_MTU",
            "line 3: \"FLANNEL_MTU\" is no assignment of the form KEY=value",
        ),
        (
            "FLANNEL_MTU=1450",
            "2MTU=1",
            "FLANNEL_MTU missing: flanneld has not written all of the lease; line 3: \"2MTU=1\" \
                is passed over: it is no assignment of the form KEY=value",
        ),
        (
            "FLANNEL_MTU=1450",
            "export FLANNEL_MTU",
            "line 3: \"FLANNEL_MTU\" is no assignment of the form KEY=value",
        ),
        (
            "FLANNEL_MTU=1450",
            "FLANNEL_MTU=1450 1500",
            "line 3: \"1500\" is no assignment of the form KEY=value",
        ),
        (
            "FLANNEL_MTU=1450",
            "A=1 FLANNEL_MTU=1450\\",
            "line 3: a quote is not closed, or a backslash ends the line",
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
            "10.244.0.0/16",
            "10.244.0.0/16,",
            "FLANNEL_NETWORK: \"\" is no network in CIDR notation, such as 10.0.0.0/24 or \
                fd00::/64",
        ),
        (
            "10.244.1.1/24",
            "10.244.1.1",
            "FLANNEL_SUBNET: \"10.244.1.1\" is no network in CIDR notation, such as 10.0.0.0/24 \
                or fd00::/64",
        ),
        (
            "FLANNEL_SUBNET=10.244.1.1/24",
            "FLANNEL_IPV6_SUBNET=10.244.1.1/24",
            "FLANNEL_IPV6_SUBNET: 10.244.1.0/24 is not IPv6",
        ),
        (
            "FLANNEL_NETWORK=10.244.0.0/16",
            "FLANNEL_IPV6_NETWORK=fd00::/64,10.244.0.0/16",
            "FLANNEL_IPV6_NETWORK: 10.244.0.0/16 is not IPv6",
        ),
    ] {
        assert_eq!(lease(&IPV4.replace(from, to)), Err(message.into()), "{to}");
    }
    assert_eq!(
        parse(b"A=\xff\nFLANNEL_MTU=14\xff\n")
            .unwrap_err()
            .to_string(),
        "is no text: byte 18 is not UTF-8"
    );
}

#[test]
fn unknown_lines_are_ignored() {
    let nowhere: [&str; 0] = [];
    for (line, expected) in [
        (
            "nonsense",
            &["line 5: \"nonsense\" is passed over: it is no assignment of the form KEY=value"][..],
        ),
        (
            "=1",
            &["line 5: \"=1\" is passed over: it is no assignment of the form KEY=value"],
        ),
        (
            "A=1 B",
            &["line 5: \"B\" is passed over: it is no assignment of the form KEY=value"],
        ),
        (
            "A='1",
            &["line 5 is passed over: a quote is not closed, or a backslash ends the line"],
        ),
        (
            "A=\"1",
            &["line 5 is passed over: a quote is not closed, or a backslash ends the line"],
        ),
        (
            "A=C:\\",
            &["line 5 is passed over: a quote is not closed, or a backslash ends the line"],
        ),
        (
            "export FLANNEL_MTU",
            &["line 5: \"FLANNEL_MTU\" is passed over: it is no assignment of the form KEY=value"],
        ),
        ("FLANNEL_OTHER=x", &nowhere),
    ] {
        for end in ["", "\n", "\r\n"] {
            assert_eq!(
                passed_over(format!("{IPV4}{line}{end}").as_bytes()),
                expected,
                "{line}"
            );
        }
        // It hides nothing that follows.
        let first = parse(format!("{line}\n{IPV4}").as_bytes()).unwrap();
        assert_eq!(
            (first.lease, first.passed_over.len()),
            (ipv4(), expected.len())
        );
    }
    let nuls = "3 NUL bytes at the end are passed over";
    assert_eq!(passed_over(format!("{IPV4}\0\0\0").as_bytes()), [nuls]);
    assert_eq!(
        passed_over(format!("{}\0\0\0", IPV4.trim_end()).as_bytes()),
        [nuls]
    );
    let latin1 = [b"# gr\xfcn\nA=\xff\n\xfe\n", IPV4.as_bytes()].concat();
    let word = "line 3: \"\u{fffd}\" is passed over: it is no assignment of the form KEY=value";
    assert_eq!(passed_over(&latin1), [word]);
}

#[test]
fn yes_true_and_1_mean_true() {
    for (value, expected, is_odd) in [
        ("true", true, false),
        ("TRUE", true, false),
        ("True", true, false),
        ("1", true, false),
        ("yes", true, false),
        ("Yes", true, false),
        ("'true'", true, false),
        ("false", false, false),
        ("FALSE", false, false),
        ("0", false, false),
        ("no", false, false),
        ("NO", false, false),
        ("maybe", false, true),
        ("on", false, true),
        ("t", false, true),
        ("11", false, true),
        ("", false, true),
    ] {
        let text = IPV4.replace("IPMASQ=true", &format!("IPMASQ={value}"));
        let reading = parse(text.as_bytes()).unwrap();
        assert_eq!(reading.lease.ip_masq, expected, "{value}");
        assert!(!reading.is_cut_off);
        let passed_over: Vec<_> = reading
            .passed_over
            .iter()
            .map(ToString::to_string)
            .collect();
        let odd =
            format!("FLANNEL_IPMASQ: {value:?} is taken for false: it is neither true, yes nor 1");
        assert_eq!(passed_over, if is_odd { vec![odd] } else { vec![] });

        // Somebody may be about to write the rest of a yes.
        let cut_off = parse(text.trim_end().as_bytes()).unwrap();
        assert_eq!(cut_off.lease, reading.lease);
        assert_eq!(cut_off.is_cut_off, ["t", ""].contains(&value), "{value}");
    }
}

#[test]
fn a_network_counts_in_its_own_family_under_either_key() {
    let text = "FLANNEL_NETWORK=fd00:244::/56,10.244.0.0/16\nFLANNEL_SUBNET=fd00:244:0:1::1/64\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";
    let expected = Lease {
        networks: cidrs(&["fd00:244::/56", "10.244.0.0/16"]),
        subnets: cidrs(&["fd00:244:0:1::/64"]),
        ..ipv4()
    };
    assert_eq!(lease(text), Ok(expected.clone()));
    // Said twice it is one.
    let twice = format!(
        "{text}FLANNEL_IPV6_NETWORK=fd00:244::/56\nFLANNEL_IPV6_SUBNET=fd00:244:0:1::1/64\n"
    );
    assert_eq!(lease(&twice), Ok(expected));
}

#[test]
fn an_error_names_a_subnet_without_room() {
    for (from, to, expected) in [
        ("1.1/24", "1.1/30", None),
        (
            "1.1/24",
            "1.1/31",
            Some(
                "FLANNEL_SUBNET: 10.244.1.0/31 has no room for a gateway and a container: have \
                    flanneld get subnets of a prefix length of at most 30",
            ),
        ),
        (
            "1.1/24",
            "1.1/32",
            Some(
                "FLANNEL_SUBNET: 10.244.1.1/32 has no room for a gateway and a container: have \
                    flanneld get subnets of a prefix length of at most 30",
            ),
        ),
        ("SUBNET=10.244.1.1/24", "SUBNET=fd00::1/126", None),
        (
            "SUBNET=10.244.1.1/24",
            "IPV6_SUBNET=fd00::1/127",
            Some(
                "FLANNEL_IPV6_SUBNET: fd00::/127 has no room for a gateway and a container: have \
                    flanneld get subnets of a prefix length of at most 126",
            ),
        ),
    ] {
        let lease = lease(&IPV4.replace(from, to)).unwrap();
        let notes = lease
            .require_room(Path::new("/f"))
            .map_err(|error| error.to_string());
        assert_eq!(
            notes,
            expected.map_or(Ok(()), |text| Err(format!("/f: {text}")))
        );
    }
}

#[test]
fn errors_name_the_file() {
    assert_eq!(
        read(Path::new("/nowhere/subnet.env"), &Log::default())
            .unwrap_err()
            .to_string(),
        "/nowhere/subnet.env: there is no such file: flanneld has no lease for this node yet"
    );
    assert_eq!(
        read(Path::new("/"), &Log::default())
            .unwrap_err()
            .to_string(),
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
        if let Ok(Reading { lease, .. }) = parse(text.as_bytes()) {
            prop_assert!(!lease.networks.is_empty() && !lease.subnets.is_empty());
        }
    }
}
