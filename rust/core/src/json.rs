//! JSON text (RFC 8259) written exactly as Python's `json.dumps(ensure_ascii=False)` writes it.
//!
//! Walking the Python objects is the binding's part; this module knows how one string or number looks. Reading JSON is
//! Python's decoder's part; this module only tells it which documents may hold a number beyond a float's range.

use crate::scan;

/// Bytes looked at together: the comparisons below compile to vector instructions.
const BLOCK: usize = 32;

/// For each byte that must not stand in a string as it is: the letter after the backslash, `u` meaning `\u00xx`.
const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = b'u';
        control += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

/// A number below 1e309 that has fewer digits in a row than this, and an exponent below [`EXPONENT_DIGITS`] digits,
/// fits: 1e200 times 1e99 is 1e299.
const DIGITS_IN_A_ROW: usize = 200;
const EXPONENT_DIGITS: usize = 3;

const HEX: [u8; 16] = *b"0123456789abcdef";

/// Appends `text` in double quotes. Escapes only what it has to: quotes, backslashes and control characters.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    out.reserve(rest.len() + 2);
    out.push(b'"');
    loop {
        let (clean, tail) = rest.split_at(clean_prefix(rest));
        out.extend_from_slice(clean);
        let Some((&byte, after)) = tail.split_first() else {
            break;
        };
        write_escape(out, byte);
        rest = after;
    }
    out.push(b'"');
}

/// Appends a whole number in decimal.
pub fn write_int(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a number as Python's `repr` writes it; false, and nothing appended, for NaN and the infinities.
///
/// The digits are the shortest that read back as the same number. Python turns to an exponent of at least two digits
/// below 1e-4 and from 1e16 on; `ryu` has a limit and a form of its own there.
pub fn write_float(out: &mut Vec<u8>, number: f64) -> bool {
    if !number.is_finite() {
        return false;
    }
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(number);
    if let Some((mantissa, exponent)) = text.split_once('e') {
        // ryu leaves ".0" out before an exponent, as Python does
        write_exponent(out, mantissa, exponent);
    } else if let Some(digits) = text.trim_start_matches('-').strip_prefix("0.0000") {
        // ryu's one plain form below Python's limit: 0.0000123
        out.extend_from_slice(if number < 0.0 { b"-" } else { b"" });
        let (first, others) = digits.split_at(1);
        out.extend_from_slice(first.as_bytes());
        if !others.is_empty() {
            out.push(b'.');
            out.extend_from_slice(others.as_bytes());
        }
        out.extend_from_slice(b"e-05");
    } else {
        out.extend_from_slice(text.as_bytes());
    }
    true
}

fn write_exponent(out: &mut Vec<u8>, mantissa: &str, exponent: &str) {
    out.extend_from_slice(mantissa.as_bytes());
    out.push(b'e');
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => (b'-', digits),
        None => (b'+', exponent),
    };
    out.push(sign);
    if digits.len() < 2 {
        out.push(b'0');
    }
    out.extend_from_slice(digits.as_bytes());
}

/// Whether `document` may hold a number that overflows to an infinity: true for each that does, and for few others.
///
/// Looks at the text only, inside strings too, and costs a fraction of what decoding does.
#[must_use]
pub fn may_overflow(document: &[u8]) -> bool {
    long_exponent(document) || long_run_of_digits(document)
}

/// A digit, an `e`, and an exponent of [`EXPONENT_DIGITS`] or more without a minus.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "without branches it compiles to vector instructions"
)]
fn long_exponent(document: &[u8]) -> bool {
    let starts_exponent = |pair: (&u8, &u8)| pair.0.is_ascii_digit() & (pair.1 | 0x20 == b'e');
    let next = document.get(1..).unwrap_or_default();
    let mut offset = 0;
    for (block, shifted) in document.chunks(BLOCK).zip(next.chunks(BLOCK)) {
        scan::count(BLOCK);
        let any = block
            .iter()
            .zip(shifted)
            .fold(false, |any, pair| any | starts_exponent(pair));
        if any {
            let after_e = (offset + 2..).zip(block.iter().zip(shifted));
            for (position, _) in after_e.filter(|(_, pair)| starts_exponent(*pair)) {
                let exponent = document.get(position..).unwrap_or_default();
                let exponent = exponent.strip_prefix(b"+").unwrap_or(exponent);
                scan::count(EXPONENT_DIGITS);
                let digits = exponent
                    .iter()
                    .take(EXPONENT_DIGITS)
                    .take_while(|byte| byte.is_ascii_digit())
                    .count();
                if digits == EXPONENT_DIGITS {
                    return true;
                }
            }
        }
        offset += BLOCK;
    }
    false
}

/// So many digits in a row contain a whole stride of nothing else: each stride is given up at its first other byte.
fn long_run_of_digits(document: &[u8]) -> bool {
    document
        .chunks_exact(DIGITS_IN_A_ROW / 2)
        .any(|stride| scan::position(stride, |byte| !byte.is_ascii_digit()).is_none())
}

