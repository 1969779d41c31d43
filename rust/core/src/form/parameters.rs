//! Parameters of Content-Type and Content-Disposition as browsers write them in forms (RFC 7578 section 4.2).
//!
//! Unlike in [`header`](crate::header), only `\\` and `\"` are escapes, because most backslashes in file names are part
//! of a Windows path.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use crate::scan;

/// The values of the parameters `wanted`, whose names are given in lower case. Linear in the header.
///
/// `name*` (RFC 8187) is a different parameter from `name`; decode its value with [`decode_extended`].
///
/// # Errors
/// [`Repeated`] if one of them occurs twice: receivers would disagree on its value.
pub fn find_parameters<'a, const N: usize>(
    header: &'a [u8],
    wanted: [&[u8]; N],
) -> Result<[Option<Cow<'a, [u8]>>; N], Repeated> {
    let mut found = [const { None }; N];
    for segment in Segments::of(header).skip(1) {
        let equals = scan::find(b'=', segment);
        let (name, value) = segment.split_at(equals.unwrap_or(segment.len()));
        let name = trim(name);
        for (place, wanted) in found.iter_mut().zip(wanted) {
            // Other parsers for Python ignore case only in names that are followed by `=`.
            if name != wanted && (equals.is_none() || !name.eq_ignore_ascii_case(wanted)) {
                continue;
            }
            if place.is_some() {
                return Err(Repeated);
            }
            *place = Some(unquote(trim(value.strip_prefix(b"=").unwrap_or(value))));
        }
    }
    Ok(found)
}

/// A parameter occurs twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repeated;

impl Repeated {
    /// The name of the error, for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        "repeated"
    }
}

impl fmt::Display for Repeated {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a parameter is repeated")
    }
}

impl Error for Repeated {}

/// Decodes an extended value, `charset'language'escaped-text` (RFC 8187 section 3.2), to UTF-8. None if it is malformed
/// or its charset is neither UTF-8 nor ISO-8859-1.
#[must_use]
pub fn decode_extended(value: &[u8]) -> Option<Vec<u8>> {
    let mut parts = value.splitn(3, |&byte| byte == b'\'');
    let (charset, _language, escaped) = (parts.next()?, parts.next()?, parts.next()?);
    scan::count(value.len());
    let mut text = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let [high, low, after @ ..] = after else {
                return None;
            };
            text.push(hex(*high)? << 4 | hex(*low)?);
            rest = after;
        } else {
            text.push(byte);
        }
    }
    if charset.eq_ignore_ascii_case(b"iso-8859-1") {
        return Some(crate::text::from_latin1(&text).into_owned());
    }
    (charset.eq_ignore_ascii_case(b"utf-8") && std::str::from_utf8(&text).is_ok()).then_some(text)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// The file name without the directories that old versions of Internet Explorer send with it.
#[must_use]
pub fn without_windows_path(filename: &[u8]) -> &[u8] {
    match filename {
        [_, b':', b'\\', ..] | [b'\\', b'\\', ..] => filename
            .rsplit(|&byte| byte == b'\\')
            .next()
            .expect("a split has at least one part"),
        _ => filename,
    }
}

/// The text between semicolons outside quotes. A quote after a backslash neither opens nor closes, and a quote that is
/// never closed extends to the end.
struct Segments<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Segments<'a> {
    fn of(header: &'a [u8]) -> Self {
        Self { rest: Some(header) }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        let mut quoted = false;
        let mut before = 0;
        let mut end = rest.len();
        for (index, &byte) in rest.iter().enumerate() {
            match byte {
                b'"' if before != b'\\' => quoted = !quoted,
                b';' if !quoted => {
                    end = index;
                    break;
                }
                _ => {}
            }
            before = byte;
        }
        scan::count(end + 1);
        let (segment, after) = rest.split_at(end);
        self.rest = after.strip_prefix(b";");
        Some(segment)
    }
}

fn trim(text: &[u8]) -> &[u8] {
    crate::header::trim_ows(text)
}

