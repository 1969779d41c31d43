//! URLs (RFC 3986): built from a request, split into five parts, and made absolute.
//!
//! Only plain URLs are split. For all others the result is None, and the caller uses a complete implementation.

use crate::query::escape;
use crate::scan;

/// The parts of a request that form its URL: text, except for the query, which may be any bytes.
#[derive(Clone, Copy, Debug)]
pub struct RequestUrl<'a> {
    /// For example `https`.
    pub scheme: &'a [u8],
    /// Host and port; None or empty gives a URL without an origin.
    pub authority: Option<&'a [u8]>,
    /// Percent-decoded, as in ASGI.
    pub path: &'a [u8],
    /// As received, without the question mark.
    pub query: &'a [u8],
}

/// The URL of the request. Escapes the characters that would end the path and query bytes that are not UTF-8.
///
/// Without an authority the result is a path (and query) that starts with at most one slash: after a second slash, the
/// first segment would be an authority.
#[must_use]
pub fn build_url(request: &RequestUrl<'_>) -> Vec<u8> {
    let authority = request.authority.unwrap_or(b"");
    let size = request.scheme.len() + authority.len() + request.path.len() + request.query.len();
    let mut url = Vec::with_capacity(size + 8);
    let mut path = request.path;
    if authority.is_empty() {
        if let Some(rest) = path.strip_prefix(b"//") {
            url.extend_from_slice(b"/%2F");
            path = rest;
        }
    } else {
        if !request.scheme.is_empty() {
            url.extend_from_slice(request.scheme);
            url.push(b':');
        }
        url.extend_from_slice(b"//");
        url.extend_from_slice(authority);
        if !path.is_empty() && !path.starts_with(b"/") {
            url.push(b'/');
        }
    }
    push_path(path, &mut url);
    if !request.query.is_empty() {
        url.push(b'?');
        push_query(request.query, &mut url);
    }
    url
}

/// The authority of a server that listens on `host` and `port`: IPv6 in brackets, without the default port of the
/// scheme.
#[must_use]
pub fn server_authority(scheme: &[u8], host: &[u8], port: i64) -> Vec<u8> {
    let mut authority = Vec::with_capacity(host.len() + 8);
    if host.contains(&b':') && !host.starts_with(b"[") {
        authority.push(b'[');
        authority.extend_from_slice(host);
        authority.push(b']');
    } else {
        authority.extend_from_slice(host);
    }
    if default_port(scheme) != Some(port) {
        authority.extend_from_slice(format!(":{port}").as_bytes());
    }
    authority
}

/// The five parts of a URL, borrowed. Absent parts are empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitUrl<'a> {
    /// In lower case, without the colon.
    pub scheme: &'a str,
    /// Between `//` and the path.
    pub netloc: &'a str,
    /// As written.
    pub path: &'a str,
    /// Between `?` and `#`.
    pub query: &'a str,
    /// After `#`.
    pub fragment: &'a str,
}

/// Splits a plain URL. None for a URL with whitespace, control or non-ASCII characters, brackets in the authority, or a
/// scheme that is not in lower case.
#[must_use]
pub fn split_url(url: &str) -> Option<SplitUrl<'_>> {
    if !is_plain(url) {
        return None;
    }
    // One search for each delimiter.
    scan::count(4 * url.len());
    let (scheme, rest) = match url.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => (scheme, rest),
        // A colon in a port, path or query: no scheme.
        Some((before, _)) if before.contains(['/', '?', '#']) => ("", url),
        Some(_) => return None,
        None => ("", url),
    };
    let (netloc, rest) = match rest.strip_prefix("//") {
        Some(after) => after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len())),
        None => ("", rest),
    };
    if netloc.contains(['[', ']']) {
        return None;
    }
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    Some(SplitUrl {
        scheme,
        netloc,
        path,
        query,
        fragment,
    })
}

/// Appends `path` to the path of `base`. A `host` that is not empty replaces the host, and `schemes`, a plain and a
/// secure one, replace the scheme: the secure one if the scheme of `base` is `https` or `wss`.
///
/// None if an argument is not plain, or `base` has no scheme or authority.
#[must_use]
pub fn absolute_url(base: &str, schemes: Option<(&str, &str)>, host: &str, path: &str) -> Option<String> {
    let base = split_url(base)?;
    let netloc = if host.is_empty() { base.netloc } else { host };
    if base.scheme.is_empty() || netloc.is_empty() || !is_plain(path) || !is_plain(host) {
        return None;
    }
    if path.contains(['?', '#']) || host.contains(['/', '?', '#', '[', ']']) {
        return None;
    }
    let scheme = match schemes {
        Some((_, secure)) if matches!(base.scheme, "https" | "wss") => secure,
        Some((plain, _)) => plain,
        None => base.scheme,
    };
    let above = base.path.trim_end_matches('/');
    let first = if above.is_empty() { path } else { above };
    let slash = if first.is_empty() || first.starts_with('/') {
        ""
    } else {
        "/"
    };
    Some([scheme, "://", netloc, slash, above, path].concat())
}

