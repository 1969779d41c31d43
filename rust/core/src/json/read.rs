//! Takes a JSON document apart, piece by piece, from front to back.

use super::scan_text::clean_prefix;
use crate::scan;

/// Digits of which every number fits into an `i64`.
const SHORT_DIGITS: usize = 18;

/// Reads a document whose structure the caller follows.
///
/// ```
/// use pallasite_core::json::{Reader, Text, Value};
///
/// let mut reader = Reader::new(r#" {"a": [1, 2.5]} "#);
/// assert_eq!(reader.value(), Some(Value::Object));
/// assert_eq!(reader.has_first(b'}'), Some(true));
/// assert_eq!(reader.key(), Some(Text::Plain("a")));
/// assert_eq!(reader.value(), Some(Value::Array));
/// assert_eq!(reader.has_first(b']'), Some(true));
/// assert_eq!(reader.value(), Some(Value::Int(1)));
/// assert_eq!(reader.has_next(b']'), Some(true));
/// assert_eq!(reader.value(), Some(Value::Float(2.5)));
/// assert_eq!(reader.has_next(b']'), Some(false));
/// assert_eq!(reader.has_next(b'}'), Some(false));
/// assert!(reader.is_at_end());
/// ```
///
/// None means that the document is not JSON there, or holds what has no form in Rust: a lone surrogate, or a number
/// beyond the range of a float. What a reader returns afterwards has no meaning.
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// A value. Of an array or an object, only the opening bracket has been read.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number without fraction and exponent.
    Int(i64),
    /// The same, with more digits than an `i64` may have.
    LongInt(&'a str),
    /// A number with a fraction or an exponent. It is finite.
    Float(f64),
    /// A string.
    String(Text<'a>),
    /// `[`
    Array,
    /// `{`
    Object,
}

/// The content of a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text<'a> {
    /// As it stands in the document.
    Plain(&'a str),
    /// With its escapes replaced.
    Unescaped(String),
}

impl Text<'_> {
    /// The content.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Unescaped(text) => text,
        }
    }
}

