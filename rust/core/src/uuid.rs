//! Identifiers that sort by time. Source: RFC 9562 section 5.7 (version 7).

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Returns a UUID of version 7 as text, from the milliseconds since 1970 and ten random bytes.
///
/// ```
/// let text = pallasite_core::uuid::uuid7(0x017f_22e2_79b0, [0xff; 10]);
/// assert_eq!(&text, b"017f22e2-79b0-7fff-bfff-ffffffffffff");
/// ```
#[must_use]
pub fn uuid7(milliseconds: u64, random: [u8; 10]) -> [u8; 36] {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&milliseconds.to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&random);
    bytes[6] = 0x70 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (index, byte) in bytes.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at] = DIGITS[usize::from(byte >> 4)];
        text[at + 1] = DIGITS[usize::from(byte & 15)];
        at += 2;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        // RFC 9562 appendix A.6: 2022-02-22 14:22:22 -05:00, rand_a CC3, rand_b 18C4DC0C0C07398F.
        let random = [0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f];
        assert_eq!(
            &uuid7(0x017f_22e2_79b0, random),
            b"017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
        );
    }

    #[test]
    fn later_ones_sort_after_earlier_ones() {
        assert!(uuid7(1, [0xff; 10]) < uuid7(2, [0; 10]));
    }
}
