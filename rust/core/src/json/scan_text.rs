//! Finds the bytes that a JSON string cannot contain as they are.

use crate::scan;

/// Bytes looked at together: the comparisons compile to vector instructions.
const BLOCK: usize = 32;
pub(super) const WORD: usize = 8;

/// For each byte that must not stand in a string as it is: the letter after the backslash, `u` meaning `\u00xx`.
pub(super) const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = b'u';
        control += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

/// How many bytes at the start are neither quotes, backslashes nor control characters.
#[inline]
pub(super) fn clean_prefix(bytes: &[u8]) -> usize {
    let mut length = 0;
    if bytes.len() >= BLOCK {
        for block in bytes.chunks_exact(BLOCK) {
            scan::count(BLOCK);
            if has_special(block) {
                break;
            }
            length += BLOCK;
        }
    }
    let rest = bytes.get(length..).unwrap_or_default();
    for word in rest.chunks_exact(WORD) {
        scan::count(WORD);
        let word = u64::from_le_bytes(word.try_into().expect("chunks of that size"));
        let special = special_bytes(word);
        if special != 0 {
            return length + special.trailing_zeros() as usize / 8;
        }
        length += WORD;
    }
    let rest = bytes.get(length..).unwrap_or_default();
    length + scan::position(rest, |&byte| ESCAPES[usize::from(byte)] != 0).unwrap_or(rest.len())
}

#[expect(
    clippy::needless_bitwise_bool,
    reason = "without branches it compiles to vector instructions"
)]
fn has_special(block: &[u8]) -> bool {
    block.iter().fold(false, |dirty, &byte| {
        dirty | (byte < 0x20) | (byte == b'"') | (byte == b'\\')
    })
}

/// The highest bit of each byte of the word that is special is set, up to and including the first such byte. Bytes after
/// the first may be wrong, because a subtraction borrows from the next byte.
#[inline]
pub(super) fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let is_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let is_control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
    is_control | is_zero(word ^ (ONES * u64::from(b'"'))) | is_zero(word ^ (ONES * u64::from(b'\\')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn prefix_equals_the_slow_way(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), 0x1e..0x24u8, Just(b'a'), Just(b'\\')], 0..100)) {
            let slow = bytes.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\');
            prop_assert_eq!(clean_prefix(&bytes), slow.unwrap_or(bytes.len()));
        }
    }
}