impl<'a> Reader<'a> {
    /// A reader at the start of a document.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next value.
    #[inline]
    pub fn value(&mut self) -> Option<Value<'a>> {
        match self.skip_whitespace()? {
            b'"' => self.string().map(Value::String),
            b'{' => {
                self.at += 1;
                Some(Value::Object)
            }
            b'[' => {
                self.at += 1;
                Some(Value::Array)
            }
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' => self.word("null", Value::Null),
            _ => self.number(),
        }
    }

    /// After an opening bracket: whether an item follows. The bracket that closes an empty container is read.
    #[inline]
    pub fn has_first(&mut self, closing: u8) -> Option<bool> {
        let is_closed = self.skip_whitespace()? == closing;
        self.at += usize::from(is_closed);
        Some(!is_closed)
    }

    /// After an item: whether another follows. The comma or the closing bracket is read.
    #[inline]
    pub fn has_next(&mut self, closing: u8) -> Option<bool> {
        let byte = self.skip_whitespace()?;
        self.at += 1;
        if byte == b',' {
            Some(true)
        } else {
            (byte == closing).then_some(false)
        }
    }

    /// The next key of an object, with its colon.
    #[inline]
    pub fn key(&mut self) -> Option<Text<'a>> {
        if self.skip_whitespace()? != b'"' {
            return None;
        }
        let key = self.string()?;
        if self.skip_whitespace()? != b':' {
            return None;
        }
        self.at += 1;
        Some(key)
    }

    /// Whether nothing but whitespace is left.
    #[must_use]
    pub fn is_at_end(&mut self) -> bool {
        self.skip_whitespace().is_none()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The next byte that is not whitespace, which is not read. None at the end.
    #[inline]
    fn skip_whitespace(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        loop {
            let byte = *bytes.get(self.at)?;
            scan::count(1);
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Option<Value<'a>> {
        scan::count(word.len());
        if !self.rest().starts_with(word.as_bytes()) {
            return None;
        }
        self.at += word.len();
        Some(value)
    }

    /// The string at the quote.
    #[inline]
    fn string(&mut self) -> Option<Text<'a>> {
        self.at += 1;
        let start = self.at;
        self.at += clean_prefix(self.rest());
        // Both ends are next to an ASCII byte.
        let clean = self.text.get(start..self.at)?;
        match self.text.as_bytes().get(self.at)? {
            b'"' => {
                self.at += 1;
                Some(Text::Plain(clean))
            }
            b'\\' => self.escaped(clean).map(Text::Unescaped),
            _ => None,
        }
    }

    /// The rest of a string, from its first backslash on.
    #[cold]
    fn escaped(&mut self, start: &str) -> Option<String> {
        let mut text = String::with_capacity(start.len() * 2);
        text.push_str(start);
        loop {
            match self.text.as_bytes().get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some(text);
                }
                b'\\' => text.push(self.escape()?),
                _ => return None,
            }
            let from = self.at;
            self.at += clean_prefix(self.rest());
            text.push_str(self.text.get(from..self.at)?);
        }
    }

    /// The character that the escape at the backslash stands for. None for half of a surrogate pair.
    fn escape(&mut self) -> Option<char> {
        let letter = *self.text.as_bytes().get(self.at + 1)?;
        self.at += 2;
        scan::count(2);
        Some(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return None,
        })
    }

    fn unicode_escape(&mut self) -> Option<char> {
        let first = self.four_digits()?;
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first);
        }
        if !self.rest().starts_with(b"\\u") {
            return None;
        }
        self.at += 2;
        let second = self.four_digits()?;
        let is_pair = first < 0xdc00 && (0xdc00..0xe000).contains(&second);
        if is_pair {
            char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))
        } else {
            None
        }
    }

    fn four_digits(&mut self) -> Option<u32> {
        let digits = self.rest().get(..4)?;
        self.at += 4;
        scan::count(4);
        digits
            .iter()
            .try_fold(0, |number, &digit| Some(number * 16 + char::from(digit).to_digit(16)?))
    }

    /// The number at the next byte.
    #[inline]
    fn number(&mut self) -> Option<Value<'a>> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let is_negative = bytes.get(start) == Some(&b'-');
        let first = start + usize::from(is_negative);
        let (mut end, mut number) = (first, 0_i64);
        while let Some(digit) = bytes
            .get(end)
            .map(|byte| byte.wrapping_sub(b'0'))
            .filter(|digit| *digit < 10)
        {
            number = number.wrapping_mul(10).wrapping_add(i64::from(digit));
            end += 1;
        }
        let digits = end - first;
        scan::count(digits + 1);
        // At least one digit, and no zero before others.
        if digits == 0 || (digits > 1 && bytes.get(first) == Some(&b'0')) {
            return None;
        }
        self.at = end;
        if matches!(bytes.get(end), Some(b'.' | b'e' | b'E')) {
            return self.float(start);
        }
        if digits > SHORT_DIGITS {
            return self.text.get(start..end).map(Value::LongInt);
        }
        Some(Value::Int(if is_negative { -number } else { number }))
    }

    /// The number that starts there, of which the digits before the point have been read.
    fn float(&mut self, start: usize) -> Option<Value<'a>> {
        if self.text.as_bytes().get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.text.as_bytes().get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.text.as_bytes().get(self.at), Some(b'+' | b'-')));
            self.digits()?;
        }
        let number: f64 = self.text.get(start..self.at)?.parse().ok()?;
        number.is_finite().then_some(Value::Float(number))
    }

    /// At least one digit.
    fn digits(&mut self) -> Option<()> {
        let rest = self.rest();
        let count = scan::position(rest, |byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        self.at += count;
        (count > 0).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The document in a form of its own, None if it is not read to its end.
    fn read(text: &str) -> Option<String> {
        let mut reader = Reader::new(text);
        let shown = show(&mut reader)?;
        reader.is_at_end().then_some(shown)
    }

    fn show(reader: &mut Reader<'_>) -> Option<String> {
        Some(match reader.value()? {
            Value::Null => "null".into(),
            Value::Bool(flag) => flag.to_string(),
            Value::Int(number) => number.to_string(),
            Value::LongInt(digits) => format!("long {digits}"),
            Value::Float(number) => format!("{number:?}"),
            Value::String(text) => format!("{:?}", text.as_str()),
            Value::Array => {
                let mut items = Vec::new();
                let mut more = reader.has_first(b']')?;
                while more {
                    items.push(show(reader)?);
                    more = reader.has_next(b']')?;
                }
                format!("[{}]", items.join(" "))
            }
            Value::Object => {
                let mut items = Vec::new();
                let mut more = reader.has_first(b'}')?;
                while more {
                    let key = reader.key()?.as_str().to_owned();
                    items.push(format!("{key:?}={}", show(reader)?));
                    more = reader.has_next(b'}')?;
                }
                format!("{{{}}}", items.join(" "))
            }
        })
    }

    #[test]
    fn document_is_taken_apart() {
        let cases = [
            ("null", "null"),
            (" \t\r\n[ true , false ] ", "[true false]"),
            ("[]", "[]"),
            ("[[],{}]", "[[] {}]"),
            (r#"{"a":1,"b":{"c":[]},"a":2}"#, r#"{"a"=1 "b"={"c"=[]} "a"=2}"#),
            ("0", "0"),
            ("-0", "0"),
            ("-12", "-12"),
            ("999999999999999999", "999999999999999999"),
            ("-1000000000000000000", "long -1000000000000000000"),
            ("1.5", "1.5"),
            ("-0.0", "-0.0"),
            ("1e2", "100.0"),
            ("1E-2", "0.01"),
            ("1.25e+2", "125.0"),
            ("1e-999", "0.0"),
            (r#""""#, r#""""#),
            (r#""é€𐍈""#, "\"é€𐍈\""),
            (r#""\"\\\/\b\f\n\r\t""#, r#""\"\\/\u{8}\u{c}\n\r\t""#),
            (r#""x\u0041\u00e9y\ud800\udf48z""#, "\"xAéy𐍈z\""),
            (r#"{"\u0061":1}"#, r#"{"a"=1}"#),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn document_that_is_not_json_is_not_read() {
        let cases = [
            "",
            " ",
            "nul",
            "t",
            "True",
            "NaN",
            "Infinity",
            "-Infinity",
            "-",
            "+1",
            "01",
            "-01",
            ".5",
            "1.",
            "1.e2",
            "1e",
            "1e+",
            "1 2",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1 2]",
            "]",
            "{",
            "{}}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            "{1:2}",
            r#"{"a" 1}"#,
            "\"",
            "\"a",
            "\"\n\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\\u12",
            "\"\\",
            "'a'",
            "\u{feff}1",
            "1\u{a0}",
            "[1}",
            r#"{"a":1]"#,
        ];
        for text in cases {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn what_rust_cannot_hold_is_not_read() {
        for text in [
            "1e999",
            "-1e309",
            r#""\ud800""#,
            r#""\udc00\ud800""#,
            r#""\ud800x""#,
            r#""\ud800\u0041""#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
