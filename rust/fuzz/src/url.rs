//! URLs: split, compared with the regular expression of RFC 3986 appendix B; built from scheme, authority, path and
//! query, separated by zero bytes; and made absolute.

use std::sync::LazyLock;

use pallasite_core::url::{RequestUrl, SplitUrl, absolute_url, build_url, server_authority, split_url};
use regex::Regex;

use crate::pieces::fields;
use crate::work::linear;

static PARTS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\A(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?\z").expect("a regular expression")
});

// A URL is never split into chunks, so the input is not cut.
pub fn check(input: &[u8]) {
    let parts: Vec<&[u8]> = fields(input).collect();
    let part = |number: usize| parts.get(number).copied().unwrap_or_default();
    build(part(0), parts.get(1).copied(), part(2), part(3));
    let texts: Vec<&str> = parts.iter().filter_map(|part| std::str::from_utf8(part).ok()).collect();
    for text in texts.iter().take(8) {
        split(text);
    }
    let text = |number: usize| texts.get(number).copied().unwrap_or_default();
    absolute(text(0), text(1), text(2));
}

fn split(url: &str) {
    let found = linear(url.len(), 8, 0, || split_url(url));
    assert_eq!(found, reference(url));
    if let Some(parts) = found {
        let length = [parts.scheme, parts.netloc, parts.path, parts.query, parts.fragment]
            .concat()
            .len();
        assert!(length <= url.len() && url.len() - length <= 5);
    }
}

fn reference(url: &str) -> Option<SplitUrl<'_>> {
    if url.contains(|c: char| !c.is_ascii_graphic()) || url.starts_with(':') {
        return None;
    }
    let captures = PARTS.captures(url)?;
    let part = |number| captures.get(number).map_or("", |part: regex::Match<'_>| part.as_str());
    let (scheme, netloc) = (part(1), part(2));
    let is_scheme = scheme
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c))
        && !scheme.starts_with(|c: char| !c.is_ascii_lowercase());
    let is_plain = is_scheme && !netloc.contains(['[', ']']);
    is_plain.then_some(SplitUrl {
        scheme,
        netloc,
        path: part(3),
        query: part(4),
        fragment: part(5),
    })
}

fn build(scheme: &[u8], authority: Option<&[u8]>, path: &[u8], query: &[u8]) {
    let request = RequestUrl {
        scheme,
        authority,
        path,
        query,
    };
    let length = scheme.len() + authority.map_or(0, <[u8]>::len) + path.len() + query.len();
    let url = linear(length, 4, 24, || build_url(&request));
    let mut expected = Vec::new();
    let mut rest = path.to_vec();
    match authority {
        Some(authority) if !authority.is_empty() => {
            if !scheme.is_empty() {
                expected.extend([scheme, b":"].concat());
            }
            expected.extend([b"//", authority].concat());
            if !path.is_empty() && path[0] != b'/' {
                expected.push(b'/');
            }
        }
        _ if path.starts_with(b"//") => {
            expected.extend(b"/%2F");
            rest.drain(..2);
        }
        _ => {}
    }
    let start = expected.len();
    for byte in rest {
        match byte {
            b'?' | b'#' | b'\\' | b'%' | 0..0x20 | 0x7f => expected.extend(format!("%{byte:02X}").bytes()),
            _ => expected.push(byte),
        }
    }
    let path_built = &expected[start..];
    assert!(
        !path_built
            .iter()
            .any(|byte| b"?#\\".contains(byte) || byte.is_ascii_control())
    );
    if !query.is_empty() {
        expected.push(b'?');
        let mut rest = query;
        while let Err(error) = std::str::from_utf8(rest) {
            let (valid, bad) = rest.split_at(error.valid_up_to());
            let (bad, behind) = bad.split_at(error.error_len().unwrap_or(bad.len()));
            expected.extend(valid);
            expected.extend(bad.iter().flat_map(|byte| format!("%{byte:02X}").into_bytes()));
            rest = behind;
        }
        expected.extend(rest);
    }
    assert_eq!(url, expected);
    // Without an authority, nothing in the URL may be read as one.
    assert!(authority.is_some_and(|authority| !authority.is_empty()) || !url.starts_with(b"//"));
    let port = i64::from(path.len() as u16);
    let authority = server_authority(scheme, query, port);
    let is_six = query.contains(&b':') && query[0] != b'[';
    assert_eq!(authority.starts_with(b"["), is_six || query.starts_with(b"["));
}

fn absolute(base: &str, host: &str, path: &str) {
    let length = base.len() + host.len() + path.len();
    for schemes in [None, Some(("http", "https"))] {
        let Some(url) = linear(length, 16, 8, || absolute_url(base, schemes, host, path)) else {
            continue;
        };
        let base = split_url(base).expect("it was made absolute by it");
        let found = split_url(&url).expect("it is made of plain parts");
        let is_secure = ["https", "wss"].contains(&base.scheme);
        let scheme = schemes.map_or(base.scheme, |(plain, secure)| if is_secure { secure } else { plain });
        let netloc = if host.is_empty() { base.netloc } else { host };
        let joined = base.path.trim_end_matches('/').to_owned() + path;
        let slash = if joined.is_empty() || joined.starts_with('/') {
            ""
        } else {
            "/"
        };
        let expected = SplitUrl {
            scheme,
            netloc,
            path: &(slash.to_owned() + &joined),
            query: "",
            fragment: "",
        };
        assert_eq!(found, expected);
    }
}
