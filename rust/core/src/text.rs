//! Python's `str` as bytes: UTF-8 in which a lone surrogate is encoded as three bytes (WTF-8), and Python's whitespace.
//!
//! ASCII bytes never occur inside a longer character, so parsers work on bytes and split only at ASCII delimiters.

use std::borrow::Cow;

use crate::scan;

/// The characters outside ASCII that `str.strip()` removes, in UTF-8.
const WIDE_SPACES: [&[u8]; 19] = [
    b"\xC2\x85",
    b"\xC2\xA0",
    b"\xE1\x9A\x80",
    b"\xE2\x80\x80",
    b"\xE2\x80\x81",
    b"\xE2\x80\x82",
    b"\xE2\x80\x83",
    b"\xE2\x80\x84",
    b"\xE2\x80\x85",
    b"\xE2\x80\x86",
    b"\xE2\x80\x87",
    b"\xE2\x80\x88",
    b"\xE2\x80\x89",
    b"\xE2\x80\x8A",
    b"\xE2\x80\xA8",
    b"\xE2\x80\xA9",
    b"\xE2\x80\xAF",
    b"\xE2\x81\x9F",
    b"\xE3\x80\x80",
];

/// Decodes Latin-1 to UTF-8. ASCII is borrowed.
#[must_use]
pub fn from_latin1(bytes: &[u8]) -> Cow<'_, [u8]> {
    scan::count(bytes.len());
    if bytes.is_ascii() {
        return Cow::Borrowed(bytes);
    }
    let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
    Cow::Owned(text.into_bytes())
}

/// `text` without whitespace at both ends, as by `str.strip()`.
#[must_use]
pub fn trim(text: &[u8]) -> &[u8] {
    trim_end(trim_start(text))
}

fn trim_start(mut text: &[u8]) -> &[u8] {
    loop {
        scan::count(1);
        let rest = match text {
            [byte, rest @ ..] if is_ascii_space(*byte) => Some(rest),
            [byte, ..] if byte.is_ascii() => None,
            _ => WIDE_SPACES.iter().find_map(|space| text.strip_prefix(*space)),
        };
        match rest {
            Some(rest) => text = rest,
            None => return text,
        }
    }
}

fn trim_end(mut text: &[u8]) -> &[u8] {
    loop {
        scan::count(1);
        let rest = match text {
            [rest @ .., byte] if is_ascii_space(*byte) => Some(rest),
            [.., byte] if byte.is_ascii() => None,
            _ => WIDE_SPACES.iter().find_map(|space| text.strip_suffix(*space)),
        };
        match rest {
            Some(rest) => text = rest,
            None => return text,
        }
    }
}

/// Python's whitespace includes the four separators U+001C to U+001F.
fn is_ascii_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | 0x1C..=0x1F | b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin1_wide_bytes_become_characters() {
        assert_eq!(from_latin1(b"caf\xE9"), "café".as_bytes());
        assert!(matches!(from_latin1(b"cafe"), Cow::Borrowed(_)));
    }

    #[test]
    fn trim_python_spaces_removes_them_all() {
        let padded = "\u{1c}\u{85}\u{a0} a b\u{2003}\u{3000}\n";
        assert_eq!(trim(padded.as_bytes()), b"a b");
        assert_eq!(trim("\u{200b}a\u{feff}".as_bytes()), "\u{200b}a\u{feff}".as_bytes());
        assert_eq!(trim(" \u{3000}".as_bytes()), b"");
    }

    proptest::proptest! {
        #[test]
        fn trim_any_bytes_is_a_part_of_them(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
            let trimmed = trim(&bytes);
            proptest::prop_assert!(bytes.windows(trimmed.len().max(1)).any(|window| window == trimmed) || trimmed.is_empty());
        }
    }
}
