//! Field names and values of HTTP headers (RFC 9110 section 5), and the parameters of values (section 5.6.6).

use std::borrow::Cow;

use crate::scan;

/// True if `name` is a token (RFC 9110 section 5.6.2): one or more letters, digits and ``!#$%&'*+-.^_`|~``.
#[must_use]
pub fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && scan::position(name, |&byte| !is_token_byte(byte)).is_none()
}

/// True if `value` is safe to send: CR, LF and NUL could end or split the message (RFC 9110 section 5.5).
///
/// Deviation: other control characters are accepted, as the RFC allows recipients to do.
#[must_use]
pub fn is_field_value(value: &[u8]) -> bool {
    scan::count(value.len());
    memchr::memchr3(b'\r', b'\n', 0, value).is_none()
}

/// `name` in lower case, borrowed if it already is.
#[must_use]
pub fn lower_name(name: &[u8]) -> Cow<'_, [u8]> {
    if scan::position(name, u8::is_ascii_uppercase).is_some() {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// One element of a header value, with its parameters.
#[derive(Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// The text before the first semicolon, trimmed.
    pub value: &'a [u8],
    /// Names as written and values unquoted. A parameter without `=` has an empty value.
    pub parameters: Vec<(&'a [u8], Cow<'a, [u8]>)>,
}

/// Reads a header value element by element, in linear time.
#[derive(Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
    /// True if commas separate elements, false if the whole value is one element.
    list: bool,
    max_parameters: usize,
    done: bool,
}

impl<'a> Elements<'a> {
    /// The elements of a comma-separated value. Parameters after the first `max_parameters` of an element are skipped.
    #[must_use]
    pub fn of_list(value: &'a [u8], max_parameters: usize) -> Self {
        Self {
            rest: value,
            list: true,
            max_parameters,
            done: false,
        }
    }

    /// The single element of a value in which commas have no meaning.
    #[must_use]
    pub fn of_single(value: &'a [u8], max_parameters: usize) -> Self {
        Self {
            rest: value,
            list: false,
            max_parameters,
            done: false,
        }
    }

    /// The text up to the next delimiter, which is not consumed.
    fn take_plain(&mut self) -> &'a [u8] {
        let list = self.list;
        let end = scan::position(self.rest, |&byte| byte == b';' || (list && byte == b','));
        let (plain, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        plain
    }

    /// The parameter after a semicolon.
    fn take_parameter(&mut self) -> (&'a [u8], Cow<'a, [u8]>) {
        let list = self.list;
        let end = scan::position(self.rest, |&byte| {
            byte == b'=' || byte == b';' || (list && byte == b',')
        });
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        let name = trim_ows(name);
        let Some(value) = rest.strip_prefix(b"=") else {
            return (name, Cow::Borrowed(b""));
        };
        self.rest = trim_ows_start(value);
        match self.rest.strip_prefix(b"\"") {
            Some(quoted) => {
                let (text, after) = unquote(quoted);
                self.rest = after;
                // Skip anything between the closing quote and the next delimiter.
                self.take_plain();
                (name, text)
            }
            None => (name, Cow::Borrowed(trim_ows(self.take_plain()))),
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        if self.done {
            return None;
        }
        let value = trim_ows(self.take_plain());
        let mut parameters = Vec::new();
        while let Some(rest) = self.rest.strip_prefix(b";") {
            self.rest = rest;
            let parameter = self.take_parameter();
            if parameters.len() < self.max_parameters && !parameter.0.is_empty() {
                parameters.push(parameter);
            }
        }
        match self.rest.strip_prefix(b",") {
            Some(rest) => self.rest = rest,
            None => self.done = true,
        }
        Some(Element { value, parameters })
    }
}

/// The content of a quoted string, given without its opening quote, and the text after its closing quote. Without a
/// closing quote, the string extends to the end.
fn unquote(quoted: &[u8]) -> (Cow<'_, [u8]>, &[u8]) {
    let plain = memchr::memchr2(b'"', b'\\', quoted).unwrap_or(quoted.len());
    scan::count(plain);
    let (start, mut rest) = quoted.split_at(plain);
    if let Some(after) = rest.strip_prefix(b"\"") {
        return (Cow::Borrowed(start), after);
    }
    let mut text = start.to_vec();
    loop {
        scan::count(1);
        rest = match rest {
            [] => return (Cow::Owned(text), rest),
            [b'"', after @ ..] => return (Cow::Owned(text), after),
            [b'\\', escaped, after @ ..] => {
                text.push(*escaped);
                after
            }
            [byte, after @ ..] => {
                text.push(*byte);
                after
            }
        };
    }
}

/// `value` without optional whitespace (RFC 9110 section 5.6.3) at both ends.
#[must_use]
pub fn trim_ows(value: &[u8]) -> &[u8] {
    let mut value = trim_ows_start(value);
    while let [rest @ .., b' ' | b'\t'] = value {
        scan::count(1);
        value = rest;
    }
    value
}

fn trim_ows_start(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        scan::count(1);
        value = rest;
    }
    value
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parameters(value: &[u8]) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let element = Elements::of_single(value, 100)
            .next()
            .expect("there is always one element");
        element
            .parameters
            .iter()
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    #[test]
    fn token_table_of_names() {
        for name in [&b"host"[..], b"X-A_b.c~1", b"!#$%&'*+-.^_`|~"] {
            assert!(is_token(name), "{name:?}");
        }
        for name in [
            &b""[..],
            b"a b",
            b"a:",
            b"a\n",
            b"\xE9",
            b"a\0",
            b"(a)",
            b":path",
            b"a,b",
            b"\x7F",
        ] {
            assert!(!is_token(name), "{name:?}");
        }
    }