/// Escapes the characters that would end the path, those that URL parsers drop or rewrite, and `%`, as the path is
/// decoded.
fn push_path(path: &[u8], url: &mut Vec<u8>) {
    let mut rest = path;
    while let Some(end) = scan::position(rest, |&byte| {
        matches!(byte, b'?' | b'#' | b'\\' | b'%' | 0..0x20 | 0x7F)
    }) {
        let (plain, special) = rest.split_at(end);
        url.extend_from_slice(plain);
        let [byte, after @ ..] = special else { return };
        url.extend_from_slice(&escape(*byte));
        rest = after;
    }
    url.extend_from_slice(rest);
}

fn push_query(query: &[u8], url: &mut Vec<u8>) {
    for chunk in query.utf8_chunks() {
        scan::count(chunk.valid().len() + chunk.invalid().len());
        url.extend_from_slice(chunk.valid().as_bytes());
        for &byte in chunk.invalid() {
            url.extend_from_slice(&escape(byte));
        }
    }
}

fn default_port(scheme: &[u8]) -> Option<i64> {
    match scheme {
        b"http" | b"ws" => Some(80),
        b"https" | b"wss" => Some(443),
        _ => None,
    }
}

/// True for visible ASCII only: without characters that URL parsers strip, remove or normalise.
fn is_plain(text: &str) -> bool {
    scan::count(text.len());
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn built(authority: Option<&str>, path: &str, query: &[u8]) -> String {
        let authority = authority.map(str::as_bytes);
        let url = build_url(&RequestUrl {
            scheme: b"http",
            authority,
            path: path.as_bytes(),
            query,
        });
        String::from_utf8(url).expect("the tests give valid paths")
    }

    #[test]
    fn build_table() {
        assert_eq!(built(Some("a:1"), "/p q", b"x=1"), "http://a:1/p q?x=1");
        assert_eq!(built(Some("a"), "p?#\\é", b""), "http://a/p%3F%23%5Cé");
        assert_eq!(built(Some("a"), "50% \t\n\x7f", b""), "http://a/50%25 %09%0A%7F");
        assert_eq!(built(Some("a"), "//b", b""), "http://a//b");
        assert_eq!(built(None, "//b//c", b"q"), "/%2Fb//c?q");
        assert_eq!(built(None, "", b""), "");
        assert_eq!(built(Some("a"), "", b"\xFFa\xC3\xA9\xC3"), "http://a?%FFaé%C3");
    }

    #[test]
    fn server_authority_table() {
        let authority = |scheme: &str, host: &str, port| server_authority(scheme.as_bytes(), host.as_bytes(), port);
        assert_eq!(authority("https", "a", 443), b"a");
        assert_eq!(authority("http", "a", 443), b"a:443");
        assert_eq!(authority("ws", "::1", 80), b"[::1]");
        assert_eq!(authority("other", "[::1]", 80), b"[::1]:80");
    }

    #[test]
    fn split_table() {
        let split = |scheme, netloc, path, query, fragment| {
            Some(SplitUrl {
                scheme,
                netloc,
                path,
                query,
                fragment,
            })
        };
        assert_eq!(
            split_url("http://u:p@h:1/a/b?c=d#e"),
            split("http", "u:p@h:1", "/a/b", "c=d", "e")
        );
        assert_eq!(split_url("/a:b?c?d"), split("", "", "/a:b", "c?d", ""));
        assert_eq!(split_url("//h?q#f?g"), split("", "h", "", "q", "f?g"));
        assert_eq!(split_url(""), split("", "", "", "", ""));
        for unclear in ["HTTP://a", "http://[::1]/", " /a", "/a b", "/é", "1a:b", "a:b\n", ":a"] {
            assert_eq!(split_url(unclear), None, "{unclear}");
        }
    }

    #[test]
    fn absolute_table() {
        let http = Some(("http", "https"));
        assert_eq!(
            absolute_url("https://a/b/", http, "", "/c").as_deref(),
            Some("https://a/b/c")
        );
        assert_eq!(absolute_url("wss://a", http, "h", "c").as_deref(), Some("https://h/c"));
        assert_eq!(
            absolute_url("http://a/", Some(("ws", "wss")), "", "/c").as_deref(),
            Some("ws://a/c")
        );
        assert_eq!(absolute_url("x://a/?q#f", None, "", "").as_deref(), Some("x://a"));
        for (base, host, path) in [
            ("/b", "", "/c"),
            ("http://a", "", "/c?"),
            ("http://a", "h/", "/c"),
            ("http://a", "", "/ "),
        ] {
            assert_eq!(absolute_url(base, http, host, path), None, "{base} {host} {path}");
        }
    }

    proptest! {
        #[test]
        fn split_parts_join_to_the_url(url in "([a-z]{1,3}:)?(//)?[!-~]{0,20}") {
            if let Some(parts) = split_url(&url) {
                let length = parts.scheme.len() + parts.netloc.len() + parts.path.len() + parts.query.len() + parts.fragment.len();
                prop_assert!(length <= url.len() && url.len() - length <= 5);
            }
        }

        #[test]
        fn build_any_bytes_is_linear(path in proptest::collection::vec(any::<u8>(), 0..64), query in proptest::collection::vec(any::<u8>(), 0..64)) {
            let url = build_url(&RequestUrl { scheme: b"http", authority: Some(b"a"), path: &path, query: &query });
            prop_assert!(url.len() <= 10 + 3 * (path.len() + query.len()));
        }
    }
}
