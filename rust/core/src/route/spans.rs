//! The positions of the parameters of a match, without an allocation for a few of them.

use std::ops::Range;

/// Parameters that a match holds without an allocation.
const INLINE: usize = 6;

/// The byte ranges of the parameters of a match, in the order of the pattern.
#[derive(Debug, Default)]
pub struct Spans {
    few: [(usize, usize); INLINE],
    length: usize,
    more: Vec<(usize, usize)>,
}

impl Spans {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of ranges.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The range of parameter `index`, counted from 0.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Range<usize>> {
        if index >= self.length {
            return None;
        }
        let span = self.few.get(index).or_else(|| self.more.get(index - INLINE));
        let &(start, end) = span.expect("it is below the length of both together");
        Some(start..end)
    }

    /// All ranges.
    pub fn iter(&self) -> impl Iterator<Item = Range<usize>> {
        (0..self.length).filter_map(|index| self.get(index))
    }

    pub(super) fn clear(&mut self) {
        self.length = 0;
        self.more.clear();
    }

    pub(super) fn push(&mut self, start: usize, end: usize) {
        match self.few.get_mut(self.length) {
            Some(slot) => *slot = (start, end),
            None => self.more.push((start, end)),
        }
        self.length += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_beyond_the_inline_ones_are_kept() {
        let mut spans = Spans::new();
        for number in 0..20 {
            spans.push(number, number + 1);
        }
        assert_eq!(
            spans.iter().collect::<Vec<_>>(),
            (0..20).map(|n| n..n + 1).collect::<Vec<_>>()
        );
        assert_eq!((spans.len(), spans.get(20)), (20, None));
        spans.clear();
        assert!(spans.is_empty() && spans.get(0).is_none());
    }
}