    #[test]
    fn field_value_line_breaks_and_nul_are_refused() {
        assert!(is_field_value(b"") && is_field_value(b"a\tb \x7F\xE9"));
        for value in [&b"a\r"[..], b"\na", b"a\0b"] {
            assert!(!is_field_value(value));
        }
    }

    #[test]
    fn lower_name_is_borrowed_when_lower() {
        assert_eq!(&*lower_name(b"Content-Type"), b"content-type");
        assert!(matches!(lower_name(b"x-1\xC9"), Cow::Borrowed(b"x-1\xC9")));
    }

    #[test]
    fn parameters_table() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(parameters(b"text/html; charset=utf-8"), [pair("charset", "utf-8")]);
        assert_eq!(
            parameters(b"a; b=\"x;y\\\"z\" ; c = d"),
            [pair("b", "x;y\"z"), pair("c", "d")]
        );
        assert_eq!(parameters(b"a; b=\"open\\"), [pair("b", "open\\")]);
        assert_eq!(parameters(b"a; b=\"x\"noise; c"), [pair("b", "x"), pair("c", "")]);
        assert_eq!(parameters(b"a;;=x; ;"), []);
        assert_eq!(parameters(b"a;b=c,d"), [pair("b", "c,d")]);
    }

    #[test]
    fn elements_comma_in_quotes_does_not_split() {
        let values: Vec<_> = Elements::of_list(b"a;t=\"1,2\", b ,,c", 9)
            .map(|element| element.value)
            .collect();
        assert_eq!(values, [&b"a"[..], b"b", b"", b"c"]);
    }

    #[test]
    fn elements_parameters_past_the_limit_are_dropped() {
        let element = Elements::of_single(b"a;b=1;c=2;d=3", 2)
            .next()
            .expect("there is always one element");
        assert_eq!(element.parameters.len(), 2);
    }

    proptest! {
        #[test]
        fn elements_any_bytes_end(value in proptest::collection::vec(prop_oneof![
            any::<u8>(), Just(b';'), Just(b','), Just(b'='), Just(b'"'), Just(b'\\')
        ], 0..128)) {
            prop_assert!(Elements::of_list(&value, 8).count() <= value.len() + 1);
            prop_assert_eq!(Elements::of_single(&value, 8).count(), 1);
        }

        #[test]
        fn unquote_what_was_quoted_gives_it_back(text in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut value = b"a;b=\"".to_vec();
            for &byte in &text {
                value.extend([b'\\', byte]);
            }
            value.push(b'"');
            let element = Elements::of_single(&value, 8).next().expect("there is always one element");
            prop_assert_eq!(&*element.parameters[0].1, &text[..]);
        }
    }
}
