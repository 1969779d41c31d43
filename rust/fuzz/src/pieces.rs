//! Ways to cut an input.

/// Inputs up to this length are cut in two at every place, longer ones at so many.
const MAX_CUTS: usize = 96;

/// Calls `check` with the input cut in two at every place (some places of a long one), byte by byte, and in pieces of
/// a few sizes.
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

/// What stands before each zero byte, and behind the last one.
pub(crate) fn fields(input: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    input.split(|&byte| byte == 0)
}
