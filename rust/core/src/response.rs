//! The head of a response: field names, field values and the two fields a body brings (RFC 9110 sections 5 and 8).

use std::fmt;

/// Why a name or a value cannot stand in a response head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldError {
    /// Not a token (RFC 9110 section 5.6.2), or empty.
    Name,
    /// A carriage return, line feed or NUL in a value: it would end the field and begin another one.
    Value,
    /// A character above U+00FF, which Latin-1, the encoding of field values, does not have.
    Latin1,
}

impl fmt::Display for FieldError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Name => "a header name must be a token: letters, digits and !#$%&'*+-.^_`|~",
            Self::Value => "a header value must not contain a carriage return, a line feed or NUL",
            Self::Latin1 => "a header value must be encodable as Latin-1",
        })
    }
}

impl std::error::Error for FieldError {}

/// Letters, digits and the punctuation of a token; indexed by byte.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut index = 0;
    while index < 256 {
        let byte = index as u8;
        table[index] = byte.is_ascii_alphanumeric();
        index += 1;
    }
    let punctuation = b"!#$%&'*+-.^_`|~";
    let mut index = 0;
    while index < punctuation.len() {
        table[punctuation[index] as usize] = true;
        index += 1;
    }
    table
};

/// True for a non-empty token, the form of a field name.
pub fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&byte| TOKEN[usize::from(byte)])
}

/// Writes a field name in lower case over what `out` held.
pub fn encode_name(out: &mut Vec<u8>, name: &str) -> Result<(), FieldError> {
    if !is_token(name.as_bytes()) {
        return Err(FieldError::Name);
    }
    out.clear();
    out.extend_from_slice(name.as_bytes());
    out.make_ascii_lowercase();
    Ok(())
}

/// Writes a field value in Latin-1 over what `out` held.
pub fn encode_value(out: &mut Vec<u8>, value: &str) -> Result<(), FieldError> {
    out.clear();
    push_latin1(out, value)?;
    if out.iter().any(|&byte| matches!(byte, b'\r' | b'\n' | 0)) { Err(FieldError::Value) } else { Ok(()) }
}

/// Appends text in Latin-1.
pub(crate) fn push_latin1(out: &mut Vec<u8>, text: &str) -> Result<(), FieldError> {
    if text.is_ascii() {
        out.extend_from_slice(text.as_bytes());
        return Ok(());
    }
    for character in text.chars() {
        out.push(u8::try_from(u32::from(character)).map_err(|_| FieldError::Latin1)?);
    }
    Ok(())
}

/// False for the statuses whose responses have no content, so that a length would be wrong (RFC 9110 section 8.6).
pub fn has_content_length(status: i64) -> bool {
    status >= 200 && status != 204 && status != 304
}

/// Writes the content type over what `out` held: text types that name no charset get this one.
pub fn encode_content_type(out: &mut Vec<u8>, media_type: &str, charset: &str) -> Result<(), FieldError> {
    encode_value(out, media_type)?;
    if media_type.starts_with("text/") && !contains_ignoring_case(media_type.as_bytes(), b"charset=") {
        out.extend_from_slice(b"; charset=");
        let start = out.len();
        push_latin1(out, charset)?;
        let appended = out.get(start..).unwrap_or_default();
        if appended.iter().any(|&byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err(FieldError::Value);
        }
    }
    Ok(())
}

fn contains_ignoring_case(text: &[u8], lower: &[u8]) -> bool {
    text.windows(lower.len()).any(|window| window.eq_ignore_ascii_case(lower))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_lowered_or_refused() {
        let mut out = b"old".to_vec();
        for (name, expected) in [("X-Thing", "x-thing"), ("a", "a"), ("!#$%&'*+-.^_`|~9Z", "!#$%&'*+-.^_`|~9z")] {
            assert_eq!(encode_name(&mut out, name), Ok(()));
            assert_eq!(out, expected.as_bytes());
        }
        for name in ["", " ", "a b", "a:", "a\r\nb", "a\0", "é", "\"a\"", "(x)"] {
            assert_eq!(encode_name(&mut out, name), Err(FieldError::Name), "{name:?}");
        }
    }

    #[test]
    fn value_is_latin1_or_refused() {
        let mut out = Vec::new();
        assert_eq!(encode_value(&mut out, "caf\u{e9}\tx"), Ok(()));
        assert_eq!(out, b"caf\xe9\tx");
        for value in ["a\rb", "a\nb", "\0", "\u{e9}\n"] {
            assert_eq!(encode_value(&mut out, value), Err(FieldError::Value), "{value:?}");
        }
        assert_eq!(encode_value(&mut out, "€"), Err(FieldError::Latin1));
    }

    #[test]
    fn content_type_of_text_gets_a_charset() {
        let mut out = Vec::new();
        let cases = [
            ("text/html", "text/html; charset=utf-8"),
            ("text/html; Charset=ascii", "text/html; Charset=ascii"),
            ("application/json", "application/json"),
            ("TEXT/html", "TEXT/html"),
            ("", ""),
        ];
        for (media_type, expected) in cases {
            assert_eq!(encode_content_type(&mut out, media_type, "utf-8"), Ok(()));
            assert_eq!(out, expected.as_bytes());
        }
        assert_eq!(encode_content_type(&mut out, "text/html", "utf-8\r\nx: y"), Err(FieldError::Value));
        assert_eq!(encode_content_type(&mut out, "text/html\n", "utf-8"), Err(FieldError::Value));
    }

    #[test]
    fn content_length_has_no_place_without_content() {
        for (status, expected) in [(100, false), (199, false), (200, true), (204, false), (205, true), (304, false), (500, true)] {
            assert_eq!(has_content_length(status), expected);
        }
    }
}
