//! Names, values and parameters of header fields, compared with a reference that reads byte by byte. A header is never
//! split into chunks, so the input is not cut.

use pallasite_core::header::{Elements, is_field_value, is_token, lower_name, trim_ows};

use crate::work::linear;

/// The value and parameters of an element.
pub(crate) type Parts = (Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>);

pub fn check(input: &[u8]) {
    linear(input.len(), 4, 4, || {
        let is_name = !input.is_empty()
            && input
                .iter()
                .all(|byte| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(byte));
        assert_eq!(is_token(input), is_name);
        let breaks = input.iter().any(|byte| [0, b'\n', b'\r'].contains(byte));
        assert_eq!(is_field_value(input), !breaks);
        assert_eq!(lower_name(input), input.to_ascii_lowercase());
    });
    for is_list in [false, true] {
        let found = linear(input.len(), 16, 256, || {
            let elements = if is_list {
                Elements::of_list(input, usize::MAX)
            } else {
                Elements::of_single(input, usize::MAX)
            };
            elements.collect::<Vec<_>>()
        });
        let owned = found.iter().map(|element| {
            let parameters = element.parameters.iter();
            let parameters = parameters.map(|(name, value)| (name.to_vec(), value.to_vec()));
            (element.value.to_vec(), parameters.collect())
        });
        assert_eq!(owned.collect::<Vec<Parts>>(), reference(input, is_list));
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Value,
    Name,
    BeforeText,
    Text,
    Quoted,
    Escaped,
    BehindQuote,
}

pub(crate) fn reference(input: &[u8], is_list: bool) -> Vec<Parts> {
    let mut elements = vec![Parts::default()];
    let mut place = Place::Value;
    for &byte in input {
        let (value, parameters) = elements.last_mut().expect("there is one");
        let ends_here = byte == b';' || (is_list && byte == b',');
        if ends_here && !matches!(place, Place::Quoted | Place::Escaped) {
            if byte == b';' {
                parameters.push(Default::default());
                place = Place::Name;
            } else {
                elements.push(Parts::default());
                place = Place::Value;
            }
            continue;
        }
        if place == Place::Value {
            value.push(byte);
            continue;
        }
        let (name, text) = parameters.last_mut().expect("its semicolon was there");
        match (place, byte) {
            (Place::Name, b'=') => place = Place::BeforeText,
            (Place::Name, _) => name.push(byte),
            (Place::BeforeText, b' ' | b'\t') => {}
            (Place::BeforeText, b'"') => {
                // Protects the ends of quoted text from being trimmed below.
                text.push(b'"');
                place = Place::Quoted;
            }
            (Place::Quoted, b'"') => place = Place::BehindQuote,
            (Place::Quoted, b'\\') => place = Place::Escaped,
            (Place::BehindQuote, _) => {}
            (Place::Quoted | Place::Escaped, _) => {
                text.push(byte);
                place = Place::Quoted;
            }
            _ => {
                text.push(byte);
                place = Place::Text;
            }
        }
    }
    if place == Place::Escaped
        && let Some((_, text)) = elements.last_mut().and_then(|(_, parameters)| parameters.last_mut())
    {
        text.push(b'\\');
    }
    for (value, parameters) in &mut elements {
        *value = trim_ows(value).to_vec();
        for (name, text) in parameters.iter_mut() {
            *name = trim_ows(name).to_vec();
            *text = text.strip_prefix(b"\"").unwrap_or_else(|| trim_ows(text)).to_vec();
        }
        parameters.retain(|(name, _)| !name.is_empty());
    }
    elements
}
