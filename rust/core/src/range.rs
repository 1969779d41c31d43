//! The Range header (RFC 9110 section 14): which bytes of a file are asked for.

use std::error::Error;
use std::fmt;

use crate::header::trim_ows;
use crate::scan;
use crate::text::trim;

/// How a header is read that is not quite right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rules {
    /// One part that is no range makes the header invalid. Parts behind the end of the file are dropped if others are
    /// not (RFC 9110 section 14.1.1).
    Rfc9110,
    /// Starlette's: what is no range is dropped, and one part behind the end of the file refuses them all.
    Starlette,
}

/// Why no ranges are given. Each but `NotSatisfiable` means that the header should be ignored.
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
/// one. Empty, which stands for the whole file, for more than `max_ranges` parts: that is less work. Empty also for the
/// last bytes of a file without any.
///
/// # Errors
/// As [`RangeError`] says.
pub fn parse_ranges(header: &[u8], size: u64, max_ranges: usize, rules: Rules) -> Result<Vec<(u64, u64)>, RangeError> {
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
    let mut found = Vec::with_capacity(commas + 1);
    for spec in specs.split(|&byte| byte == b',') {
        match Spec::parse(spec) {
            Some(spec) => found.push(spec),
            // A recipient must accept empty elements of a list (RFC 9110 section 5.6.1.2).
            None if rules == Rules::Rfc9110 && !trim_ows(spec).is_empty() => return Err(RangeError::Malformed),
            None => {}
        }
    }
    if found.is_empty() {
        return Err(RangeError::NoRange);
    }
    let mut ranges = match rules {
        Rules::Rfc9110 => satisfiable(&found, size)?,
        Rules::Starlette => all(&found, size)?,
    };
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

/// One part of the header.
#[derive(Clone, Copy)]
enum Spec {
    /// `first-last` or `first-`, with the largest number as its last.
    From(u64, u64),
    /// `-count`, the last so many bytes.
    Last(u64),
}

impl Spec {
    /// None if the text is no range.
    fn parse(text: &[u8]) -> Option<Self> {
        let (first, last) = text.split_at(scan::find(b'-', text)?);
        let (first, last) = (trim_ows(first), trim_ows(last.get(1..)?));
        match (first, last) {
            ([], []) => None,
            ([], count) => Some(Self::Last(number(count)?)),
            (first, []) => Some(Self::From(number(first)?, u64::MAX)),
            (first, last) => Some(Self::From(number(first)?, number(last)?)),
        }
    }

    fn is_inverted(self) -> bool {
        matches!(self, Self::From(first, last) if last < first)
    }

    /// The range of a file of `size` bytes. It is empty if the file has none of these bytes.
    fn of(self, size: u64) -> (u64, u64) {
        match self {
            Self::From(first, last) => (first, last.saturating_add(1).min(size)),
            Self::Last(count) => (size.saturating_sub(count), size),
        }
    }
}

/// Without what lies behind the end of the file, unless that is all.
fn satisfiable(specs: &[Spec], size: u64) -> Result<Vec<(u64, u64)>, RangeError> {
    if specs.iter().any(|spec| spec.is_inverted()) {
        return Err(RangeError::Inverted);
    }
    // Of a file without bytes the last ones can be asked for (section 14.1.2), but no Content-Range can say so.
    if size == 0 && specs.iter().any(|spec| matches!(spec, Spec::Last(1..))) {
        return Ok(Vec::new());
    }
    let ranges: Vec<_> = specs
        .iter()
        .map(|spec| spec.of(size))
        .filter(|&(start, _)| start < size)
        .collect();
    if ranges.is_empty() {
        return Err(RangeError::NotSatisfiable);
    }
    Ok(ranges)
}

/// All of them, or none.
fn all(specs: &[Spec], size: u64) -> Result<Vec<(u64, u64)>, RangeError> {
    let ranges: Vec<_> = specs.iter().map(|spec| spec.of(size)).collect();
    if ranges.iter().any(|&(start, _)| start >= size) {
        return Err(RangeError::NotSatisfiable);
    }
    if specs.iter().any(|spec| spec.is_inverted()) {
        return Err(RangeError::Inverted);
    }
    Ok(ranges)
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

    /// A header, and what a file of ten bytes gives by either set of rules.
    type Case = (&'static str, Found, Found);
    type Found = Result<&'static [(u64, u64)], RangeError>;

    #[test]
    fn ranges_table() {
        use RangeError::{Inverted, Malformed, NoRange, NotSatisfiable, Unit};
        let table: [Case; 26] = [
            ("bytes=0-4", Ok(&[(0, 5)]), Ok(&[(0, 5)])),
            (" BYTES = 0 - 4 , ,7 -", Ok(&[(0, 5), (7, 10)]), Ok(&[(0, 5), (7, 10)])),
            ("bytes=0-4,x", Err(Malformed), Ok(&[(0, 5)])),
            ("bytes=-3", Ok(&[(7, 10)]), Ok(&[(7, 10)])),
            ("bytes=-99", Ok(&[(0, 10)]), Ok(&[(0, 10)])),
            ("bytes=5-99999999999999999999999", Ok(&[(5, 10)]), Ok(&[(5, 10)])),
            ("bytes=000000000000000000000000001-2", Ok(&[(1, 3)]), Ok(&[(1, 3)])),
            ("bytes=5-6,0-1,2-3", Ok(&[(0, 4), (5, 7)]), Ok(&[(0, 4), (5, 7)])),
            ("bytes=0-9,2-3", Ok(&[(0, 10)]), Ok(&[(0, 10)])),
            ("bytes=0-1,1-2,2-3,3-4", Ok(&[]), Ok(&[])),
            ("bytes", Err(Malformed), Err(Malformed)),
            ("items=0-1", Err(Unit), Err(Unit)),
            ("bytes=", Err(NoRange), Err(NoRange)),
            ("bytes=-", Err(Malformed), Err(NoRange)),
            ("bytes=1-x,+1-2", Err(Malformed), Err(NoRange)),
            ("bytes=\u{661}-2", Err(Malformed), Err(NoRange)),
            ("bytes=4-3", Err(Inverted), Err(Inverted)),
            ("bytes=0-1,4-3", Err(Inverted), Err(Inverted)),
            ("bytes=200-100", Err(Inverted), Err(NotSatisfiable)),
            ("bytes=10-", Err(NotSatisfiable), Err(NotSatisfiable)),
            ("bytes=-0", Err(NotSatisfiable), Err(NotSatisfiable)),
            ("bytes=10-11,99-", Err(NotSatisfiable), Err(NotSatisfiable)),
            ("bytes=4-3,10-11", Err(Inverted), Err(NotSatisfiable)),
            ("bytes=0-4,10-", Ok(&[(0, 5)]), Err(NotSatisfiable)),
            ("bytes=-0,-1", Ok(&[(9, 10)]), Err(NotSatisfiable)),
            (
                "bytes=99999999999999999999-99999999999999999999",
                Err(NotSatisfiable),
                Err(NotSatisfiable),
            ),
        ];
        for (header, rfc, starlette) in table {
            for (rules, expected) in [(Rules::Rfc9110, rfc), (Rules::Starlette, starlette)] {
                let found = parse_ranges(header.as_bytes(), 10, 3, rules);
                assert_eq!(found.as_deref().map_err(|error| *error), expected, "{header} {rules:?}");
            }
        }
    }

    #[test]
    fn range_of_an_empty_file_is_not_satisfiable_unless_its_last_bytes_are_asked_for() {
        for (header, expected) in [
            (&b"bytes=0-"[..], Err(RangeError::NotSatisfiable)),
            (b"bytes=0-0", Err(RangeError::NotSatisfiable)),
            (b"bytes=-0", Err(RangeError::NotSatisfiable)),
            (b"bytes=-1", Ok(Vec::new())),
            (b"bytes=0-,-1", Ok(Vec::new())),
        ] {
            assert_eq!(parse_ranges(header, 0, 3, Rules::Rfc9110), expected);
            assert_eq!(
                parse_ranges(header, 0, 3, Rules::Starlette),
                Err(RangeError::NotSatisfiable)
            );
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
