//! JSON text: strings, compared with escaping character by character and with a JSON parser; numbers, parsed again; and
//! numbers that overflow, which are detected.

use std::sync::LazyLock;

use pallasite_core::json::{may_overflow, write_float, write_int, write_string};
use regex::Regex;

use crate::work::linear;

static NUMBER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?").expect("a regular expression"));

// The encoder receives whole strings. Its output for one half does not depend on the other half.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    // After each escape, the next block of 32 bytes is examined.
    let written = linear(text.len(), 40, 24, || string(&text));
    assert_eq!(written, reference(&text));
    let read: String = serde_json::from_slice(&written).expect("it is JSON");
    assert_eq!(read, text);
    // Although blocks are examined as a whole, the result does not depend on the text before.
    for cut in text.char_indices().map(|(at, _)| at).take(64) {
        let (first, second) = text.split_at(cut);
        let (first, second) = (string(first), string(second));
        assert_eq!([&first[..first.len() - 1], &second[1..]].concat(), written);
    }
    let overflows = linear(text.len(), 8, 0, || may_overflow(text.as_bytes()));
    let is_infinite = |number: &str| number.parse::<f64>().is_ok_and(f64::is_infinite);
    assert!(overflows || !NUMBER.find_iter(&text).any(|number| is_infinite(number.as_str())));
    if let Some(bits) = input.first_chunk::<8>() {
        numbers(u64::from_le_bytes(*bits));
    }
}

fn string(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_string(&mut out, text);
    out
}

fn reference(text: &str) -> Vec<u8> {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\u{8}' => out += "\\b",
            '\t' => out += "\\t",
            '\n' => out += "\\n",
            '\u{c}' => out += "\\f",
            '\r' => out += "\\r",
            '\0'..='\u{1f}' => out += &format!("\\u{:04x}", u32::from(character)),
            _ => out.push(character),
        }
    }
    out.push('"');
    out.into_bytes()
}

fn numbers(bits: u64) {
    let mut out = Vec::new();
    write_int(&mut out, bits as i64);
    assert_eq!(out, (bits as i64).to_string().into_bytes());
    out.clear();
    let number = f64::from_bits(bits);
    assert_eq!(write_float(&mut out, number), number.is_finite());
    if number.is_finite() {
        let text = std::str::from_utf8(&out).expect("digits");
        assert_eq!(text.parse::<f64>().expect("a number").to_bits(), bits);
        let read: f64 = serde_json::from_str(text).expect("it is JSON");
        assert_eq!(read.to_bits(), bits);
        // Python writes a point, or an exponent of at least two digits from 1e16 on and below 1e-4.
        let has_exponent = number != 0.0 && (number.abs() >= 1e16 || number.abs() < 1e-4);
        assert_eq!(text.contains('e'), has_exponent, "{text}");
        assert!(has_exponent || text.contains('.'), "{text}");
    } else {
        assert!(out.is_empty());
    }
}
