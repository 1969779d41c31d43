//! Writes strings and numbers as `json.dumps(ensure_ascii=False)` does, and looks for numbers beyond a float's range.

use super::scan_text::{ESCAPES, WORD, clean_prefix, special_bytes};
use crate::scan;

/// Bytes looked at together: the comparisons below compile to vector instructions.
const BLOCK: usize = 32;

/// The longest text that is appended as a block, with its quotes.
const SHORT: usize = 30;
const SHORT_BLOCK: usize = SHORT + 2;

/// A number below 1e309 that has fewer digits in a row than this, and an exponent below [`EXPONENT_DIGITS`] digits,
/// fits: 1e200 times 1e99 is 1e299.
const DIGITS_IN_A_ROW: usize = 200;
const EXPONENT_DIGITS: usize = 3;

const HEX: [u8; 16] = *b"0123456789abcdef";

/// Appends `text` in double quotes. Escapes only what it has to: quotes, backslashes and control characters.
#[inline]
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    if bytes.len() > SHORT || !write_short(out, bytes) {
        write_long(out, bytes);
    }
}

/// Appends a short text that needs no escape. False, and nothing appended, for another.
///
/// Most strings are short keys and values. They are put together in a block of a known size, which is appended as a
/// whole and cut: that costs less than to append so many bytes.
#[inline]
fn write_short(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let length = bytes.len();
    scan::count(length);
    let mut block = [b'"'; SHORT_BLOCK];
    let mut special = 0;
    let mut put = |at: usize, word: u64, padding: u64| {
        special |= special_bytes(word | padding);
        if let Some(place) = block.get_mut(at + 1..at + 1 + WORD) {
            place.copy_from_slice(&word.to_le_bytes());
        }
    };
    if length >= WORD {
        let mut at = 0;
        while at + WORD < length {
            put(at, word_at(bytes, at), 0);
            at += WORD;
        }
        put(length - WORD, word_at(bytes, length - WORD), 0); // again what is before the last word's own bytes
    } else {
        put(0, short_word(bytes), SPACES << (8 * length));
    }
    if special != 0 {
        return false;
    }
    if let Some(end) = block.get_mut(length + 1) {
        *end = b'"';
    }
    let start = out.len();
    out.extend_from_slice(&block);
    out.truncate(start + length + 2);
    true
}

const SPACES: u64 = u64::from_le_bytes([b' '; WORD]);

#[inline]
fn word_at(bytes: &[u8], at: usize) -> u64 {
    let word = bytes.get(at..at + WORD).and_then(|word| word.try_into().ok());
    word.map_or(0, u64::from_le_bytes)
}

/// The bytes, which are fewer than a word, in its lowest places.
#[inline]
fn short_word(bytes: &[u8]) -> u64 {
    let length = bytes.len();
    let half = |at: usize| {
        let half = bytes.get(at..at + WORD / 2).and_then(|half| half.try_into().ok());
        half.map(u32::from_le_bytes).map_or(0, u64::from)
    };
    let byte = |at: usize| bytes.get(at).map_or(0, |byte| u64::from(*byte) << (8 * at));
    if length >= WORD / 2 {
        half(0) | (half(length - WORD / 2) << (8 * (length - WORD / 2)))
    } else {
        // One, two or three bytes, some of them read twice.
        byte(0) | byte(length / 2) | byte(length.saturating_sub(1))
    }
}

#[inline(never)]
fn write_long(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut rest = bytes;
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
#[inline]
pub fn write_int(out: &mut Vec<u8>, number: i64) {
    if (0..10_000).contains(&number) {
        write_four_digits(out, number as u32);
    } else {
        write_any_int(out, number);
    }
}

#[inline(never)]
fn write_any_int(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a number below 10,000: ids, counts and years are most of the numbers in documents.
#[inline]
fn write_four_digits(out: &mut Vec<u8>, number: u32) {
    let digit = |weight: u32| (number / weight % 10) << 24;
    let digits = (digit(1000) >> 24) | (digit(100) >> 16) | (digit(10) >> 8) | digit(1);
    let zeros = usize::from(number < 1000) + usize::from(number < 100) + usize::from(number < 10);
    let end = out.len() + 4 - zeros;
    out.extend_from_slice(&((digits | 0x3030_3030) >> (8 * zeros)).to_le_bytes());
    out.truncate(end);
}

/// Appends a number as Python's `repr` writes it; false, and nothing appended, for NaN and the infinities.
///
/// The digits are the shortest that read back as the same number. Python turns to an exponent of at least two digits
/// below 1e-4 and from 1e16 on; `zmij` has a limit and a form of its own there.
#[inline(never)]
pub fn write_float(out: &mut Vec<u8>, number: f64) -> bool {
    if !number.is_finite() {
        return false;
    }
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(number);
    if let Some((mantissa, exponent)) = text.split_once('e') {
        // zmij leaves ".0" out before an exponent, as Python does
        write_exponent(out, mantissa, exponent);
    } else if let Some(digits) = text.trim_start_matches('-').strip_prefix("0.0000") {
        // zmij's one plain form below Python's limit: 0.0000123
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
        None => (b'+', exponent.trim_start_matches('+')),
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
    fn int_form_is_decimal() {
        for number in (-20_000..20_000).chain([i64::MIN, i64::MAX]) {
            let mut out = b"x".to_vec();
            write_int(&mut out, number);
            assert_eq!(String::from_utf8(out).expect("digits"), format!("x{number}"));
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
