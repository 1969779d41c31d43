//! The Cookie request header, read as browsers write it rather than as RFC 6265 section 4.2.1 asks for.
//!
//! Deviation: no character is refused; names and values are trimmed; a pair without `=` is a value without a name.
//! A value in double quotes is unquoted as Python's `http.cookies` does: `\ooo` is the character of that octal number,
//! a backslash before any other character but a line feed is dropped.

use std::borrow::Cow;

use crate::text::trim;

/// Calls `emit` with each cookie's name and value, in order, repeated names included. One pass, whatever the input.
pub fn parse_cookies<'a>(header: &'a [u8], mut emit: impl FnMut(&'a [u8], Cow<'a, [u8]>)) {
    for pair in header.split(|&byte| byte == b';') {
        let (name, value) = match memchr::memchr(b'=', pair) {
            Some(equals) => (
                pair.get(..equals).unwrap_or(b""),
                pair.get(equals + 1..).unwrap_or(b""),
            ),
            None => (&b""[..], pair),
        };
        let (name, value) = (trim(name), trim(value));
        if !name.is_empty() || !value.is_empty() {
            emit(name, unquote(value));
        }
    }
}

fn unquote(value: &[u8]) -> Cow<'_, [u8]> {
    let Some(inside) = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
    else {
        return Cow::Borrowed(value);
    };
    if memchr::memchr(b'\\', inside).is_none() {
        return Cow::Borrowed(inside);
    }
    let mut text = Vec::with_capacity(inside.len());
    let mut rest = inside;
    loop {
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
            // What follows may be the first byte of a longer character: its others are copied as they come.
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
        parse_cookies(header.as_bytes(), |name, value| {
            found.push((text(name), text(&value)))
        });
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
            (
                "a=\"; b=\"\"; c=\"x",
                &[("a", "\""), ("b", ""), ("c", "\"x")],
            ),
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
            prop_assert!(count <= 1 + header.iter().filter(|&&byte| byte == b';').count());
        }
    }
}
