//! Content negotiation (RFC 9110 section 12) and Content-Type (section 8.3): values with parameters and weights.

use std::borrow::Cow;
use std::cmp::Reverse;

use crate::header::Elements;
use crate::limits::{MAX_ACCEPT_ELEMENTS, MAX_HEADER_PARAMETERS};
use crate::scan;

/// One choice of an Accept, Accept-Encoding or Accept-Language header.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Media range, coding or language, in lower case.
    pub value: Vec<u8>,
    /// 0 (not acceptable) to 1000.
    pub weight_thousandths: u16,
    /// Parameters other than the weight, names in lower case.
    pub parameters: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The choices by descending weight, equal ones in the order of the header. Choices that are empty or whose weight is
/// malformed are left out, and so is everything after the first `MAX_ACCEPT_ELEMENTS` elements.
#[must_use]
pub fn parse_accept(header: &[u8]) -> Vec<Choice> {
    let mut choices = Vec::new();
    for element in Elements::of_list(header, MAX_HEADER_PARAMETERS).take(MAX_ACCEPT_ELEMENTS) {
        if element.value.is_empty() {
            continue;
        }
        let mut weight = Some(1000);
        let mut parameters = Vec::new();
        for (name, value) in element.parameters {
            if name.eq_ignore_ascii_case(b"q") {
                weight = parse_weight(&value);
                // Later parameters extend the header, not the media range; none was ever defined.
                break;
            }
            parameters.push((name.to_ascii_lowercase(), value.into_owned()));
        }
        if let Some(weight_thousandths) = weight {
            choices.push(Choice {
                value: element.value.to_ascii_lowercase(),
                weight_thousandths,
                parameters,
            });
        }
    }
    choices.sort_by_key(|choice| Reverse(choice.weight_thousandths));
    choices
}

/// The weight of `coding` (in lower case) in an Accept-Encoding header, in thousandths; 0 means not acceptable.
///
/// This is its own weight if it is listed, otherwise the weight of `*`, otherwise 0, or 1000 for `identity` (RFC 9110
/// section 12.5.3).
#[must_use]
pub fn coding_weight(header: &[u8], coding: &[u8]) -> u16 {
    let mut of_others = if coding == b"identity" { 1000 } else { 0 };
    for choice in parse_accept(header) {
        if choice.value == coding {
            return choice.weight_thousandths;
        }
        if choice.value == b"*" {
            of_others = choice.weight_thousandths;
        }
    }
    of_others
}

/// A media type and its parameters.
#[derive(Debug, PartialEq, Eq)]
pub struct ContentType<'a> {
    /// `type/subtype` in lower case, not checked; empty if the header is.
    pub media_type: Vec<u8>,
    /// Names in lower case; only the first of repeated names.
    pub parameters: Vec<(Vec<u8>, Cow<'a, [u8]>)>,
}

/// Reads a Content-Type header. Never fails: parts that are not parameters are left out, and so are parameters after
/// the first `MAX_HEADER_PARAMETERS`.
#[must_use]
pub fn parse_content_type(header: &[u8]) -> ContentType<'_> {
    let mut parsed = ContentType {
        media_type: Vec::new(),
        parameters: Vec::new(),
    };
    for element in Elements::of_single(header, MAX_HEADER_PARAMETERS) {
        parsed.media_type = element.value.to_ascii_lowercase();
        for (name, value) in element.parameters {
            let name = name.to_ascii_lowercase();
            scan::count(parsed.parameters.len());
            if !parsed.parameters.iter().any(|(known, _)| *known == name) {
                parsed.parameters.push((name, value));
            }
        }
    }
    parsed
}

/// `0` or `1` with at most three decimals (RFC 9110 section 12.4.2).
fn parse_weight(text: &[u8]) -> Option<u16> {
    let (whole, decimals) = match text {
        [whole @ (b'0' | b'1')] => (whole, &b""[..]),
        [whole @ (b'0' | b'1'), b'.', decimals @ ..] if decimals.len() <= 3 => (whole, decimals),
        _ => return None,
    };
    let mut weight = u16::from(whole - b'0') * 1000;
    let mut unit = 100;
    for digit in decimals {
        if !digit.is_ascii_digit() {
            return None;
        }
        weight += u16::from(digit - b'0') * unit;
        unit /= 10;
    }
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn weights(header: &str) -> Vec<(String, u16)> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the tests write ASCII");
        parse_accept(header.as_bytes())
            .into_iter()
            .map(|choice| (text(choice.value), choice.weight_thousandths))
            .collect()
    }

    #[test]
    fn accept_table() {
        let table: [(&str, &[(&str, u16)]); 8] = [
            ("", &[]),
            ("text/HTML, */*;q=0.8", &[("text/html", 1000), ("*/*", 800)]),
            ("gzip;q=0, br; Q=1.000", &[("br", 1000), ("gzip", 0)]),
            ("a;q=0.1234, b;q=1.001, c;q=x, d;q=, e;q=2, f;q=.5", &[]),
            ("a;q=0., b;q=0.05", &[("b", 50), ("a", 0)]),
            (",, a ,", &[("a", 1000)]),
            ("a;x=\"1,2;q=0\";q=0.3, b", &[("b", 1000), ("a", 300)]),
            ("a;q=\"0.5\"", &[("a", 500)]),
        ];
        for (header, expected) in table {
            let expected: Vec<_> = expected
                .iter()
                .map(|(value, weight)| ((*value).to_owned(), *weight))
                .collect();
            assert_eq!(weights(header), expected, "{header}");
        }
    }

    #[test]
    fn accept_elements_past_the_limit_are_dropped() {
        assert_eq!(
            parse_accept("a,".repeat(MAX_ACCEPT_ELEMENTS * 2).as_bytes()).len(),
            MAX_ACCEPT_ELEMENTS
        );
    }

    #[test]
    fn coding_weight_table() {
        for (header, coding, weight) in [
            ("gzip", "gzip", 1000),
            ("gzip;q=0", "gzip", 0),
            ("*;q=0.5", "gzip", 500),
            ("*;q=0.5, gzip;q=0", "gzip", 0),
            ("br", "gzip", 0),
            ("", "identity", 1000),
            ("*;q=0", "identity", 0),
        ] {
            assert_eq!(
                coding_weight(header.as_bytes(), coding.as_bytes()),
                weight,
                "{header} {coding}"
            );
        }
    }

    #[test]
    fn content_type_parts_in_lower_case_first_parameter_wins() {
        let parsed = parse_content_type(b"Multipart/Form-Data; Boundary=\"a B\"; boundary=other; charset");
        assert_eq!(parsed.media_type, b"multipart/form-data");
        let parameters: Vec<_> = parsed
            .parameters
            .iter()
            .map(|(name, value)| (&name[..], &value[..]))
            .collect();
        assert_eq!(parameters, [(&b"boundary"[..], &b"a B"[..]), (b"charset", b"")]);
        assert_eq!(parse_content_type(b"").media_type, b"");
    }

    proptest! {
        #[test]
        fn accept_any_bytes_keep_the_bounds(header in proptest::collection::vec(any::<u8>(), 0..128)) {
            for choice in parse_accept(&header) {
                prop_assert!(choice.weight_thousandths <= 1000 && !choice.value.is_empty());
            }
            prop_assert!(parse_content_type(&header).parameters.len() <= MAX_HEADER_PARAMETERS);
        }
    }
}
