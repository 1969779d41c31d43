//! The Range header (RFC 9110 section 14): which bytes of a file are asked for.
//!
//! Deviation: what is no range is passed over as long as there is one.

use std::error::Error;
use std::fmt;

use crate::header::trim_ows;
use crate::scan;
use crate::text::trim;

/// Why no ranges are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RangeError {
    /// There is no equals sign.
    Malformed,
    /// Another unit than bytes.
    Unit,
    /// Nothing behind the equals sign is a range.
    NoRange,
    /// A range whose end is before its start.
    Inverted,
    /// A range that starts at or behind the end of the file.
    NotSatisfiable,
}

impl RangeError {
    /// The name of the variant, for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unit => "unit",
            Self::NoRange => "no_range",
            Self::Inverted => "inverted",
            Self::NotSatisfiable => "not_satisfiable",
        }
    }
}

impl fmt::Display for RangeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Malformed => "Malformed range header.",
            Self::Unit => "Only support bytes range",
            Self::NoRange => "Range header: range must be requested",
            Self::Inverted => "Range header: start must be less than end",
            Self::NotSatisfiable => "Range header: a range starts behind the end",
        })
    }
}

impl Error for RangeError {}

/// The ranges of a file of `size` bytes as (start, end), the end exclusive: in order, those that touch or overlap made
/// one. Empty for more than `max_ranges` parts: the whole file is less work then.
///
/// # Errors
/// As [`RangeError`] says, the first one of the list that applies.
pub fn parse_ranges(header: &[u8], size: u64, max_ranges: usize) -> Result<Vec<(u64, u64)>, RangeError> {
    let equals = scan::find(b'=', header).ok_or(RangeError::Malformed)?;
    let (unit, specs) = header.split_at(equals);
    if !trim(unit).eq_ignore_ascii_case(b"bytes") {
        return Err(RangeError::Unit);
    }
    let specs = specs.get(1..).unwrap_or_default();
    scan::count(specs.len());
    let commas = memchr::memchr_iter(b',', specs).count();
    if commas >= max_ranges {
        return Ok(Vec::new());
    }
    let mut ranges = Vec::with_capacity(commas + 1);
    ranges.extend(
        specs
            .split(|&byte| byte == b',')
            .filter_map(|spec| parse_range(spec, size)),
    );
    if ranges.is_empty() {
        return Err(RangeError::NoRange);
    }
    if ranges.iter().any(|&(start, _)| start >= size) {
        return Err(RangeError::NotSatisfiable);
    }
    if ranges.iter().any(|&(start, end)| end <= start) {
        return Err(RangeError::Inverted);
    }
    ranges.sort_unstable();
    ranges.dedup_by(|next, last| {
        let is_one = next.0 <= last.1;
        if is_one {
            last.1 = last.1.max(next.1);
        }
        is_one
    });
    Ok(ranges)
}

/// One part, `first-last`, `first-` or the last so many bytes, `-count`; None if it is none.
fn parse_range(spec: &[u8], size: u64) -> Option<(u64, u64)> {
    let (first, last) = spec.split_at(scan::find(b'-', spec)?);
    let (first, last) = (trim_ows(first), trim_ows(last.get(1..)?));
    match (first, last) {
        ([], []) => None,
        ([], count) => Some((size.saturating_sub(number(count)?), size)),
        (first, []) => Some((number(first)?, size)),
        (first, last) => Some((number(first)?, number(last)?.saturating_add(1).min(size))),
    }
}

/// ASCII digits; a number that is too large is the largest one.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, digit| {
        scan::count(1);
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        Some(number.saturating_mul(10).saturating_add(u64::from(digit)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case = (&'static str, Result<&'static [(u64, u64)], RangeError>);

    #[test]
    fn ranges_table() {
        let table: [Case; 19] = [
            ("bytes=0-4", Ok(&[(0, 5)])),
            (" BYTES = 0 - 4 , x, 7 -", Ok(&[(0, 5), (7, 10)])),
            ("bytes=-3", Ok(&[(7, 10)])),
            ("bytes=-99", Ok(&[(0, 10)])),
            ("bytes=5-99999999999999999999999", Ok(&[(5, 10)])),
            ("bytes=000000000000000000000000001-2", Ok(&[(1, 3)])),
            ("bytes=5-6,0-1,2-3", Ok(&[(0, 4), (5, 7)])),
            ("bytes=0-9,2-3", Ok(&[(0, 10)])),
            ("bytes=0-1,1-2,2-3,3-4", Ok(&[])),
            ("bytes", Err(RangeError::Malformed)),
            ("items=0-1", Err(RangeError::Unit)),
            ("bytes=", Err(RangeError::NoRange)),
            ("bytes=-", Err(RangeError::NoRange)),
            ("bytes=1-x,+1-2", Err(RangeError::NoRange)),
            ("bytes=\u{661}-2", Err(RangeError::NoRange)),
            ("bytes=4-3", Err(RangeError::Inverted)),
            ("bytes=10-", Err(RangeError::NotSatisfiable)),
            ("bytes=-0", Err(RangeError::NotSatisfiable)),
            ("bytes=4-3,10-11", Err(RangeError::NotSatisfiable)),
        ];
        for (header, expected) in table {
            let found = parse_ranges(header.as_bytes(), 10, 3);
            assert_eq!(found.as_deref().map_err(|error| *error), expected, "{header}");
        }
    }

    #[test]
    fn range_of_an_empty_file_is_not_satisfiable() {
        for header in [&b"bytes=0-"[..], b"bytes=-1", b"bytes=0-0"] {
            assert_eq!(parse_ranges(header, 0, 3), Err(RangeError::NotSatisfiable));
        }
    }

    #[test]
    fn errors_have_each_its_text() {
        use RangeError::{Inverted, Malformed, NoRange, NotSatisfiable, Unit};
        let texts: std::collections::HashSet<String> = [Inverted, Malformed, NoRange, NotSatisfiable, Unit]
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(texts.len(), 5);
    }
}