fn unquote(value: &[u8]) -> Cow<'_, [u8]> {
    let Some(inside) = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")) else {
        return Cow::Borrowed(value);
    };
    if scan::find(b'\\', inside).is_none() {
        return Cow::Borrowed(inside);
    }
    // One after the other, as in other parsers for Python: the second may shorten the result of the first.
    let halved = drop_backslash_before(b'\\', inside);
    Cow::Owned(drop_backslash_before(b'"', &halved))
}

/// `text` without each `\` that precedes `escaped`, pair by pair from the left.
fn drop_backslash_before(escaped: u8, text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        scan::count(1);
        rest = match rest {
            [] => return plain,
            [b'\\', byte, after @ ..] if *byte == escaped => {
                plain.push(escaped);
                after
            }
            [byte, after @ ..] => {
                plain.push(*byte);
                after
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name_of(header: &str) -> Result<Option<String>, Repeated> {
        let text = |value: Cow<'_, [u8]>| String::from_utf8_lossy(&value).into_owned();
        find_parameters(header.as_bytes(), [b"name"]).map(|[found]| found.map(text))
    }

    #[test]
    fn parameter_table() {
        for (header, expected) in [
            ("form-data", None),
            ("name=a", None),
            ("form-data; name=a", Some("a")),
            ("form-data;NAME = \"a b\" ", Some("a b")),
            ("form-data; name=\"a;b\"; x=1", Some("a;b")),
            ("form-data; name=\"a\\\"b;c\"", Some("a\"b;c")),
            ("form-data; name=\"a\\\\b\\c\"", Some("a\\b\\c")),
            ("form-data; name=\"open; x=1", Some("\"open; x=1")),
            ("form-data; name", Some("")),
            ("form-data; NAME", None),
            ("form-data; name=", Some("")),
            ("form-data; name*=utf-8''a", None),
            ("form-data; =a", None),
            ("form-data; name=a=b", Some("a=b")),
            ("form-data; x=\"; name=a", None),
        ] {
            assert_eq!(name_of(header), Ok(expected.map(Into::into)), "{header}");
        }
    }

    #[test]
    fn parameter_repeated_is_an_error() {
        assert_eq!(name_of("form-data; name=a; Name=a"), Err(Repeated));
    }

    #[test]
    fn extended_value_table() {
        for (value, expected) in [
            ("utf-8''%E6%B1%89.txt", Some("汉.txt")),
            ("UTF-8'zh'%e6%b1%89", Some("汉")),
            ("utf-8''", Some("")),
            ("utf-8''a'b", Some("a'b")),
            ("iso-8859-1'en'%A3%20rates", Some("£ rates")),
            ("utf-8''%E6", None),
            ("utf-8''%E", None),
            ("utf-8''%", None),
            ("utf-8''%+1", None),
            ("gbk''a", None),
            ("utf-8'a", None),
            ("a.txt", None),
            ("", None),
        ] {
            assert_eq!(
                decode_extended(value.as_bytes()),
                expected.map(|text| text.as_bytes().to_vec()),
                "{value}"
            );
        }
    }

    #[test]
    fn filename_loses_a_windows_path_only() {
        for (filename, expected) in [
            (&b"C:\\ore\\a.txt"[..], &b"a.txt"[..]),
            (b"\\\\host\\share\\a.txt", b"a.txt"),
            (b"a\\b.txt", b"a\\b.txt"),
            (b"/etc/passwd", b"/etc/passwd"),
            (b"C:\\", b""),
        ] {
            assert_eq!(without_windows_path(filename), expected);
        }
    }

    proptest! {
        #[test]
        fn parameter_of_any_bytes_is_never_longer(header in proptest::collection::vec(
            prop_oneof![any::<u8>(), Just(b';'), Just(b'"'), Just(b'\\'), Just(b'='), Just(b'n')], 0..64
        )) {
            if let Ok([Some(value)]) = find_parameters(&header, [b"n"]) {
                prop_assert!(value.len() < header.len());
            }
        }
    }
}
