//! The Host header, compared with a regular expression. An accepted host does not change the rest of a URL built from
//! it.

use std::net::Ipv6Addr;
use std::sync::LazyLock;

use pallasite_core::host::{is_valid_port, parse_host};
use pallasite_core::url::{RequestUrl, build_url, split_url};
use regex::Regex;

use crate::work::linear;

static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    let name = r"[A-Za-z0-9_~%!$&'()*+,;=-]{1,63}";
    let future = r"v[0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+";
    Regex::new(&format!(
        r"\A(?<host>{name}(?:\.{name})*\.?|\[(?:{future}|(?<six>[0-9A-Fa-f:.]+))\])(?::(?<port>[0-9]+))?\z"
    ))
    .expect("a regular expression")
});

// A header is never split into chunks, so the input is not cut.
pub fn check(input: &[u8]) {
    let found = linear(input.len(), 8, 0, || parse_host(input));
    let captures = std::str::from_utf8(input).ok().and_then(|text| HEADER.captures(text));
    let expected = captures
        .filter(|captures| {
            captures
                .name("six")
                .is_none_or(|six| six.as_str().parse::<Ipv6Addr>().is_ok())
        })
        .filter(|captures| {
            captures.name("six").is_some()
                || captures["host"].starts_with('[')
                || captures["host"].trim_end_matches('.').len() <= 253
        })
        .map(|captures| {
            let part = |name| captures.name(name).map(|found| found.as_str());
            (part("host").expect("always there"), part("port"))
        });
    assert_eq!(found.map(|host| (host.host, host.port)), expected);
    if found.is_some() {
        let request = RequestUrl {
            scheme: b"http",
            authority: Some(input),
            path: b"/p",
            query: b"q",
        };
        let url = build_url(&request);
        let url = std::str::from_utf8(&url).expect("a host is ASCII");
        if let Some(parts) = split_url(url) {
            let netloc = std::str::from_utf8(input).expect("a host is ASCII");
            assert_eq!(
                (parts.scheme, parts.netloc, parts.path, parts.query),
                ("http", netloc, "/p", "q")
            );
        } else {
            assert!(input.starts_with(b"["));
        }
    }
    if let Ok(port) = std::str::from_utf8(input) {
        let number = port.bytes().try_fold(0_u64, |number, byte| {
            byte.is_ascii_digit()
                .then(|| (number * 10 + u64::from(byte - b'0')).min(1 << 40))
        });
        assert_eq!(is_valid_port(port), number.is_some_and(|number| number < 65536));
    }
}
