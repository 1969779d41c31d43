//! The header fields that depend on the body of a response (RFC 9110 sections 8.3 and 8.6).

use std::borrow::Cow;

/// True if a response with this status has a Content-Length: false for 1xx, 204 and 304 (RFC 9110 section 8.6).
#[must_use]
pub fn has_content_length(status: i64) -> bool {
    status >= 200 && status != 204 && status != 304
}

/// True if a response with this status may have content: false for 1xx, 204, 205 and 304 (RFC 9110 sections 15.2,
/// 15.3.5, 15.3.6 and 15.4.5).
#[must_use]
pub fn allows_content(status: u16) -> bool {
    status >= 200 && !matches!(status, 204 | 205 | 304)
}

/// The content type to send: the media type, with the charset added to `text/` types that have none.
#[must_use]
pub fn content_type<'a>(media_type: &'a str, charset: &str) -> Cow<'a, str> {
    let names_charset = media_type
        .as_bytes()
        .windows(b"charset=".len())
        .any(|window| window.eq_ignore_ascii_case(b"charset="));
    if names_charset || !media_type.starts_with("text/") {
        return Cow::Borrowed(media_type);
    }
    Cow::Owned(format!("{media_type}; charset={charset}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_type_of_text_gets_a_charset() {
        let cases = [
            ("text/html", "text/html; charset=utf-8"),
            ("text/html; Charset=ascii", "text/html; Charset=ascii"),
            ("application/json", "application/json"),
            ("TEXT/html", "TEXT/html"),
            ("", ""),
        ];
        for (media_type, expected) in cases {
            assert_eq!(content_type(media_type, "utf-8"), expected);
        }
    }

    #[test]
    fn content_length_has_no_place_without_content() {
        let cases = [
            (100, false),
            (199, false),
            (200, true),
            (204, false),
            (205, true),
            (304, false),
            (500, true),
        ];
        for (status, expected) in cases {
            assert_eq!(has_content_length(status), expected);
        }
    }
}
