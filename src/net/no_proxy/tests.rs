use super::*;
use proptest::prelude::*;

fn names(no_proxy: &str, url: &str) -> bool {
    NoProxy::read(no_proxy).names(&Url::parse(url).unwrap())
}

/// The list that Go's own test of `useProxy` has.
const GO: &str = "foobar.com, .barbaz.net, *.wildcard.io, 192.168.1.1, 192.168.1.2:81, 192.168.1.3:80, 10.0.0.0/30, \
                  2001:db8::52:0:1, [2001:db8::52:0:2]:443, [2001:db8::52:0:3]:80, 2002:db8:a::45/64";

/// The hosts that are asked directly.
const DIRECT: [&str; 10] = [
    "192.168.1.1",
    "192.168.1.3",
    "10.0.0.2",
    "[2001:db8::52:0:1]",
    "[2001:db8::52:0:3]",
    "[2002:db8:a::123]",
    "www.barbaz.net",
    "foobar.com",
    "www.foobar.com",
    "nested.wildcard.io",
];

/// The hosts that are asked through the proxy.
const PROXIED: [&str; 14] = [
    "[::2]",
    "192.168.1.2",
    "192.168.1.4",
    "10.0.0.4",
    "[2001:db8::52:0:2]",
    "[fe80::424b:c8be:1643:a1b6]",
    "barbaz.net",
    "foofoobar.com",
    "baz.com",
    "localhost.net",
    "barbarbaz.net",
    "wildcard.io",
    "awildcard.io",
    "192.168.1.11",
];

#[test]
fn the_list_of_gos_own_test_means_the_same() {
    for (hosts, want) in [(&DIRECT[..], true), (&PROXIED[..], false)] {
        for host in hosts {
            assert_eq!(names(GO, &format!("http://{host}:80/")), want, "{host}");
            assert!(names("*", &format!("https://{host}/")), "{host}");
            assert!(names(&format!("{GO} ,* "), &format!("https://{host}/")), "{host}");
        }
    }
}

