//! One path or host pattern: its syntax, its regular expression for Python, and its match.
//!
//! `{name}` and `{name:convertor}` are parameters. All other text is literal, including braces with other contents. A
//! pattern without a leading slash is a host: case is ignored, and so is a port at its end. A match covers the whole
//! text, including a line feed at its end, unlike `$` in a Python expression.

use super::{Kind, Spans, ambiguous};
use crate::scan;

/// A part of a pattern's source, as [`parse`] finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Literal text. Never empty.
    Literal(&'a [u8]),
    /// A parameter.
    Parameter {
        /// The name of the parameter.
        name: &'a str,
        /// The name of its convertor, `str` by default.
        convertor: &'a str,
    },
}

/// A part of a compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Element {
    /// Literal text. Never empty; in lower case in a host.
    Literal(Box<[u8]>),
    /// A parameter.
    Parameter(Kind),
}

/// How the elements are matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    /// Every parameter ends with its longest match: one pass.
    Direct,
    /// The end of a parameter depends on the text after it: [`ambiguous::find`].
    Ambiguous,
    /// A parameter is `Custom`, or case rules are unknown: only Python's `re` can match.
    Foreign,
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    elements: Box<[Element]>,
    is_host: bool,
    plan: Plan,
}

/// Splits the source of a pattern into its pieces.
#[must_use]
pub fn parse(source: &[u8]) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut literal_start = 0;
    let mut at = 0;
    while let Some(offset) = source.get(at..).and_then(|rest| scan::find(b'{', rest)) {
        let open = at + offset;
        let Some((piece, end)) = parse_parameter(source, open) else {
            at = open + 1;
            continue;
        };
        push_literal(&mut pieces, source.get(literal_start..open));
        pieces.push(piece);
        literal_start = end;
        at = end;
    }
    push_literal(&mut pieces, source.get(literal_start..));
    pieces
}

/// True for the source of a host, which has no leading slash.
fn is_host(source: &[u8]) -> bool {
    source.first() != Some(&b'/')
}

impl Pattern {
    /// Compiles the pieces of `source`. `regex_of` returns the regular expression of a parameter, by its index from 0.
    #[must_use]
    pub fn new<'a>(source: &[u8], pieces: &[Piece<'_>], mut regex_of: impl FnMut(usize) -> &'a [u8]) -> Self {
        let is_host = is_host(source);
        let mut elements = Vec::with_capacity(pieces.len());
        let mut parameters = 0;
        for (number, piece) in pieces.iter().enumerate() {
            match piece {
                Piece::Literal(text) => {
                    let text = if is_host && number + 1 == pieces.len() {
                        without_port(text)
                    } else {
                        text
                    };
                    if !text.is_empty() {
                        let text = if is_host {
                            text.to_ascii_lowercase()
                        } else {
                            text.to_vec()
                        };
                        elements.push(Element::Literal(text.into()));
                    }
                }
                Piece::Parameter { .. } => {
                    elements.push(Element::Parameter(Kind::of_regex(regex_of(parameters))));
                    parameters += 1;
                }
            }
        }
        // Letters outside ASCII have special case rules (K is also the Kelvin sign): left to Python.
        let foreign_case = is_host && !source.is_ascii();
        let plan = if foreign_case { Plan::Foreign } else { plan(&elements) };
        Self {
            elements: elements.into(),
            is_host,
            plan,
        }
    }

    /// The parts, in order.
    #[must_use]
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// True for the pattern of a host.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.is_host
    }

    /// True if only Python's `re` can match the pattern; [`Pattern::find`] then never matches.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.plan == Plan::Foreign
    }

    /// The text of a pattern without parameters, in lower case in a host.
    #[must_use]
    pub fn as_literal(&self) -> Option<&[u8]> {
        match &*self.elements {
            [] => Some(b""),
            [Element::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// True if the whole of `text` matches; `spans` then has the positions of the parameters. Linear in the text.
    #[must_use]
    pub fn find(&self, text: &[u8], spans: &mut Spans) -> bool {
        spans.clear();
        match self.plan {
            Plan::Direct => self.find_direct(text, spans),
            Plan::Ambiguous => ambiguous::find(&self.elements, self.is_host, text, spans),
            Plan::Foreign => false,
        }
    }

    fn find_direct(&self, text: &[u8], spans: &mut Spans) -> bool {
        let mut rest = text;
        for element in &self.elements {
            let length = match element {
                Element::Literal(literal) => {
                    if !starts_with(rest, literal, self.is_host) {
                        return false;
                    }
                    literal.len()
                }
                Element::Parameter(kind) => {
                    let Some(length) = kind.longest(rest) else {
                        return false;
                    };
                    let start = text.len() - rest.len();
                    spans.push(start, start + length);
                    length
                }
            };
            scan::count(length + 1);
            rest = rest.split_at(length).1;
        }
        rest.is_empty()
    }
}

/// The pattern with its parameters as `{name}`, used to build URLs.
#[must_use]
pub fn format_text(pieces: &[Piece<'_>]) -> Vec<u8> {
    let mut format = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Literal(text) => format.extend_from_slice(text),
            Piece::Parameter { name, .. } => {
                format.push(b'{');
                format.extend_from_slice(name.as_bytes());
                format.push(b'}');
            }
        }
    }
    format
}

/// The pattern as a Python regular expression, anchored at both ends. `regex_of` is as for [`Pattern::new`].
#[must_use]
pub fn regex_text<'a>(source: &[u8], pieces: &[Piece<'_>], mut regex_of: impl FnMut(usize) -> &'a [u8]) -> Vec<u8> {
    let mut regex = vec![b'^'];
    let mut parameters = 0;
    for (number, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Literal(text) if is_host(source) && number + 1 == pieces.len() => {
                escape(without_port(text), &mut regex);
            }
            Piece::Literal(text) => escape(text, &mut regex),
            Piece::Parameter { name, .. } => {
                regex.extend_from_slice(b"(?P<");
                regex.extend_from_slice(name.as_bytes());
                regex.push(b'>');
                regex.extend_from_slice(regex_of(parameters));
                regex.push(b')');
                parameters += 1;
            }
        }
    }
    regex.extend_from_slice(br"\Z");
    regex
}

