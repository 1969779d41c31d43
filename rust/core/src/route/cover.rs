//! Checks if one pattern matches everything that another one matches, to report routes that no request can reach.

use super::{Element, Kind, Pattern, Spans};

/// Digits that an integer parameter always converts: Python's limit is at least 640.
const SAFE_DIGITS: usize = 600;

/// A pattern that other patterns may cover.
#[derive(Debug)]
pub struct Cover<'a> {
    inner: &'a Pattern,
    sample: Vec<u8>,
}

impl<'a> Cover<'a> {
    /// Prepares to check which patterns cover `inner`.
    #[must_use]
    pub fn new(inner: &'a Pattern) -> Self {
        let mut sample = Vec::new();
        for element in inner.elements() {
            match element {
                Element::Literal(text) => sample.extend_from_slice(text),
                Element::Parameter(Kind::Int | Kind::Float) => sample.push(b'7'),
                Element::Parameter(Kind::Uuid) => sample.extend_from_slice(&[b'7'; 32]),
                Element::Parameter(_) => sample.extend_from_slice(b"\x7f"),
            }
        }
        Self { inner, sample }
    }

    /// A text that `inner` matches (unless it is foreign), and therefore every pattern that covers it.
    #[must_use]
    pub fn sample(&self) -> &[u8] {
        &self.sample
    }

    /// True if `outer` certainly matches everything that the inner pattern matches, apart from texts with a line feed.
    /// False if it does not, or if this is not known.
    #[must_use]
    pub fn is_within(&self, outer: &Pattern) -> bool {
        if outer.is_foreign() || outer.is_host() != self.inner.is_host() {
            return false;
        }
        if outer.elements() == self.inner.elements() {
            return true;
        }
        if let Some(text) = self.inner.as_literal() {
            let mut spans = Spans::new();
            return outer.find(text, &mut spans) && spans.iter().all(|span| span.len() <= SAFE_DIGITS);
        }
        covers(outer.elements(), self.inner.elements())
    }
}

/// Compares element by element: equal text, and parameters that are a whole segment in both patterns.
fn covers(outer: &[Element], inner: &[Element]) -> bool {
    let mut outer_walk = Walk::new(outer);
    let mut inner_walk = Walk::new(inner);
    loop {
        match (outer_walk.token(), inner_walk.token()) {
            // `{rest:path}` at the end matches all the rest.
            (Token::Parameter(Kind::Path), _) if outer_walk.is_last() => return true,
            (Token::End, Token::End) => return true,
            (Token::Byte(one), Token::Byte(other)) if one == other => {
                outer_walk.advance();
                inner_walk.advance();
            }
            (Token::Parameter(Kind::Str), _) if outer_walk.is_segment() => {
                // Up to the next slash, the inner pattern may have anything that is not empty and matches no slash.
                let mut is_empty = true;
                while let Token::Byte(_) | Token::Parameter(_) = inner_walk.token() {
                    match inner_walk.token() {
                        Token::Byte(b'/') => break,
                        Token::Parameter(Kind::Path | Kind::Custom) => return false,
                        _ => is_empty = false,
                    }
                    inner_walk.advance();
                }
                if is_empty {
                    return false;
                }
                outer_walk.advance();
            }
            (Token::Parameter(one), Token::Parameter(other)) => {
                let wider = one == other || (one == Kind::Float && other == Kind::Int);
                if !wider || one == Kind::Custom || !outer_walk.is_segment() || !inner_walk.is_segment() {
                    return false;
                }
                outer_walk.advance();
                inner_walk.advance();
            }
            _ => return false,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Byte(u8),
    Parameter(Kind),
    End,
}

/// A position in a pattern's elements, byte by byte through literals.
struct Walk<'a> {
    elements: &'a [Element],
    index: usize,
    offset: usize,
    after_slash: bool,
}

impl<'a> Walk<'a> {
    fn new(elements: &'a [Element]) -> Self {
        Self {
            elements,
            index: 0,
            offset: 0,
            after_slash: false,
        }
    }

    fn token(&self) -> Token {
        match self.elements.get(self.index) {
            None => Token::End,
            Some(Element::Parameter(kind)) => Token::Parameter(*kind),
            Some(Element::Literal(text)) => Token::Byte(
                *text
                    .get(self.offset)
                    .expect("`advance` leaves a literal at its end, and none is empty"),
            ),
        }
    }

    fn advance(&mut self) {
        self.after_slash = self.token() == Token::Byte(b'/');
        match self.elements.get(self.index) {
            Some(Element::Literal(text)) if self.offset + 1 < text.len() => self.offset += 1,
            _ => {
                self.index += 1;
                self.offset = 0;
            }
        }
    }

    /// True if the parameter here ends the pattern.
    fn is_last(&self) -> bool {
        self.index + 1 == self.elements.len()
    }

    /// True if the parameter here is a whole segment.
    fn is_segment(&self) -> bool {
        let ends = match self.elements.get(self.index + 1) {
            None => true,
            Some(Element::Literal(text)) => text.first() == Some(&b'/'),
            Some(Element::Parameter(_)) => false,
        };
        self.after_slash && ends
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn pattern(source: &str) -> Pattern {
        let pieces = parse(source.as_bytes());
        let regexes: Vec<&[u8]> = pieces
            .iter()
            .filter_map(|piece| match piece {
                super::super::Piece::Literal(_) => None,
                super::super::Piece::Parameter { convertor: "int", .. } => Some(&b"[0-9]+"[..]),
                super::super::Piece::Parameter { convertor: "float", .. } => Some(br"[0-9]+(\.[0-9]+)?"),
                super::super::Piece::Parameter { convertor: "path", .. } => Some(b".*"),
                super::super::Piece::Parameter { convertor: "own", .. } => Some(b"x|y"),
                super::super::Piece::Parameter { .. } => Some(b"[^/]+"),
            })
            .collect();
        Pattern::new(source.as_bytes(), &pieces, |number| regexes[number])
    }

    #[test]
    fn is_within_knows_the_plain_cases() {
        let cases = [
            ("/a/{x}", "/a/b", true),
            ("/a/{x}", "/a/{y}", true),
            ("/a/{x}", "/a/{y:int}", true),
            ("/a/{x}", "/a/{y}-{z}.json", true),
            ("/a/{x}", "/a/{y:path}", false),
            ("/a/{x}", "/a/", false),
            ("/a/{x}", "/a/b/c", false),
            ("/a/{x}", "/a/b/{c}", false),
            ("/a/{x}/c", "/a/{y:int}/c", true),
            ("/a/{x:int}", "/a/{y}", false),
            ("/a/{x:int}", "/a/7", true),
            ("/a/{x:float}", "/a/{y:int}", true),
            ("/a/{x:int}", "/a/{y:float}", false),
            ("/{x:path}", "/{y}/b", true),
            ("/s/{x:path}", "/s/{y:path}/b", true),
            ("/s/{x:path}", "/{y:path}", false),
            ("/{a}-{b}", "/{c}-{d}", true),
            ("/{a}-{b}", "/x-y", true),
            ("/{a}-{b}", "/x-{y}", false),
            ("/{a:own}", "/x", false),
            ("/{a:own}", "/{b:own}", false),
            ("/{a}", "/{b:own}", false),
        ];
        for (outer, inner, expected) in cases {
            let inner_pattern = pattern(inner);
            assert_eq!(
                Cover::new(&inner_pattern).is_within(&pattern(outer)),
                expected,
                "{outer} over {inner}"
            );
        }
    }
}
