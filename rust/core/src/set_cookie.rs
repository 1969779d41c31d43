//! Writes the value of a `Set-Cookie` header (RFC 6265 section 4.1), in the form of Python's `http.cookies`.

use std::error::Error;
use std::fmt;

use crate::date::imf_fixdate;
use crate::scan;

/// Why a cookie cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CookieError {
    /// The name is empty or contains an illegal character.
    Name,
    /// The name is that of an attribute: readers would treat the pair as an attribute.
    ReservedName,
    /// The named attribute contains a control character or a semicolon, which could start another attribute.
    Attribute(&'static str),
    /// The value, or the named attribute, contains a character above U+00FF.
    Latin1(&'static str),
    /// The expiry date is outside the years 1 to 9999.
    Expires,
}

impl CookieError {
    /// The name of the variant, for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::ReservedName => "reserved_name",
            Self::Attribute(_) => "attribute",
            Self::Latin1(_) => "latin1",
            Self::Expires => "expires",
        }
    }
}

impl fmt::Display for CookieError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => formatter.write_str("a cookie name must consist of letters, digits and !#$%&'*+-.^_`|~:"),
            Self::ReservedName => formatter.write_str("a cookie must not have the name of a cookie attribute"),
            Self::Attribute(name) => write!(
                formatter,
                "the {name} of a cookie must not contain control characters or semicolons"
            ),
            Self::Latin1(name) => write!(formatter, "the {name} of a cookie must be encodable as Latin-1"),
            Self::Expires => formatter.write_str("a cookie must expire in the years 1 to 9999"),
        }
    }
}

impl Error for CookieError {}

/// The time when a cookie expires.
#[derive(Clone, Copy, Debug)]
pub enum Expires<'a> {
    /// Seconds since 1970.
    At(i64),
    /// A formatted date.
    Text(&'a str),
}

/// The attributes of a cookie. None and empty text are left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attributes<'a> {
    /// The hosts that receive it: `Domain`.
    pub domain: Option<&'a str>,
    /// When it expires: `expires`.
    pub expires: Option<Expires<'a>>,
    /// Hidden from scripts: `HttpOnly`.
    pub httponly: bool,
    /// Its lifetime in seconds, as text: `Max-Age`.
    pub max_age: Option<&'a str>,
    /// Stored separately for each top-level site: `Partitioned`.
    pub partitioned: bool,
    /// The paths that receive it: `Path`.
    pub path: Option<&'a str>,
    /// The cross-site requests that include it: `SameSite`.
    pub samesite: Option<&'a str>,
    /// Sent over TLS only: `Secure`.
    pub secure: bool,
}

const RESERVED: [&str; 10] = [
    "comment",
    "domain",
    "expires",
    "httponly",
    "max-age",
    "partitioned",
    "path",
    "samesite",
    "secure",
    "version",
];

/// The characters allowed in a name, and in a value without quotes.
const PLAIN: [bool; 256] = table(b"!#$%&'*+-.^_`|~:");

/// The characters that need no escape inside quotes.
const QUOTED: [bool; 256] = table(b"!#$%&'*+-.^_`|~: ()/<=>?@[]{}");

const fn table(punctuation: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut index = 0;
    while index < 256 {
        table[index] = (index as u8).is_ascii_alphanumeric();
        index += 1;
    }
    let mut index = 0;
    while index < punctuation.len() {
        table[punctuation[index] as usize] = true;
        index += 1;
    }
    table
}

/// Appends the value of the header, with the attributes in alphabetical order, as `http.cookies` writes them.
///
/// # Errors
/// [`CookieError`] if the name, the value or an attribute cannot be sent; `out` then ends with an incomplete value.
pub fn write(out: &mut Vec<u8>, name: &str, value: &str, attributes: &Attributes<'_>) -> Result<(), CookieError> {
    if !is_plain(name) || name.is_empty() {
        return Err(CookieError::Name);
    }
    if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
        return Err(CookieError::ReservedName);
    }
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
    write_value(out, value)?;
    write_attribute(out, "Domain", attributes.domain)?;
    match attributes.expires {
        Some(Expires::At(unix_seconds)) => {
            let date = imf_fixdate(unix_seconds).ok_or(CookieError::Expires)?;
            out.extend_from_slice(b"; expires=");
            out.extend_from_slice(&date);
        }
        Some(Expires::Text(text)) => write_attribute(out, "expires", Some(text))?,
        None => {}
    }
    write_flag(out, "HttpOnly", attributes.httponly);
    write_attribute(out, "Max-Age", attributes.max_age)?;
    write_flag(out, "Partitioned", attributes.partitioned);
    write_attribute(out, "Path", attributes.path)?;
    write_attribute(out, "SameSite", attributes.samesite)?;
    write_flag(out, "Secure", attributes.secure);
    // Whitespace at the end is not part of a field value (RFC 9110 section 5.5), but a path can end with it.
    while let Some(b' ' | 0x85 | 0xa0) = out.last() {
        out.pop();
    }
    Ok(())
}

fn is_plain(text: &str) -> bool {
    scan::count(text.len());
    text.bytes().all(|byte| PLAIN[usize::from(byte)])
}

