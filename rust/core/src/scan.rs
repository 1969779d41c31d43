//! Searches in bytes that count their work. With the feature `steps`, checks can compare the work of a parser with the
//! length of its input. Without it, nothing is counted.

/// The position of the first `byte`.
#[inline]
pub(crate) fn find(byte: u8, text: &[u8]) -> Option<usize> {
    let found = memchr::memchr(byte, text);
    count(found.map_or(text.len(), |index| index + 1));
    found
}

/// The text before and after the first `byte`; None without one.
#[inline]
pub(crate) fn split_once(byte: u8, text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, rest) = text.split_at(find(byte, text)?);
    Some((before, rest.split_at(1).1))
}

/// The position of the first byte that is `wanted`.
#[inline]
pub(crate) fn position(text: &[u8], wanted: impl FnMut(&u8) -> bool) -> Option<usize> {
    let found = text.iter().position(wanted);
    count(found.map_or(text.len(), |index| index + 1));
    found
}

/// Counts this number of bytes as examined.
#[inline(always)]
pub(crate) fn count(_bytes: usize) {
    #[cfg(feature = "steps")]
    STEPS.with(|steps| steps.set(steps.get() + _bytes as u64));
}

#[cfg(feature = "steps")]
std::thread_local! {
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// The result of `work`, and the number of bytes that this crate examined during it, counting repetitions.
#[cfg(feature = "steps")]
pub fn steps_of<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = STEPS.get();
    let result = work();
    (result, STEPS.get() - before)
}
