//! Writing Set-Cookie: name, value, domain, path, SameSite and Max-Age, separated by zero bytes. The result is one
//! header value with the given attributes and no others, and a browser reads the same value from it.

use pallasite_core::cookie::parse_cookies;
use pallasite_core::header::is_field_value;
use pallasite_core::set_cookie::{Attributes, CookieError, Expires, write};
use pallasite_core::text::from_latin1;

use crate::pieces::fields;
use crate::work::linear;

pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input).into_owned();
    let texts: Vec<&str> = fields(text.as_bytes())
        .map(|field| std::str::from_utf8(field).expect("cut at an ASCII byte"))
        .collect();
    let field = |number: usize| texts.get(number).copied();
    let (name, value) = (field(0).unwrap_or(""), field(1).unwrap_or(""));
    let flags = input.len();
    let seconds = input.first_chunk::<8>().map(|bytes| i64::from_le_bytes(*bytes) >> 20);
    let attributes = Attributes {
        domain: field(2),
        path: field(3),
        samesite: field(4),
        max_age: field(5),
        expires: field(6)
            .map(Expires::Text)
            .or(seconds.filter(|_| flags & 1 == 0).map(Expires::At)),
        httponly: flags & 2 == 0,
        secure: flags & 4 == 0,
        partitioned: flags & 8 == 0,
    };
    let mut out = Vec::new();
    let outcome = linear(text.len(), 8, 64, || write(&mut out, name, value, &attributes));
    match outcome {
        Ok(()) => written(&out, name, value, &attributes),
        Err(error) => refused(error, name, value, &attributes),
    }
}

fn texts<'a>(attributes: &Attributes<'a>) -> Vec<&'a str> {
    let expires = match attributes.expires {
        Some(Expires::Text(text)) => Some(text),
        _ => None,
    };
    let all = [
        attributes.domain,
        attributes.path,
        attributes.samesite,
        attributes.max_age,
        expires,
    ];
    all.into_iter().flatten().filter(|text| !text.is_empty()).collect()
}

fn written(out: &[u8], name: &str, value: &str, attributes: &Attributes<'_>) {
    assert!(is_field_value(out) && !out.iter().any(u8::is_ascii_control));
    let mut parts = out.split(|&byte| byte == b';');
    let pair = parts.next().expect("there is always one");
    // Values, and the escapes within quotes, are Latin-1.
    let mut read = Vec::new();
    parse_cookies(&from_latin1(pair), |name, value| {
        read.push((name.to_vec(), value.into_owned()))
    });
    let mut same = vec![(name.as_bytes().to_vec(), value.as_bytes().to_vec())];
    same.retain(|(name, value)| !name.is_empty() || !value.is_empty());
    assert_eq!(read, same);
    let flags = [attributes.httponly, attributes.secure, attributes.partitioned];
    let at = usize::from(matches!(attributes.expires, Some(Expires::At(_))));
    let expected = texts(attributes).len() + flags.into_iter().filter(|set| *set).count() + at;
    assert_eq!(parts.count(), expected);
}

fn refused(error: CookieError, name: &str, value: &str, attributes: &Attributes<'_>) {
    let is_wide = |text: &str| text.chars().any(|character| u32::from(character) > 255);
    let reason = match error {
        CookieError::Name => {
            name.is_empty()
                || !name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:".contains(c))
        }
        CookieError::ReservedName => !name.is_empty() && name.chars().all(|c| c.is_ascii_alphabetic() || c == '-'),
        CookieError::Attribute(_) => texts(attributes)
            .iter()
            .any(|text| text.contains(|c: char| c == ';' || c.is_ascii_control())),
        CookieError::Latin1(_) => is_wide(value) || texts(attributes).into_iter().any(is_wide),
        CookieError::Expires => matches!(attributes.expires, Some(Expires::At(_))),
        _ => false,
    };
    assert!(reason, "{error:?}");
}
