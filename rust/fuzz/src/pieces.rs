//! Ways to cut an input.

/// Inputs up to this length are cut in two at every place, longer ones at this many places.
const MAX_CUTS: usize = 96;

/// Calls `check` with the input cut in two at every place (at some places of a long one), into single bytes, and into
/// chunks of a few sizes.
pub(crate) fn each_cut(input: &[u8], mut check: impl FnMut(&[&[u8]])) {
    let step = input.len() / MAX_CUTS + 1;
    for (first, second) in (0..=input.len())
        .step_by(step)
        .filter_map(|cut| input.split_at_checked(cut))
    {
        check(&[first, second]);
    }
    for size in [1, 2, 3, 7, 61] {
        check(&input.chunks(size).collect::<Vec<_>>());
    }
}

/// The text before each zero byte, and after the last one.
pub(crate) fn fields(input: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    input.split(|&byte| byte == 0)
}
