//! Query strings and form fields, `application/x-www-form-urlencoded` (WHATWG URL section 5), with the same results as
//! Python's `urllib.parse`.

use std::borrow::Cow;

use crate::scan;

const HEX_DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// Calls `emit` with the name and value of each field, in order. Empty fields (`&&`) are skipped, empty values are not.
///
/// `+` is decoded to a space, and invalid escapes are kept verbatim. Escaped bytes are decoded as UTF-8, with U+FFFD
/// for invalid sequences. Each run of ASCII is decoded separately, so an escape never combines with an unescaped
/// character.
pub fn parse_query<'a>(query: &'a [u8], mut emit: impl FnMut(Cow<'a, [u8]>, Cow<'a, [u8]>)) {
    for field in query.split(|&byte| byte == b'&') {
        scan::count(field.len() + 1);
        if field.is_empty() {
            continue;
        }
        let (name, value) = scan::split_once(b'=', field).unwrap_or((field, b""));
        emit(decode_component(name), decode_component(value));
    }
}

/// Decodes `+` and percent escapes in a name or value.
#[must_use]
pub fn decode_component(component: &[u8]) -> Cow<'_, [u8]> {
    scan::count(component.len());
    if memchr::memchr2(b'+', b'%', component).is_none() {
        return Cow::Borrowed(component);
    }
    let mut run = Vec::with_capacity(component.len());
    if component.is_ascii() {
        decode_escapes(component, &mut run);
        return Cow::Owned(match String::from_utf8(run) {
            Ok(text) => text.into_bytes(),
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned().into_bytes(),
        });
    }
    let mut text = Vec::with_capacity(component.len());
    let mut rest = component;
    while !rest.is_empty() {
        let ascii = scan::position(rest, |byte| !byte.is_ascii()).unwrap_or(rest.len());
        let (escaped, after) = rest.split_at(ascii);
        run.clear();
        decode_escapes(escaped, &mut run);
        text.extend_from_slice(String::from_utf8_lossy(&run).as_bytes());
        let wide = scan::position(after, u8::is_ascii).unwrap_or(after.len());
        let (literal, after) = after.split_at(wide);
        text.extend_from_slice(literal);
        rest = after;
    }
    Cow::Owned(text)
}

/// Appends a name or value to a query string. Escapes everything except ASCII letters, digits and `_.-~`, and writes a
/// space as `+`.
pub fn encode_component(component: &[u8], query: &mut String) {
    for &byte in component {
        scan::count(1);
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => query.push(char::from(byte)),
            b' ' => query.push('+'),
            _ => query.extend(escape(byte).map(char::from)),
        }
    }
}

/// The percent escape of a byte: `%XX`.
#[must_use]
pub fn escape(byte: u8) -> [u8; 3] {
    let [high, low] = [byte >> 4, byte & 0x0F].map(|half| HEX_DIGITS[usize::from(half)]);
    [b'%', high, low]
}

fn decode_escapes(mut escaped: &[u8], bytes: &mut Vec<u8>) {
    loop {
        scan::count(1);
        escaped = match escaped {
            [] => return,
            [b'+', rest @ ..] => {
                bytes.push(b' ');
                rest
            }
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(hex_value(*high) << 4 | hex_value(*low));
                rest
            }
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        };
    }
}

/// The value of a hexadecimal digit.
fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20).wrapping_sub(b'a').wrapping_add(10) & 0x0F,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(query: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        parse_query(query.as_bytes(), |name, value| found.push((text(&name), text(&value))));
        found
    }

    #[test]
    fn query_table() {
        let table: [(&str, &[(&str, &str)]); 9] = [
            ("", &[]),
            ("&&", &[]),
            ("=", &[("", "")]),
            ("a=1&b=2&a=3", &[("a", "1"), ("b", "2"), ("a", "3")]),
            ("a&b=", &[("a", ""), ("b", "")]),
            ("a=b=c", &[("a", "b=c")]),
            ("a+b=c%20d%2B", &[("a b", "c d+")]),
            ("a=%C3%A9&b=%e2%82%ac", &[("a", "é"), ("b", "€")]),
            ("a=%zz%&b=%%41", &[("a", "%zz%"), ("b", "%A")]),
        ];
        for (query, expected) in table {
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect();
            assert_eq!(parsed(query), expected, "{query}");
        }
    }

    #[test]
    fn decode_escapes_that_are_not_utf8_become_replacement_characters() {
        assert_eq!(&*decode_component(b"%FF%C3"), "\u{FFFD}\u{FFFD}".as_bytes());
        // The run ends at the unescaped character, whose bytes do not complete the escape.
        assert_eq!(&*decode_component("%C3é".as_bytes()), "\u{FFFD}é".as_bytes());
    }

    proptest! {
        #[test]
        fn decode_what_was_encoded_gives_it_back(text in any::<String>()) {
            let mut encoded = String::new();
            encode_component(text.as_bytes(), &mut encoded);
            prop_assert!(encoded.is_ascii());
            prop_assert_eq!(&*decode_component(encoded.as_bytes()), text.as_bytes());
        }

        #[test]
        fn decode_any_bytes_grows_at_most_threefold(bytes in proptest::collection::vec(prop_oneof![
            any::<u8>(), Just(b'%'), Just(b'F'), Just(b'+')
        ], 0..128)) {
            prop_assert!(decode_component(&bytes).len() <= bytes.len() * 3);
        }
    }
}
