//! The Range header: the first two bytes are the file's size, the third the number of ranges allowed, the rest the
//! header.

use std::sync::LazyLock;

use pallasite_core::range::{RangeError, parse_ranges};
use pallasite_core::text::trim;
use regex::Regex;

use crate::work::linear;

static PART: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\A[ \t]*([0-9]*)[ \t]*-[ \t]*([0-9]*)[ \t]*\z").expect("a regular expression"));

// A header is there whole or not at all, so it is not cut.
pub fn check(input: &[u8]) {
    let [low, high, most, header @ ..] = input else {
        return;
    };
    let (size, most) = (u16::from_le_bytes([*low, *high]), usize::from(*most));
    let found = linear(header.len(), 8, 64, || parse_ranges(header, u64::from(size), most));
    assert_eq!(found, reference(header, size, most));
    // Sizes up to the largest there is.
    let _ = parse_ranges(header, u64::MAX, most);
}

fn reference(header: &[u8], size: u16, most: usize) -> Result<Vec<(u64, u64)>, RangeError> {
    // As text of one character for each byte.
    let text: String = header.iter().map(|&byte| char::from(byte)).collect();
    let (unit, parts) = text.split_once('=').ok_or(RangeError::Malformed)?;
    if !trim(&header[..unit.chars().count()]).eq_ignore_ascii_case(b"bytes") {
        return Err(RangeError::Unit);
    }
    let parts: Vec<&str> = parts.split(',').collect();
    if parts.len() > most {
        return Ok(Vec::new());
    }
    // Larger numbers than any size are one as good as another.
    let number = |digits: &str| digits.parse::<u128>().unwrap_or(1 << 100).min(1 << 100) as i128;
    let size = i128::from(size);
    let mut ranges: Vec<(i128, i128)> = Vec::new();
    for captures in parts.iter().filter_map(|part| PART.captures(part)) {
        match (&captures[1], &captures[2]) {
            ("", "") => {}
            ("", count) => ranges.push(((size - number(count)).max(0), size)),
            (first, "") => ranges.push((number(first), size)),
            (first, last) => ranges.push((number(first), (number(last) + 1).min(size))),
        }
    }
    if ranges.is_empty() {
        return Err(RangeError::NoRange);
    }
    if ranges.iter().any(|(start, _)| *start >= size) {
        return Err(RangeError::NotSatisfiable);
    }
    if ranges.iter().any(|(start, end)| start >= end) {
        return Err(RangeError::Inverted);
    }
    // Byte by byte: which are wanted, and where that changes.
    let mut wanted = vec![false; size as usize + 1];
    for (start, end) in ranges {
        wanted[start as usize..end as usize].fill(true);
    }
    let mut merged: Vec<(u64, u64)> = Vec::new();
    for (at, _) in wanted.iter().enumerate().filter(|(_, wanted)| **wanted) {
        match merged.last_mut() {
            Some((_, end)) if *end == at as u64 => *end += 1,
            _ => merged.push((at as u64, at as u64 + 1)),
        }
    }
    Ok(merged)
}