#[test]
fn each_form_of_an_entry_means_what_it_means_to_go() {
    for (no_proxy, url, want) in [
        ("", "https://r.example/", false),
        (" , ,", "https://r.example/", false),
        (":1", "https://r.example/", false),
        (":", "https://r.example/", false),
        (".", "https://r.example/", false),
        ("*.", "https://r.example/", false),
        ("*x", "https://x/", false),
        ("[]", "https://r.example/", false),
        ("/8", "http://10.0.0.1/", false),
        ("r.example", "https://r.example/v2/", true),
        ("R.Example", "https://r.EXAMPLE:5000/", true),
        ("\tr.example \n", "https://r.example/", true),
        ("r.example", "https://a.b.r.example/", true),
        ("r.example", "https://ar.example/", false),
        (".r.example", "https://r.example/", false),
        (".r.example", "https://a.r.example/", true),
        ("*.r.example", "https://a.b.r.example/", true),
        ("*.r.example", "https://r.example/", false),
        ("r.*", "https://r.example/", false),
        ("**.r.example", "https://a.r.example/", false),
        ("a,b;c", "https://b/", false),
        // The port is that of the address, or else the scheme's.
        ("r.example:443", "https://r.example/", true),
        ("r.example:443", "http://r.example/", false),
        ("r.example:80", "http://r.example/", true),
        ("r.example:5000", "https://r.example:5000/", true),
        ("r.example:5000", "https://r.example:5001/", false),
        ("r.example:5000", "https://a.r.example:5000/", true),
        (".r.example:5000", "https://a.r.example:5000/", true),
        ("*.r.example:5000", "https://a.r.example:5001/", false),
        ("r.example:", "https://r.example:5001/", true),
        ("r.example:https", "https://r.example/", false),
        ("*:5000", "https://r.example:5000/", false),
        // A dot at the end makes no difference.
        ("r.example.", "https://r.example/", true),
        ("r.example", "https://r.example./", true),
        (".r.example.:443", "https://a.r.example./", true),
        // Names in other scripts.
        (".示例.com", "http://www.示例.com", true),
        ("xn--fsq092h.com", "http://www.示例.com", true),
        ("示例.com", "http://www.xn--fsq092h.com", true),
        ("示例.com:81", "http://示例.com", false),
        // Addresses.
        ("10.1.2.3", "http://10.1.2.3:5000/", true),
        ("10.1.2.3", "http://0x0a.0x010203:5000/", true),
        ("10.1.2.3:5000", "http://10.1.2.3:5000/", true),
        ("10.1.2.3:5001", "http://10.1.2.3:5000/", false),
        ("1.2.3", "http://10.1.2.3/", false),
        (".2.3", "http://10.1.2.3/", false),
        ("010.1.2.3", "http://10.1.2.3/", false),
        ("10.1.2.3", "http://[::ffff:10.1.2.3]/", true),
        ("::ffff:10.1.2.3", "http://10.1.2.3/", true),
        ("2001:DB8::5", "http://[2001:db8:0::5]:5000/", true),
        ("[2001:db8::5]", "http://[2001:db8::5]:5000/", true),
        ("[2001:db8::5]:5000", "http://[2001:db8::5]:5000/", true),
        ("[2001:db8::5]:5001", "http://[2001:db8::5]:5000/", false),
        ("2001:db8::5", "http://[2001:db8::6]/", false),
        // Ranges of addresses, which have no port.
        ("10.0.0.0/8", "http://10.255.0.1:5000/", true),
        ("10.9.9.9/8", "http://10.255.0.1/", true),
        ("10.0.0.0/8", "http://11.0.0.1/", false),
        ("0.0.0.0/0", "http://11.0.0.1/", true),
        ("0.0.0.0/0", "http://[2001:db8::5]/", false),
        ("::/0", "http://[2001:db8::5]/", true),
        ("::/0", "http://11.0.0.1/", false),
        ("10.0.0.1/32", "http://10.0.0.1/", true),
        ("10.0.0.1/32", "http://10.0.0.2/", false),
        ("10.0.0.0/33", "http://10.0.0.0/", false),
        ("10.0.0.0/-1", "http://10.0.0.0/", false),
        ("10.0.0.0/+8", "http://10.0.0.0/", false),
        ("10.0.0.0/", "http://10.0.0.0/", false),
        ("10.0.0.0/8:5000", "http://10.0.0.0:5000/", false),
        ("2001:db8::/32", "http://[2001:db8:1::5]/", true),
        ("2001:db8::/129", "http://[2001:db8::]/", false),
        ("::ffff:10.0.0.0/104", "http://10.1.2.3/", true),
        ("::ffff:10.0.0.0/104", "http://11.1.2.3/", false),
        // A range isn't matched by a name that looks like one.
        ("10.0.0.0/8", "http://10.example/", false),
    ] {
        assert_eq!(names(no_proxy, url), want, "{no_proxy:?} {url}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read(value in ".{0,40}|[0-9a-f:./\\[\\]*,]{0,40}") {
        let _ = NoProxy::read(&value).names(&Url::parse("http://[2001:db8::1]:5000/").unwrap());
    }

    #[test]
    fn a_host_is_named_by_itself_its_parents_and_its_port_alone(
        labels in prop::collection::vec("[a-z][a-z0-9]{1,5}", 2..5),
        port in 1_u16..,
    ) {
        let (host, parent) = (labels.join("."), labels[1..].join("."));
        let url = format!("http://{host}:{port}/");
        for entry in [&host, &parent, &format!(".{parent}"), &format!("*.{parent}"), &format!("{host}:{port}"), &host.to_uppercase()] {
            prop_assert!(names(entry, &url), "{entry}");
            prop_assert!(names(&format!("x.invalid, {entry} ,10.0.0.0/8"), &url), "{entry}");
        }
        let other = port.wrapping_add(1);
        for entry in [&format!(".{host}"), &format!("x{host}"), &format!("{host}:{other}"), &format!("{host}.x"), &host[1..].to_owned()] {
            prop_assert!(!names(entry, &url), "{entry}");
        }
    }

    #[test]
    fn a_range_names_what_begins_with_its_bits(network: u32, ip: u32, bits in 0_u32..=32) {
        let (from, to) = (std::net::Ipv4Addr::from(network), std::net::Ipv4Addr::from(ip));
        let same = bits == 0 || network >> (32 - bits) == ip >> (32 - bits);
        prop_assert_eq!(names(&format!("{from}/{bits}"), &format!("http://{to}/")), same);
        let named = names(&format!("{from}/{bits}"), &format!("http://{from}/"));
        prop_assert!(named);
    }
}
