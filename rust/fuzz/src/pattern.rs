//! The syntax of path patterns: pieces, format and regular expression, compared with a regular expression for
//! parameters.

use std::sync::LazyLock;

use pallasite_core::route::{Pattern, Piece, Spans, format_text, parse, regex_text};
use regex::bytes::Regex;

use crate::work::linear;

static PARAMETER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?-u)\{([a-zA-Z_][a-zA-Z0-9_]*)(?::([a-zA-Z_][a-zA-Z0-9_]*))?\}").expect("a regular expression")
});

// A pattern is never split into chunks, so the input is not cut.
pub fn check(source: &[u8]) {
    let pieces = linear(source.len(), 8, 128, || parse(source));
    let mut expected = Vec::new();
    let mut format = Vec::new();
    let mut at = 0;
    for captures in PARAMETER.captures_iter(source) {
        let whole = captures.get(0).expect("always there");
        let text = |number| {
            captures
                .get(number)
                .map(|part| std::str::from_utf8(part.as_bytes()).expect("ASCII"))
        };
        if whole.start() > at {
            expected.push(Piece::Literal(&source[at..whole.start()]));
        }
        format.extend_from_slice(&source[at..whole.start()]);
        let name = text(1).expect("always there");
        expected.push(Piece::Parameter {
            name,
            convertor: text(2).unwrap_or("str"),
        });
        format.extend(format!("{{{name}}}").bytes());
        at = whole.end();
    }
    if at < source.len() {
        expected.push(Piece::Literal(&source[at..]));
    }
    format.extend_from_slice(&source[at..]);
    assert_eq!(pieces, expected);
    assert_eq!(format_text(&pieces), format);
    let is_path = source.starts_with(b"/");
    let (regex, pattern) = linear(source.len(), 8, 192, || {
        let regex = regex_text(source, &pieces, |_| b"[^/]+");
        (regex, Pattern::new(source, &pieces, |_| b"[^/]+"))
    });
    assert_eq!(pattern.is_host(), !is_path);
    if !is_path || std::str::from_utf8(source).is_err() || source.len() > 256 {
        return;
    }
    // The literal text matches itself, through the pattern and through its regular expression.
    let sample: Vec<u8> = pieces
        .iter()
        .flat_map(|piece| match piece {
            Piece::Literal(text) => text.to_vec(),
            Piece::Parameter { .. } => b"x".to_vec(),
        })
        .collect();
    assert!(pattern.find(&sample, &mut Spans::new()));
    // Only the anchor is written differently.
    let regex = String::from_utf8(regex).expect("made of text");
    let regex = regex.strip_suffix(r"\Z").expect("anchored").to_owned() + r"\z";
    // Repeated names are refused by the caller.
    if let Ok(regex) = Regex::new(&regex) {
        assert!(regex.is_match(&sample), "{regex}");
    }
}
