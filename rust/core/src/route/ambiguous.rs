//! Patterns in which the end of a parameter depends on what follows: `/{a}-{b}.json`, `/{dir:path}/edit`.
//!
//! A backtracking matcher chooses the longest end of each parameter from which the rest still matches, at a cost that
//! grows with a power of the length of the text. Here, for every element from the last to the first, one pass over the
//! text records the offsets from which the rest matches. A pass forward then chooses the longest ends. The cost is the
//! number of elements times the length of the text, without backtracking, and the result is the same.

use super::pattern::starts_with;
use super::{Element, Kind, Spans};
use crate::scan;

/// Words of the table that fit on the stack: seven elements on a text of 63 bytes.
const INLINE_WORDS: usize = 8;

/// Rows of bits: row `i` has the offsets from which the elements from `i` on match the rest of the text.
struct Reach<'a> {
    words: &'a mut [u64],
    per_row: usize,
}

const IN_TABLE: &str = "there is a row for each element and for the end, and a bit for each offset and for the end";

impl Reach<'_> {
    fn get(&self, row: usize, offset: usize) -> bool {
        let word = self.words.get(row * self.per_row + offset / 64).expect(IN_TABLE);
        word >> (offset % 64) & 1 == 1
    }

    fn set(&mut self, row: usize, offset: usize) {
        let word = self.words.get_mut(row * self.per_row + offset / 64).expect(IN_TABLE);
        *word |= 1 << (offset % 64);
    }
}

/// True if `elements` match the whole of `text`. The parameters, as found by greedy matching, are then added to
/// `spans`.
pub(super) fn find(elements: &[Element], any_case: bool, text: &[u8], spans: &mut Spans) -> bool {
    let per_row = text.len() / 64 + 1;
    let total = per_row * (elements.len() + 1);
    let mut few = [0; INLINE_WORDS];
    let mut many;
    let words = if total <= INLINE_WORDS {
        &mut few[..total]
    } else {
        many = vec![0; total];
        &mut many[..]
    };
    let mut reach = Reach { words, per_row };
    reach.set(elements.len(), text.len());
    for (row, element) in elements.iter().enumerate().rev() {
        match element {
            Element::Literal(literal) => fill_literal(&mut reach, row, text, literal, any_case),
            Element::Parameter(kind) => fill_parameter(&mut reach, row, text, *kind),
        }
    }
    if !reach.get(0, 0) {
        return false;
    }
    let mut at = 0;
    for (row, element) in elements.iter().enumerate() {
        match element {
            Element::Literal(literal) => at += literal.len(),
            Element::Parameter(kind) => {
                let Some(end) = longest_end(&reach, row + 1, text, at, *kind) else {
                    return false;
                };
                spans.push(at, end);
                at = end;
            }
        }
    }
    true
}

fn fill_literal(reach: &mut Reach<'_>, row: usize, text: &[u8], literal: &[u8], any_case: bool) {
    for end in literal.len()..=text.len() {
        scan::count(1);
        let start = end - literal.len();
        if reach.get(row + 1, end) && starts_with(text.split_at(start).1, literal, any_case) {
            reach.set(row, start);
        }
    }
}

fn fill_parameter(reach: &mut Reach<'_>, row: usize, text: &[u8], kind: Kind) {
    let next = row + 1;
    // `open`: the run at this offset reaches an end at or after it. `fraction`: the same for the digits after the point
    // of a float.
    let mut open = reach.get(next, text.len());
    let mut fraction = false;
    if kind == Kind::Path && open {
        reach.set(row, text.len());
    }
    for (at, byte) in text.iter().enumerate().rev() {
        scan::count(1);
        let here = reach.get(next, at);
        let starts = match kind {
            Kind::Str => {
                let starts = open && *byte != b'/';
                open = starts || here;
                starts
            }
            Kind::Int => {
                let starts = open && byte.is_ascii_digit();
                open = starts || here;
                starts
            }
            Kind::Float => {
                let is_digit = byte.is_ascii_digit();
                let starts = open && is_digit;
                let digits_from_here = is_digit && (fraction || reach.get(next, at + 1));
                open = starts || here || (*byte == b'.' && fraction);
                fraction = digits_from_here;
                starts
            }
            Kind::Path => {
                open = here || (open && *byte != b'\n');
                open
            }
            Kind::Uuid => {
                let length = text.get(at..).and_then(|rest| kind.longest(rest));
                length.is_some_and(|length| reach.get(next, at + length))
            }
            Kind::Custom => false,
        };
        // No element starts inside a character, so none ends there.
        if starts && !is_continuation(*byte) {
            reach.set(row, at);
        }
    }
}

/// The furthest end of a match of `kind` at `start` from which row `next` matches the rest.
fn longest_end(reach: &Reach<'_>, next: usize, text: &[u8], start: usize, kind: Kind) -> Option<usize> {
    let longest = start + kind.longest(text.get(start..)?)?;
    let shortest = match kind {
        Kind::Path => start,
        Kind::Uuid => longest,
        _ => start + 1,
    };
    // Every offset up to the longest end is an end of the parameter, except that a float must not end with its point.
    let is_end =
        |end: &usize| !(kind == Kind::Float && end.checked_sub(1).is_some_and(|last| text.get(last) == Some(&b'.')));
    (shortest..=longest)
        .rev()
        .filter(is_end)
        .inspect(|_| scan::count(1))
        .find(|end| reach.get(next, *end))
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}