/// How many bytes at the start need no escape.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "without branches it compiles to vector instructions"
)]
fn clean_prefix(bytes: &[u8]) -> usize {
    let blocks = bytes.chunks_exact(BLOCK);
    let mut length = 0;
    for block in blocks {
        scan::count(BLOCK);
        let dirty = block.iter().fold(false, |dirty, &byte| {
            dirty | (byte < 0x20) | (byte == b'"') | (byte == b'\\')
        });
        if dirty {
            break;
        }
        length += BLOCK;
    }
    let rest = bytes.get(length..).unwrap_or_default();
    length + scan::position(rest, |&byte| ESCAPES[usize::from(byte)] != 0).unwrap_or(rest.len())
}

#[cold]
fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let letter = ESCAPES[usize::from(byte)];
    out.extend_from_slice(&[b'\\', letter]);
    if letter == b'u' {
        out.extend_from_slice(&[b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use proptest::prelude::*;

    fn string(text: &str) -> String {
        let mut out = Vec::new();
        write_string(&mut out, text);
        String::from_utf8(out).expect("UTF-8 in, UTF-8 out")
    }

    fn float(number: f64) -> String {
        let mut out = Vec::new();
        assert!(write_float(&mut out, number));
        String::from_utf8(out).expect("digits are ASCII")
    }

    #[test]
    fn string_special_characters_are_escaped() {
        let cases = [
            ("", r#""""#),
            ("plain", r#""plain""#),
            ("\"\\/", r#""\"\\/""#),
            ("\u{8}\t\n\u{c}\r", r#""\b\t\n\f\r""#),
            ("\0\u{1f}\u{7f}", "\"\\u0000\\u001f\u{7f}\""),
            ("é€𐍈\u{2028}", "\"é€𐍈\u{2028}\""),
        ];
        for (text, expected) in cases {
            assert_eq!(string(text), expected);
        }
    }

    #[test]
    fn string_escape_at_any_offset_is_found() {
        for length in 0..100 {
            for position in 0..=length {
                let text = format!("{}\n{}", "x".repeat(position), "y".repeat(length - position));
                let expected = format!("\"{}\\n{}\"", "x".repeat(position), "y".repeat(length - position));
                assert_eq!(string(&text), expected);
            }
        }
    }

    #[test]
    fn float_form_is_pythons() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-2.5, "-2.5"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00012, "0.00012"),
            (0.00001, "1e-05"),
            (-0.000_012_3, "-1.23e-05"),
            (1e-7, "1e-07"),
            (1.5e-10, "1.5e-10"),
            (1e15, "1000000000000000.0"),
            (1_234_567_890_123_456.0, "1234567890123456.0"),
            (1e16, "1e+16"),
            (-1.25e17, "-1.25e+17"),
            (1e100, "1e+100"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        ];
        for (number, expected) in cases {
            assert_eq!(float(number), expected);
        }
    }

    #[test]
    fn float_not_finite_is_refused() {
        let mut out = b"[".to_vec();
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(!write_float(&mut out, number));
        }
        assert_eq!(out, b"[");
    }

    #[test]
    fn overflow_is_seen() {
        let long = "9".repeat(310) + ".0";
        let both = "9".repeat(220) + "e99";
        let far = " ".repeat(1000) + "1e999";
        for text in ["1e999", "[-1E400]", "1.5e+309", "0.1e0999", &long, &both, &far] {
            assert!(may_overflow(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn ordinary_numbers_do_not_overflow() {
        let digits = "7".repeat(99);
        for text in ["", "e999", "1e99", "1e-999", "[1,2e5]", "1 e999", "3e", "3e+", &digits] {
            assert!(!may_overflow(text.as_bytes()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn overflow_anywhere_is_seen(before in "[a-f0-9 ,.e-]{0,100}", number in "[1-9][0-9]{0,400}(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,4})?") {
            if number.parse::<f64>().expect("a number").is_infinite() {
                let document = format!("{before} {number}");
                prop_assert!(may_overflow(document.as_bytes()));
            }
        }

        #[test]
        fn float_reads_back_the_same(bits: u64) {
            let number = f64::from_bits(bits);
            prop_assume!(number.is_finite());
            prop_assert_eq!(float(number).parse::<f64>().expect("a number").to_bits(), bits);
        }

        #[test]
        fn string_equals_the_slow_way(text: String) {
            let mut expected = String::from("\"");
            for character in text.chars() {
                match character {
                    '"' | '\\' => expected.extend(['\\', character]),
                    '\u{8}' => expected.push_str("\\b"),
                    '\t' => expected.push_str("\\t"),
                    '\n' => expected.push_str("\\n"),
                    '\u{c}' => expected.push_str("\\f"),
                    '\r' => expected.push_str("\\r"),
                    '\0'..='\u{1f}' => write!(expected, "\\u{:04x}", u32::from(character)).expect("a String takes any text"),
                    _ => expected.push(character),
                }
            }
            expected.push('"');
            prop_assert_eq!(string(&text), expected);
        }

        #[test]
        fn int_is_decimal(number: i64) {
            let mut out = Vec::new();
            write_int(&mut out, number);
            prop_assert_eq!(out, number.to_string().into_bytes());
        }
    }
}
