//! A pattern split at its slashes: the ways through the tree.

use memchr::memchr;

use super::{Element, Kind};

/// The index of [`Segments`] after the last one.
const NO_SEGMENT: usize = usize::MAX;

/// A segment of a pattern, as a way through the tree.
pub(super) enum Segment<'a> {
    Literal(&'a [u8]),
    Parameter(Kind),
    Mixed {
        start: &'a [u8],
        end: &'a [u8],
    },
    /// This segment and all the rest.
    Tail {
        start: &'a [u8],
    },
}

/// Splits the elements of a pattern at the slashes of its literals.
pub(super) struct Segments<'a> {
    elements: &'a [Element],
    index: usize,
    /// The start of the segment in the literal at `index`.
    offset: usize,
}

impl<'a> Segments<'a> {
    /// The segments of a path, which starts with a slash, or the single segment of a host.
    pub(super) fn of(elements: &'a [Element], is_host: bool) -> Self {
        let offset = usize::from(!is_host);
        Self {
            elements,
            index: 0,
            offset,
        }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        if self.index == NO_SEGMENT {
            return None;
        }
        let mut start: &[u8] = b"";
        let mut end: &[u8] = b"";
        let mut kinds = 0;
        let mut only = Kind::Custom;
        loop {
            match self.elements.get(self.index) {
                None => {
                    self.index = NO_SEGMENT;
                    break;
                }
                Some(Element::Parameter(Kind::Path | Kind::Custom)) => {
                    self.index = NO_SEGMENT;
                    return Some(Segment::Tail { start });
                }
                Some(Element::Parameter(kind)) => {
                    only = *kind;
                    kinds += 1;
                    end = b"";
                    self.index += 1;
                }
                Some(Element::Literal(text)) => {
                    let text = text
                        .get(self.offset..)
                        .expect("the offset is 0, 1 in a path, or after a slash of the literal");
                    let slash = memchr(b'/', text);
                    end = text.split_at(slash.unwrap_or(text.len())).0;
                    if kinds == 0 {
                        start = end;
                    }
                    if let Some(slash) = slash {
                        self.offset += slash + 1;
                        break;
                    }
                    self.offset = 0;
                    self.index += 1;
                }
            }
        }
        Some(match kinds {
            0 => Segment::Literal(start),
            1 if start.is_empty() && end.is_empty() => Segment::Parameter(only),
            _ => Segment::Mixed { start, end },
        })
    }
}
