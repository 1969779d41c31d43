//! The Cookie header, compared with a reference that reads character by character, and split at every semicolon.

use pallasite_core::cookie::parse_cookies;
use pallasite_core::header::trim_ows;

use crate::work::linear;

type Pair = (Vec<u8>, Vec<u8>);

pub fn check(input: &[u8]) {
    let found = linear(input.len(), 12, 160, || {
        let mut found: Vec<Pair> = Vec::new();
        parse_cookies(input, |name, value| {
            found.push((name.to_vec(), value.into_owned()));
        });
        found
    });
    assert_eq!(found, reference(input));
    // A cookie does not depend on its neighbours. A header is never split into chunks, so the input is not cut
    // elsewhere.
    for cut in (0..input.len()).filter(|&at| input[at] == b';').take(64) {
        let joined = [&input[..cut], &input[cut + 1..]].map(|half| {
            let mut pairs: Vec<Pair> = Vec::new();
            parse_cookies(half, |name, value| {
                pairs.push((name.to_vec(), value.into_owned()));
            });
            pairs
        });
        assert_eq!(joined.concat(), found);
    }
}

fn reference(input: &[u8]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let mut start = 0;
    for at in 0..=input.len() {
        if at < input.len() && input[at] != b';' {
            continue;
        }
        let pair = &input[start..at];
        start = at + 1;
        let equals = (0..pair.len()).find(|&index| pair[index] == b'=');
        let (name, value) = match equals {
            Some(equals) => (&pair[..equals], &pair[equals + 1..]),
            None => (&pair[..0], pair),
        };
        let (written, value) = (name, trim_ows(value));
        let name = trim_ows(name);
        let has_control = pair.iter().any(|&byte| byte == 127 || (byte < 32 && byte != 9));
        let text = String::from_utf8_lossy(name).to_lowercase();
        let is_guarded = ["__host-", "__secure-", "__http-"]
            .iter()
            .any(|prefix| text.starts_with(prefix));
        let has_stray_blanks = written != name && written != [b" ", name].concat();
        // A value of two quotes is present, although it is empty.
        let is_there = !name.is_empty() || !value.is_empty();
        if is_there && !has_control && !(is_guarded && has_stray_blanks) {
            pairs.push((name.to_vec(), unquoted(value)));
        }
    }
    pairs
}

fn unquoted(value: &[u8]) -> Vec<u8> {
    if value.len() < 2 || value[0] != b'"' || value[value.len() - 1] != b'"' {
        return value.to_vec();
    }
    let inside = &value[1..value.len() - 1];
    let mut text = Vec::new();
    let mut at = 0;
    while at < inside.len() {
        let octal = inside.get(at + 1..at + 4).filter(|digits| {
            (b'0'..=b'3').contains(&digits[0]) && digits.iter().all(|digit| (b'0'..=b'7').contains(digit))
        });
        match (inside[at], octal, inside.get(at + 1)) {
            (b'\\', Some(digits), _) => {
                let digits = std::str::from_utf8(digits).unwrap();
                let number = u8::from_str_radix(digits, 8).unwrap();
                text.extend(char::from(number).to_string().into_bytes());
                at += 4;
            }
            (b'\\', None, Some(&next)) if next != b'\n' => {
                text.push(next);
                at += 2;
            }
            (byte, _, _) => {
                text.push(byte);
                at += 1;
            }
        }
    }
    text
}