/// True if `text` starts with `literal`, which is in lower case if `any_case` is set.
pub(super) fn starts_with(text: &[u8], literal: &[u8], any_case: bool) -> bool {
    scan::count(literal.len());
    match text.get(..literal.len()) {
        Some(start) if any_case => start.eq_ignore_ascii_case(literal),
        Some(start) => start == literal,
        None => false,
    }
}

fn plan(elements: &[Element]) -> Plan {
    let mut plan = Plan::Direct;
    for (number, element) in elements.iter().enumerate() {
        let Element::Parameter(kind) = element else {
            continue;
        };
        let longest_only = match elements.get(number + 1) {
            _ if *kind == Kind::Custom => return Plan::Foreign,
            None => true,
            Some(Element::Literal(next)) => next.first().is_some_and(|byte| kind.ends_before(*byte)),
            Some(Element::Parameter(_)) => *kind == Kind::Uuid,
        };
        if !longest_only {
            plan = Plan::Ambiguous;
        }
    }
    plan
}

fn push_literal<'a>(pieces: &mut Vec<Piece<'a>>, text: Option<&'a [u8]>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        pieces.push(Piece::Literal(text));
    }
}

/// The parameter whose brace is at `open`, and the offset after it.
fn parse_parameter(source: &[u8], open: usize) -> Option<(Piece<'_>, usize)> {
    let (name, after_name) = parse_name(source, open + 1)?;
    match source.get(after_name)? {
        b'}' => Some((Piece::Parameter { name, convertor: "str" }, after_name + 1)),
        b':' => {
            let (convertor, close) = parse_name(source, after_name + 1)?;
            (source.get(close) == Some(&b'}')).then_some((Piece::Parameter { name, convertor }, close + 1))
        }
        _ => None,
    }
}

/// The identifier (ASCII) at `start`, and the offset after it.
fn parse_name(source: &[u8], start: usize) -> Option<(&str, usize)> {
    let rest = source.get(start..)?;
    let length = rest
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
        .count();
    scan::count(length + 1);
    let name = rest.get(..length)?;
    if name.first().is_none_or(u8::is_ascii_digit) {
        return None;
    }
    Some((std::str::from_utf8(name).ok()?, start + length))
}

/// The end of a host without its port. Colons in brackets belong to the address.
fn without_port(host: &[u8]) -> &[u8] {
    if host.last() == Some(&b']') {
        return host;
    }
    memchr::memrchr(b':', host)
        .and_then(|colon| host.get(..colon))
        .unwrap_or(host)
}

