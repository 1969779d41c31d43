//! Patterns in which the end of a parameter depends on what follows: `/{a}-{b}.json`, `/{dir:path}/edit`.
//!
//! A backtracking matcher takes the longest end of each parameter from which the rest still matches, at a cost that
//! grows with a power of the text. Here, for every element from the last to the first, one pass over the text notes
//! from where the rest matches; a pass forward then takes the longest such ends. Elements times bytes, no backtracking,
//! and the same answer.

use super::pattern::starts_with;
use super::{Element, Kind, Spans};
use crate::scan;

/// Words of the table that fit on the stack: seven elements on a text of 63 bytes.
const INLINE_WORDS: usize = 8;

/// Rows of bits: row `i` says from which offsets the elements from `i` on match the rest of the text.
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

/// Whether `elements` match the whole of `text`; `spans` then gets the parameters as greedy matching finds them.
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
    // `open`: some end at or after this offset continues a run that has begun. `fraction`: the same for the digits
    // behind a float's point.
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
        // Characters stay whole: no element starts inside of one, and so none ends there.
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
    // A float may not end at its point; its digits are ASCII, and text behind a point is no start of another row
    // unless `reach` says so, hence the one exclusion.
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
