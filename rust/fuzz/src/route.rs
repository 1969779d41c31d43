//! Routing: the input is pattern sources and, after the last zero byte, the text to route. Each pattern is compared
//! with a matcher that tries all ends, longest first, and a tree of all of them with a linear scan.

use std::collections::HashSet;

use pallasite_core::route::{Cover, Element, Kind, Pattern, Piece, Spans, Tree, parse};

use crate::pieces::fields;
use crate::work::linear;

const MAX_PATTERNS: usize = 12;

/// The limit of the slow matcher.
const MAX_TEXT: usize = 200;

// A path is never split into chunks, so the input is not cut.
pub fn check(input: &[u8]) {
    let mut parts = fields(input).rev();
    let Some(text) = parts.next() else {
        return;
    };
    let sources: Vec<&[u8]> = parts
        .take(MAX_PATTERNS)
        .filter(|source| std::str::from_utf8(source).is_ok())
        .collect();
    let patterns: Vec<Pattern> = sources.iter().map(|source| pattern(source)).collect();
    let matches: Vec<bool> = patterns.iter().map(|pattern| find(pattern, text).is_some()).collect();
    if let Ok(text) = std::str::from_utf8(text) {
        for pattern in &patterns {
            one(pattern, text);
        }
    }
    search(&sources, &patterns, &matches, text);
    covers(&patterns, &matches, text);
}

fn pattern(source: &[u8]) -> Pattern {
    let pieces = parse(source);
    let regexes: Vec<&[u8]> = pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Literal(_) => None,
            Piece::Parameter { convertor, .. } => Some(match *convertor {
                "int" => &b"[0-9]+"[..],
                "float" => br"[0-9]+(\.[0-9]+)?",
                "uuid" => b"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}",
                "path" => b".*",
                "own" => b"x|y",
                _ => b"[^/]+",
            }),
        })
        .collect();
    Pattern::new(source, &pieces, |number| regexes[number])
}

/// The steps allowed for each byte of the text: literals are compared, and parameters scanned.
fn share(pattern: &Pattern) -> u64 {
    let of_element = |element: &Element| match element {
        Element::Literal(literal) => literal.len() + 4,
        Element::Parameter(_) => 64,
    };
    pattern.elements().iter().map(of_element).sum::<usize>() as u64 + 4
}

fn find(pattern: &Pattern, text: &[u8]) -> Option<Vec<(usize, usize)>> {
    let mut spans = Spans::new();
    let found = linear(text.len() + 1, share(pattern), share(pattern), || {
        pattern.find(text, &mut spans)
    });
    found.then(|| spans.iter().map(|span| (span.start, span.end)).collect())
}

fn one(pattern: &Pattern, text: &str) {
    // Foreign patterns never match. Letters outside ASCII have special case rules, and no host contains them.
    if pattern.is_foreign() || (pattern.is_host() && !text.is_ascii()) || text.len() > MAX_TEXT {
        return;
    }
    let mut slow = Slow {
        pattern,
        text,
        failed: HashSet::new(),
        spans: Vec::new(),
    };
    let found = slow.matches(0, 0);
    slow.spans.reverse();
    assert_eq!(
        find(pattern, text.as_bytes()),
        found.then_some(slow.spans),
        "{pattern:?} on {text:?}"
    );
}

struct Slow<'a> {
    pattern: &'a Pattern,
    text: &'a str,
    failed: HashSet<(usize, usize)>,
    /// In reverse order.
    spans: Vec<(usize, usize)>,
}

impl Slow<'_> {
    fn matches(&mut self, number: usize, at: usize) -> bool {
        if self.failed.contains(&(number, at)) {
            return false;
        }
        let text = self.text;
        let rest = &text.as_bytes()[at..];
        let found = match self.pattern.elements().get(number) {
            None => rest.is_empty(),
            Some(Element::Literal(literal)) => {
                let start = &rest[..literal.len().min(rest.len())];
                let is_equal = if self.pattern.is_host() {
                    start.eq_ignore_ascii_case(literal)
                } else {
                    start == &literal[..]
                };
                is_equal && self.matches(number + 1, at + literal.len())
            }
            Some(Element::Parameter(kind)) => {
                let kind = *kind;
                let ends = (at..=text.len()).rev().filter(|&end| text.is_char_boundary(end));
                ends.filter(|&end| accepts(kind, &text[at..end])).any(|end| {
                    let found = self.matches(number + 1, end);
                    if found {
                        self.spans.push((at, end));
                    }
                    found
                })
            }
        };
        if !found {
            self.failed.insert((number, at));
        }
        found
    }
}

fn accepts(kind: Kind, text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match kind {
        Kind::Str => !text.is_empty() && !text.contains('/'),
        Kind::Int => is_number(text),
        Kind::Float => match text.split_once('.') {
            Some((whole, fraction)) => is_number(whole) && is_number(fraction),
            None => is_number(text),
        },
        Kind::Uuid => {
            let digits = text.replace('-', "");
            let mut at = 0;
            let hyphens_fit = text.chars().fold(true, |fits, character| {
                let fits = fits && (character != '-' || [8, 12, 16, 20].contains(&at));
                at += usize::from(character != '-');
                fits
            });
            digits.len() == 32
                && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
                && hyphens_fit
                && !text.contains("--")
        }
        Kind::Path => !text.contains('\n'),
        Kind::Custom => false,
    }
}

fn search(sources: &[&[u8]], patterns: &[Pattern], matches: &[bool], text: &[u8]) {
    let size: usize = sources.iter().map(|source| source.len() + 8).sum();
    for is_host in [false, true] {
        // Hosts are searched for in lower case and contain no slash.
        if is_host && (text.contains(&b'/') || text.iter().any(u8::is_ascii_uppercase)) {
            continue;
        }
        let of_kind = || {
            patterns
                .iter()
                .enumerate()
                .filter(|(_, pattern)| pattern.is_host() == is_host)
        };
        let tree = linear(size, 64, 1024, || Tree::build(of_kind())).expect("few routes");
        let candidates = linear((text.len() + 1) * (size + 1), 2, 16, || {
            let mut search = if is_host {
                tree.search_host(text)
            } else {
                tree.search(text)
            };
            let found: Vec<usize> = search.by_ref().collect();
            // The number of branches depends only on the routes.
            assert!(search.steps() <= 8 * size + 8);
            found
        });
        assert!(candidates.is_sorted_by(|one, other| one < other));
        let found: Vec<usize> = candidates.into_iter().filter(|&route| matches[route]).collect();
        let expected = of_kind().map(|(route, _)| route).filter(|&route| matches[route]);
        assert_eq!(found, expected.collect::<Vec<_>>());
    }
}

/// Checks that a pattern that covers another one matches this text if the other one does.
fn covers(patterns: &[Pattern], matches: &[bool], text: &[u8]) {
    if text.contains(&b'\n') || text.len() > MAX_TEXT {
        return;
    }
    for (inner, _) in patterns.iter().zip(matches).filter(|(_, matches)| **matches) {
        let cover = Cover::new(inner);
        for (outer, matches) in patterns.iter().zip(matches) {
            assert!(
                *matches || !cover.is_within(outer),
                "{outer:?} over {inner:?} on {text:?}"
            );
        }
    }
}