/// Appends `text`, escaped for a Python regular expression (the same bytes as `re.escape`).
fn escape(text: &[u8], regex: &mut Vec<u8>) {
    for byte in text {
        if b"()[]{}?*+-|^$\\.&~# \t\n\r\x0b\x0c".contains(byte) {
            regex.push(b'\\');
        }
        regex.push(*byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pattern of stock convertors.
    fn pattern(source: &str) -> Pattern {
        let pieces = parse(source.as_bytes());
        let regexes: Vec<&[u8]> = pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Literal(_) => None,
                Piece::Parameter { convertor: "int", .. } => Some(&b"[0-9]+"[..]),
                Piece::Parameter { convertor: "float", .. } => Some(br"[0-9]+(\.[0-9]+)?"),
                Piece::Parameter { convertor: "path", .. } => Some(b".*"),
                Piece::Parameter { convertor: "own", .. } => Some(b"x|y"),
                Piece::Parameter { .. } => Some(b"[^/]+"),
            })
            .collect();
        Pattern::new(source.as_bytes(), &pieces, |number| regexes[number])
    }

    /// The parameters of the match, or `None`.
    fn find(source: &str, text: &str) -> Option<Vec<String>> {
        let mut spans = Spans::new();
        let found = pattern(source).find(text.as_bytes(), &mut spans);
        found.then(|| spans.iter().map(|span| text[span].to_owned()).collect())
    }

    #[test]
    fn parse_braces_that_hold_no_parameter_are_literal() {
        assert_eq!(
            parse(b"/{}{1a}{a:}{a b}{a"),
            vec![Piece::Literal(b"/{}{1a}{a:}{a b}{a")]
        );
        assert_eq!(
            parse(b"/{{a}}{_b2:c_3}"),
            vec![
                Piece::Literal(b"/{"),
                Piece::Parameter {
                    name: "a",
                    convertor: "str"
                },
                Piece::Literal(b"}"),
                Piece::Parameter {
                    name: "_b2",
                    convertor: "c_3"
                },
            ]
        );
        assert!(parse(b"").is_empty());
    }

    #[test]
    fn regex_text_escapes_literals_and_anchors() {
        let pieces = parse(b"/a.b/{x}-{y:int}");
        let regex = regex_text(b"/a.b/{x}-{y:int}", &pieces, |number| {
            [&b"[^/]+"[..], b"[0-9]+"][number]
        });
        assert_eq!(String::from_utf8_lossy(&regex), r"^/a\.b/(?P<x>[^/]+)\-(?P<y>[0-9]+)\Z");
        assert_eq!(format_text(&pieces), b"/a.b/{x}-{y}");
    }

    #[test]
    fn find_takes_what_a_greedy_regex_takes() {
        let cases: &[(&str, &str, Option<&[&str]>)] = &[
            ("/", "/", Some(&[])),
            ("/", "", None),
            ("/admin", "/admin\n", None),
            ("/{a}", "/x\n", Some(&["x\n"])),
            ("/{a}/b", "/x/b", Some(&["x"])),
            ("/{a}/b", "//b", None),
            ("/{a}-{b}.json", "/1-2-3.json", Some(&["1-2", "3"])),
            ("/{a}{b}", "/é", None),
            ("/{a}{b}", "/éà", Some(&["é", "à"])),
            ("/{a}{b}{c}", "/wxyz", Some(&["wx", "y", "z"])),
            ("/{a:path}/edit", "/x/y/edit", Some(&["x/y"])),
            ("/{a:path}/edit", "//edit", Some(&[""])),
            ("/{a:path}/edit", "/edit", None),
            ("/{a:path}/edit/{b:path}", "/1/edit/2/edit/3", Some(&["1/edit/2", "3"])),
            ("/{a:path}", "/x\ny", None),
            ("/{a:float}.{b:int}", "/1.2.3", Some(&["1.2", "3"])),
            ("/{a:float}.{b:int}", "/1.2", Some(&["1", "2"])),
            ("/{a:float}{b:int}", "/1.23", Some(&["1.2", "3"])),
            ("/{a:int}{b:int}", "/123", Some(&["12", "3"])),
            ("/v{a:int}/x", "/v12/x", Some(&["12"])),
            ("/v{a:int}/x", "/v12y/x", None),
            ("{sub}.example.org:8000", "A.Example.ORG", Some(&["A"])),
            ("example.org", "example.org", Some(&[])),
            ("[::1]", "[::1]", Some(&[])),
            ("[::1]:80", "[::1]", Some(&[])),
            ("/{a:own}", "/x", None),
        ];
        for (source, text, expected) in cases {
            let expected = expected.map(|values| values.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(find(source, text), expected, "{source} on {text:?}");
        }
    }
}