/// Appends a value, in quotes if it contains other characters than plain ones: `"` and `\` get a backslash, the others
/// are written as three octal digits.
fn write_value(out: &mut Vec<u8>, value: &str) -> Result<(), CookieError> {
    if is_plain(value) {
        // `http.cookies` quotes the empty value.
        out.extend_from_slice(if value.is_empty() { b"\"\"" } else { value.as_bytes() });
        return Ok(());
    }
    out.push(b'"');
    for character in value.chars() {
        scan::count(1);
        let byte = u8::try_from(u32::from(character)).map_err(|_| CookieError::Latin1("value"))?;
        if QUOTED[usize::from(byte)] {
            out.push(byte);
        } else if matches!(byte, b'"' | b'\\') {
            out.extend_from_slice(&[b'\\', byte]);
        } else {
            out.extend_from_slice(&[b'\\', b'0' + (byte >> 6), b'0' + (byte >> 3 & 7), b'0' + (byte & 7)]);
        }
    }
    out.push(b'"');
    Ok(())
}

fn write_attribute(out: &mut Vec<u8>, name: &'static str, value: Option<&str>) -> Result<(), CookieError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(());
    };
    if value.bytes().any(|byte| byte == b';' || byte.is_ascii_control()) {
        return Err(CookieError::Attribute(name));
    }
    // Examined, and written.
    scan::count(2 * value.len());
    write_flag(out, name, true);
    out.push(b'=');
    for character in value.chars() {
        out.push(u8::try_from(u32::from(character)).map_err(|_| CookieError::Latin1(name))?);
    }
    Ok(())
}

fn write_flag(out: &mut Vec<u8>, name: &str, set: bool) {
    if set {
        out.extend_from_slice(b"; ");
        out.extend_from_slice(name.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cookie(name: &str, value: &str, attributes: Attributes<'_>) -> Result<String, CookieError> {
        let mut out = Vec::new();
        write(&mut out, name, value, &attributes)?;
        Ok(out.iter().map(|&byte| char::from(byte)).collect())
    }

    #[test]
    fn cookie_values_are_quoted_when_needed() {
        let cases = [
            ("v", "k=v"),
            ("", r#"k="""#),
            ("a b", r#"k="a b""#),
            (r#"a"\"#, r#"k="a\"\\""#),
            ("a;b,c", r#"k="a\073b\054c""#),
            ("\r\n\0\u{7f}", r#"k="\015\012\000\177""#),
            ("caf\u{e9}\u{ff}", r#"k="caf\351\377""#),
        ];
        for (value, expected) in cases {
            assert_eq!(cookie("k", value, Attributes::default()).as_deref(), Ok(expected));
        }
        assert_eq!(
            cookie("k", "€", Attributes::default()),
            Err(CookieError::Latin1("value"))
        );
    }

    #[test]
    fn cookie_attributes_follow_in_order() {
        let attributes = Attributes {
            domain: Some("example.org"),
            expires: Some(Expires::At(784_111_777)),
            httponly: true,
            max_age: Some("10"),
            partitioned: true,
            path: Some("/"),
            samesite: Some("lax"),
            secure: true,
        };
        let expected = "k=v; Domain=example.org; expires=Sun, 06 Nov 1994 08:49:37 GMT; HttpOnly; Max-Age=10; \
                        Partitioned; Path=/; SameSite=lax; Secure";
        assert_eq!(cookie("k", "v", attributes).as_deref(), Ok(expected));
    }

    #[test]
    fn cookie_bad_names_and_attributes_are_refused() {
        for name in ["", "a b", "a=b", "a;b", "a\n", "é", "(a)"] {
            assert_eq!(
                cookie(name, "v", Attributes::default()),
                Err(CookieError::Name),
                "{name:?}"
            );
        }
        for name in ["path", "Max-Age", "SECURE", "version"] {
            assert_eq!(cookie(name, "v", Attributes::default()), Err(CookieError::ReservedName));
        }
        for text in ["/;x", "/\r\nx: y", "/\0", "/\u{7f}"] {
            let none = Attributes::default();
            for (attributes, name) in [
                (
                    Attributes {
                        path: Some(text),
                        ..none
                    },
                    "Path",
                ),
                (
                    Attributes {
                        domain: Some(text),
                        ..none
                    },
                    "Domain",
                ),
                (
                    Attributes {
                        samesite: Some(text),
                        ..none
                    },
                    "SameSite",
                ),
                (
                    Attributes {
                        max_age: Some(text),
                        ..none
                    },
                    "Max-Age",
                ),
                (
                    Attributes {
                        expires: Some(Expires::Text(text)),
                        ..none
                    },
                    "expires",
                ),
            ] {
                assert_eq!(cookie("k", "v", attributes), Err(CookieError::Attribute(name)));
            }
        }
        let late = Attributes {
            expires: Some(Expires::At(i64::MAX)),
            ..Attributes::default()
        };
        assert_eq!(cookie("k", "v", late), Err(CookieError::Expires));
        let wide = Attributes {
            path: Some("/€"),
            ..Attributes::default()
        };
        assert_eq!(cookie("k", "v", wide), Err(CookieError::Latin1("Path")));
    }

    proptest! {
        #[test]
        fn cookie_never_breaks_its_line(name: String, value: String, path: String) {
            let attributes = Attributes { path: Some(&path), ..Attributes::default() };
            if let Ok(text) = cookie(&name, &value, attributes) {
                prop_assert!(!text.contains(['\r', '\n', '\0']));
                prop_assert!(text.matches(';').count() <= 1);
            }
        }
    }
}
