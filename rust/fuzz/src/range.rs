//! The Range header: the first two bytes are the file's size, the third the number of ranges allowed, the rest the
//! header.

use std::sync::LazyLock;

use pallasite_core::range::{RangeError, Rules, parse_ranges};
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
    for rules in [Rules::Rfc9110, Rules::Starlette] {
        let found = linear(header.len(), 8, 64, || {
            parse_ranges(header, u64::from(size), most, rules)
        });
        assert_eq!(found, reference(header, size, most, rules));
        // Sizes up to the largest there is.
        let _ = parse_ranges(header, u64::MAX, most, rules);
    }
}

fn reference(header: &[u8], size: u16, most: usize, rules: Rules) -> Result<Vec<(u64, u64)>, RangeError> {
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
    let largest = u128::from(u64::MAX);
    let number = |digits: &str| digits.parse::<u128>().unwrap_or(largest).min(largest) as i128;
    let size = i128::from(size);
    let is_strict = rules == Rules::Rfc9110;
    // Start and end of each, and whether it counts from the end of the file.
    let mut ranges: Vec<(i128, i128, bool)> = Vec::new();
    for part in parts {
        let is_blank = part.chars().all(|character| matches!(character, ' ' | '\t'));
        match PART
            .captures(part)
            .map(|captures| (captures[1].to_owned(), captures[2].to_owned()))
        {
            Some((first, last)) if first.is_empty() && !last.is_empty() => {
                ranges.push(((size - number(&last)).max(0), size, true));
            }
            Some((first, last)) if !first.is_empty() && last.is_empty() => {
                ranges.push((number(&first), i128::MAX, false))
            }
            Some((first, last)) if !first.is_empty() => ranges.push((number(&first), number(&last) + 1, false)),
            _ if is_strict && !is_blank => return Err(RangeError::Malformed),
            _ => {}
        }
    }
    if ranges.is_empty() {
        return Err(RangeError::NoRange);
    }
    let is_inverted = ranges.iter().any(|(start, end, from_end)| !from_end && start >= end);
    if is_strict && is_inverted {
        return Err(RangeError::Inverted);
    }
    if is_strict && size == 0 && text.split(['=', ',']).any(is_count_of_some) {
        return Ok(Vec::new());
    }
    if is_strict {
        ranges.retain(|(start, _, _)| *start < size);
    }
    if ranges.is_empty() || ranges.iter().any(|(start, _, _)| *start >= size) {
        return Err(RangeError::NotSatisfiable);
    }
    if is_inverted {
        return Err(RangeError::Inverted);
    }
    let ranges = ranges.into_iter().map(|(start, end, _)| (start, end.min(size)));
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

/// Whether a part asks for the last bytes, and for one at least.
fn is_count_of_some(part: &str) -> bool {
    let Some(captures) = PART.captures(part) else {
        return false;
    };
    captures[1].is_empty() && !captures[2].trim_start_matches('0').is_empty()
}
