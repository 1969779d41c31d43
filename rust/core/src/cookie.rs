//! The Cookie request header, read as browsers write it rather than by the grammar of RFC 6265 section 4.2.1.
//!
//! Deviation: all characters except control characters are accepted; spaces and tabs around names and values are
//! dropped; a pair without `=` is a value without a name. Pairs that browsers never send, because they do not store
//! such cookies, are left out: a pair that contains a control character, and a name with a guarded prefix (such as
//! `__Host-`) next to stray whitespace. A value in double quotes is unquoted as by Python's `http.cookies`: `\ooo` is
//! the character with that octal number, and a backslash before any other character except a line feed is dropped.

use std::borrow::Cow;

use crate::header::trim_ows;
use crate::scan;

/// Prefixes of names, in any case, that browsers accept only under conditions: over TLS, and `__Host-` only from the
/// host that receives the cookie (draft-ietf-httpbis-rfc6265bis section 4.1.3).
const GUARDED_PREFIXES: [&[u8]; 3] = [HOST_PREFIX, b"__Secure-", b"__Http-"];

const HOST_PREFIX: &[u8] = b"__Host-";

/// True if a browser stores at most one cookie of this name per host. Of two in a request, at least one is forged.
#[must_use]
pub fn is_unique(name: &[u8]) -> bool {
    has_prefix(name, HOST_PREFIX)
}

/// Calls `emit` with the name and value of each cookie, in order, including repeated names. Makes one pass.
pub fn parse_cookies<'a>(header: &'a [u8], mut emit: impl FnMut(&'a [u8], Cow<'a, [u8]>)) {
    for pair in header.split(|&byte| byte == b';') {
        scan::count(pair.len() + 1);
        let (name, value) = scan::split_once(b'=', pair).unwrap_or((b"", pair));
        let (written, value) = (name, trim_ows(value));
        let name = trim_ows(written);
        if (!name.is_empty() || !value.is_empty()) && !is_never_sent(pair, written, name) {
            emit(name, unquote(value));
        }
    }
}

/// True if no browser sends this pair. `written` is its name as sent, `name` the same without whitespace.
fn is_never_sent(pair: &[u8], written: &[u8], name: &[u8]) -> bool {
    if scan::position(pair, |&byte| byte.is_ascii_control() && byte != b'\t').is_some() {
        return true;
    }
    // One space follows the semicolon.
    written.strip_prefix(b" ").unwrap_or(written) != name
        && GUARDED_PREFIXES.iter().any(|prefix| has_prefix(name, prefix))
}

fn has_prefix(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn unquote(value: &[u8]) -> Cow<'_, [u8]> {
    let Some(inside) = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else {
        return Cow::Borrowed(value);
    };
    if scan::find(b'\\', inside).is_none() {
        return Cow::Borrowed(inside);
    }
    let mut text = Vec::with_capacity(inside.len());
    let mut rest = inside;
    loop {
        scan::count(1);
        rest = match rest {
            [] => return Cow::Owned(text),
            [
                b'\\',
                high @ b'0'..=b'3',
                mid @ b'0'..=b'7',
                low @ b'0'..=b'7',
                behind @ ..,
            ] => {
                let number = (high - b'0') * 64 + (mid - b'0') * 8 + (low - b'0');
                text.extend_from_slice(char::from(number).encode_utf8(&mut [0; 2]).as_bytes());
                behind
            }
            // The escaped byte may be the first of a longer character; the loop copies its other bytes.
            [b'\\', escaped, behind @ ..] if *escaped != b'\n' => {
                text.push(*escaped);
                behind
            }
            [byte, behind @ ..] => {
                text.push(*byte);
                behind
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(header: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        parse_cookies(header.as_bytes(), |name, value| found.push((text(name), text(&value))));
        found
    }

    #[test]
    fn cookies_table() {
        let table: [(&str, &[(&str, &str)]); 10] = [
            ("", &[]),
            (" ; ;=", &[]),
            ("a=1; b=2", &[("a", "1"), ("b", "2")]),
            ("a=1;a=2", &[("a", "1"), ("a", "2")]),
            ("plain", &[("", "plain")]),
            ("a==b=", &[("a", "=b=")]),
            (" a = 1 ", &[("a", "1")]),
            ("a=\"x\\073y\\\"z\\\\\"", &[("a", "x;y\"z\\")]),
            ("a=\"\\351\\400\\é\"", &[("a", "é400é")]),
            ("a=\"; b=\"\"; c=\"x", &[("a", "\""), ("b", ""), ("c", "\"x")]),
        ];
        for (header, expected) in table {
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect();
            assert_eq!(parsed(header), expected, "{header}");
        }
    }

    #[test]
    fn cookies_that_no_browser_sends_are_left_out() {
        for header in [
            "a\u{0}=1",
            "a=\r\n",
            "a=\u{7f}",
            "\u{b}__Host-a=1",
            "__Host-a =1",
            "__Host-a\t=1",
            "  __Host-a=1",
            "\t__host-a=1",
            "b;  __SECURE-a=1",
            "__Http-a =",
        ] {
            assert!(parsed(header).iter().all(|(name, _)| !name.contains('a')), "{header:?}");
        }
        let kept = [("__Host-a", "1"), ("__Secure-", "2"), ("", "__Host-b"), ("x y", "3")];
        let kept = kept.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parsed("__Host-a=\t1; __Secure-=2;__Host-b; x y =3"), kept);
    }

    #[test]
    fn spaces_beyond_ascii_are_part_of_a_name() {
        assert_eq!(
            parsed("\u{2000}__Host-a=1; \u{a0}b\u{85}=2"),
            [("\u{2000}__Host-a", "1"), ("\u{a0}b\u{85}", "2")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn unique_names_are_those_of_one_host() {
        assert!(is_unique(b"__Host-a") && is_unique(b"__hOST-"));
        assert!(!is_unique(b"__Host") && !is_unique(b"__Secure-a") && !is_unique(b"a__Host-"));
    }

    #[test]
    fn unquote_backslash_before_line_feed_or_end_stays() {
        assert_eq!(&*unquote(b"\"a\\\nb\\\""), b"a\\\nb\\");
    }

    proptest! {
        #[test]
        fn cookies_any_text_stays_text(header in "\\PC{0,64}") {
            parse_cookies(header.as_bytes(), |name, value| {
                assert!(std::str::from_utf8(name).is_ok() && std::str::from_utf8(&value).is_ok());
            });
        }

        #[test]
        fn cookies_any_bytes_give_no_more_than_pairs(header in proptest::collection::vec(any::<u8>(), 0..128)) {
            let mut count = 0;
            parse_cookies(&header, |_, _| count += 1);
            prop_assert!(count <= header.split(|&byte| byte == b';').count());
        }
    }
}
