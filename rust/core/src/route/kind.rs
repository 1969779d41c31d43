//! The kinds of parameters: the regular expressions of the stock convertors, matched by hand.

use crate::scan;

/// The text that a parameter accepts, according to the regular expression of its convertor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `[^/]+`: one or more characters within a segment.
    Str,
    /// `[0-9]+`: ASCII digits.
    Int,
    /// `[0-9]+(\.[0-9]+)?`: ASCII digits, at most one point between them.
    Float,
    /// 32 hexadecimal digits, hyphens allowed in their four usual places.
    Uuid,
    /// `.*`: any text without a line feed, including slashes and the empty text.
    Path,
    /// Any other regular expression, which only Python's `re` can match.
    Custom,
}

/// The groups of hexadecimal digits of a UUID.
const UUID_GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

impl Kind {
    /// The kind with this regular expression; `Custom` for any but the five known ones.
    #[must_use]
    pub fn of_regex(regex: &[u8]) -> Self {
        match regex {
            b"[^/]+" => Self::Str,
            b"[0-9]+" => Self::Int,
            br"[0-9]+(\.[0-9]+)?" => Self::Float,
            b"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}" => Self::Uuid,
            b".*" => Self::Path,
            _ => Self::Custom,
        }
    }

    /// The longest match at the start of `text`, in bytes. None if nothing matches, and always for `Custom`.
    #[must_use]
    pub fn longest(self, text: &[u8]) -> Option<usize> {
        match self {
            Self::Str => non_empty(scan::find(b'/', text).unwrap_or(text.len())),
            Self::Int => non_empty(digits(text)),
            Self::Float => {
                let whole = non_empty(digits(text))?;
                let fraction = match text.get(whole..) {
                    Some([b'.', rest @ ..]) => digits(rest),
                    _ => 0,
                };
                Some(if fraction == 0 { whole } else { whole + 1 + fraction })
            }
            Self::Uuid => uuid(text),
            Self::Path => Some(scan::find(b'\n', text).unwrap_or(text.len())),
            Self::Custom => None,
        }
    }

    /// True if the whole of `text` is a match; never for `Custom`.
    #[must_use]
    pub fn accepts(self, text: &[u8]) -> bool {
        self.longest(text) == Some(text.len())
    }

    /// True if a match that is followed by `next` can only be the longest one.
    pub(super) fn ends_before(self, next: u8) -> bool {
        match self {
            Self::Str => next == b'/',
            Self::Int => !next.is_ascii_digit(),
            Self::Float => !next.is_ascii_digit() && next != b'.',
            Self::Uuid => true,
            Self::Path | Self::Custom => false,
        }
    }
}

fn non_empty(length: usize) -> Option<usize> {
    (length > 0).then_some(length)
}

fn digits(text: &[u8]) -> usize {
    scan::position(text, |byte| !byte.is_ascii_digit()).unwrap_or(text.len())
}

fn uuid(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    for (number, length) in UUID_GROUPS.into_iter().enumerate() {
        if number > 0 && text.get(at) == Some(&b'-') {
            at += 1;
        }
        let group = text.get(at..at + length)?;
        scan::count(length);
        if !group.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        at += length;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::Kind::{self, Custom, Float, Int, Path, Str, Uuid};

    #[test]
    fn longest_match_is_what_the_regex_takes() {
        let cases: &[(Kind, &[u8], Option<usize>)] = &[
            (Str, b"ab/c", Some(2)),
            (Str, b"/c", None),
            (Str, b"", None),
            (Str, b"a\nb", Some(3)),
            (Int, b"12a", Some(2)),
            (Int, "\u{661}".as_bytes(), None),
            (Float, b"12.", Some(2)),
            (Float, b"12.5.", Some(4)),
            (Float, b".5", None),
            (Path, b"", Some(0)),
            (Path, b"a/b\nc", Some(3)),
            (Uuid, b"0123456789abcdefABCDEF0123456789x", Some(32)),
            (Uuid, b"01234567-89ab-cdef-ABCD-EF0123456789", Some(36)),
            (Uuid, b"01234567-89ab-cdefABCD-EF0123456789", Some(35)),
            (Uuid, b"01234567--89ab-cdef-ABCD-EF0123456789", None),
            (Uuid, b"01234567-89ab", None),
            (Custom, b"a", None),
        ];
        for (kind, text, expected) in cases {
            assert_eq!(kind.longest(text), *expected, "{kind:?} on {text:?}");
        }
    }
}
