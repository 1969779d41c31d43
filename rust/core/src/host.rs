//! The Host header: `uri-host [ ":" port ]` (RFC 9110 section 7.2, RFC 3986 section 3.2.2).
//!
//! Refuses everything that could change the rest of a URL built from it: user information, slashes, whitespace.
//! Deviation: the port may have any number of digits, so that callers can distinguish an invalid port from an invalid
//! host (`is_valid_port`); a percent sign need not start an escape; a name must be one that the DNS can have.

use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::limits::{MAX_HOST_BYTES, MAX_LABEL_BYTES};
use crate::scan;

/// The two parts of a Host header, borrowed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host<'a> {
    /// As written, including the brackets of an IP literal.
    pub host: &'a str,
    /// The digits after the colon; at least one.
    pub port: Option<&'a str>,
}

impl<'a> Host<'a> {
    /// The host without the final dot of an absolute name, which names the same host (RFC 1034 section 3.1).
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.host.strip_suffix('.').unwrap_or(self.host)
    }
}

/// Splits a Host header. None if it is not a host with an optional port.
#[must_use]
pub fn parse_host(header: &[u8]) -> Option<Host<'_>> {
    // Three passes: decode, split, validate.
    scan::count(3 * header.len());
    let header = std::str::from_utf8(header).ok()?;
    let host_length = match header.strip_prefix('[') {
        Some(inside) => {
            let literal = inside.get(..inside.find(']')?)?;
            if !is_ip_literal(literal) {
                return None;
            }
            literal.len() + 2
        }
        None => header.find(':').unwrap_or(header.len()),
    };
    let (host, after) = header.split_at_checked(host_length)?;
    if !host.starts_with('[') && !is_name(host) {
        return None;
    }
    if after.is_empty() {
        return Some(Host { host, port: None });
    }
    let port = after.strip_prefix(':')?;
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    digits.then_some(Host { host, port: Some(port) })
}

/// True if the digits are a TCP port, 0 to 65535, with any number of leading zeros.
#[must_use]
pub fn is_valid_port(port: &str) -> bool {
    let digits = port.trim_start_matches('0');
    digits.is_empty() || (digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok())
}

/// True for the text between the brackets of an IP literal: an IPv6 address without a zone, or `IPvFuture`.
fn is_ip_literal(literal: &str) -> bool {
    match literal.strip_prefix('v') {
        Some(future) => {
            let Some((version, address)) = future.split_once('.') else {
                return false;
            };
            !version.is_empty()
                && version.bytes().all(|byte| byte.is_ascii_hexdigit())
                && !address.is_empty()
                && address
                    .bytes()
                    .all(|byte| byte == b':' || (byte != b'%' && is_name_byte(byte)))
        }
        None => Ipv6Addr::from_str(literal).is_ok(),
    }
}

/// Labels of 1 to 63 bytes, 253 in all, perhaps with a final dot (RFC 1035 section 2.3.4, RFC 1123 section 2.1).
fn is_name(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    name.len() <= MAX_HOST_BYTES
        && name.bytes().all(is_name_byte)
        && name
            .split('.')
            .all(|label| (1..=MAX_LABEL_BYTES).contains(&label.len()))
}

/// Unreserved characters, sub-delimiters and the percent sign.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._~%!$&'()*+,;=-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn host_table_of_valid_headers() {
        let table = [
            ("example.org", "example.org", None),
            ("Example.org:8000", "Example.org", Some("8000")),
            ("a:00080", "a", Some("00080")),
            ("[::1]", "[::1]", None),
            ("[::ffff:1.2.3.4]:80", "[::ffff:1.2.3.4]", Some("80")),
            ("[v1.a:b]", "[v1.a:b]", None),
            ("a:99999999999999999999", "a", Some("99999999999999999999")),
            ("%zz", "%zz", None),
            ("example.org.", "example.org.", None),
            ("example.org.:80", "example.org.", Some("80")),
        ];
        for (header, host, port) in table {
            assert_eq!(parse_host(header.as_bytes()), Some(Host { host, port }), "{header}");
        }
    }

    #[test]
    fn host_table_of_invalid_headers() {
        let table = [
            "",
            ":80",
            "a:",
            "a b",
            "a/b",
            "u@a",
            "a\n",
            "a:80\n",
            "a:8a",
            "a:1:2",
            "[::1",
            "[]",
            "[::1]a",
            "[::1]:",
            "::1",
            "[::1%eth0]",
            "[1.2.3.4]",
            "[V1.a]",
            "[v.a]",
            "[v1.]",
            "[v1.%]",
            "[:::]",
            "[1:2:3]",
            "a?b",
            "a#",
            "a\\b",
            "é",
            "[",
            "]",
            "[g::1]",
            "\u{212a}",
            ".",
            "..",
            ".a",
            "a..",
            "a..b",
            ".:80",
        ];
        for header in table {
            assert_eq!(parse_host(header.as_bytes()), None, "{header}");
        }
        assert_eq!(parse_host(b"\xFF"), None);
    }

    #[test]
    fn name_bounds() {
        let label = "x".repeat(MAX_LABEL_BYTES);
        let longest = [label.as_str(), &label, &label, &"x".repeat(61)].join(".");
        assert_eq!(longest.len(), MAX_HOST_BYTES);
        for host in [label.clone(), longest.clone(), format!("{longest}.")] {
            assert!(parse_host(host.as_bytes()).is_some(), "{host}");
        }
        for host in [
            format!("{label}x"),
            format!("a.{label}x.b"),
            format!("{longest}x"),
            format!("a.{longest}"),
        ] {
            assert_eq!(parse_host(host.as_bytes()), None, "{host}");
        }
    }

    #[test]
    fn final_dot_is_not_part_of_the_name() {
        for (header, name) in [("a.b.", "a.b"), ("a.b.:80", "a.b"), ("a.b", "a.b"), ("[::1]", "[::1]")] {
            assert_eq!(parse_host(header.as_bytes()).map(|host| host.name()), Some(name));
        }
    }

    #[test]
    fn port_bounds() {
        for port in ["", "0", "80", "65535", "00000065535"] {
            assert!(is_valid_port(port), "{port}");
        }
        for port in ["65536", "99999", "100000", "99999999999999999999", "8a", "-1", "+1"] {
            assert!(!is_valid_port(port), "{port}");
        }
    }

    proptest! {
        #[test]
        fn host_any_bytes_give_back_parts_of_them(header in proptest::collection::vec(any::<u8>(), 0..32)) {
            if let Some(found) = parse_host(&header) {
                let joined = found.port.map_or(found.host.to_owned(), |port| format!("{}:{port}", found.host));
                prop_assert_eq!(joined.as_bytes(), &header[..]);
            }
        }

        #[test]
        fn host_every_ipv6_address_is_valid(groups in any::<[u16; 8]>()) {
            let header = format!("[{}]", Ipv6Addr::from(groups));
            prop_assert!(parse_host(header.as_bytes()).is_some());
        }
    }
}
