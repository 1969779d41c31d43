//! JSON documents, taken apart and put together again, compared with another reader.

use pallasite_core::json::{Reader, Value};
use serde_json::Value as Reference;

use crate::work::linear;

/// The other reader refuses documents that are more than 128 levels deep.
const DEPTH_MAX: usize = 100;

pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    // After each escape, the next block of 32 bytes is examined.
    let found = linear(text.len(), 40, 256, || document(&text));
    let expected: Result<Reference, _> = serde_json::from_str(&text);
    match (found, expected) {
        (Some(mut found), Ok(mut expected)) => {
            same_zeros(&mut found);
            same_zeros(&mut expected);
            assert_eq!(found, expected);
        }
        (None, Err(_)) => {}
        (None, Ok(_)) => assert!(depth(&text) > DEPTH_MAX, "a document is refused"),
        (Some(found), Err(error)) => panic!("{error}, but read as {found}"),
    }
}

fn document(text: &str) -> Option<Reference> {
    let mut reader = Reader::new(text);
    let value = read(&mut reader, DEPTH_MAX)?;
    reader.is_at_end().then_some(value)
}

fn read(reader: &mut Reader<'_>, depth_left: usize) -> Option<Reference> {
    Some(match reader.value()? {
        Value::Null => Reference::Null,
        Value::Bool(flag) => flag.into(),
        Value::Int(number) => number.into(),
        // Longer than the other reader's whole numbers, or not: its own reading decides.
        Value::LongInt(digits) => serde_json::from_str(digits).ok()?,
        Value::Float(number) => number.into(),
        Value::String(text) => text.as_str().into(),
        Value::Array => {
            let depth_left = depth_left.checked_sub(1)?;
            let mut items = Vec::new();
            let mut has_more = reader.has_first(b']')?;
            while has_more {
                items.push(read(reader, depth_left)?);
                has_more = reader.has_next(b']')?;
            }
            items.into()
        }
        Value::Object => {
            let depth_left = depth_left.checked_sub(1)?;
            let mut items = serde_json::Map::new();
            let mut has_more = reader.has_first(b'}')?;
            while has_more {
                let key = reader.key()?.as_str().to_owned();
                items.insert(key, read(reader, depth_left)?);
                has_more = reader.has_next(b'}')?;
            }
            Reference::Object(items)
        }
    })
}

/// To the other reader, `-0` is a float.
fn same_zeros(value: &mut Reference) {
    match value {
        Reference::Number(number) if number.as_f64() == Some(0.0) => *value = 0.into(),
        Reference::Array(items) => items.iter_mut().for_each(same_zeros),
        Reference::Object(items) => items.values_mut().for_each(same_zeros),
        _ => {}
    }
}

fn depth(text: &str) -> usize {
    text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count()
}
