//! Query strings: split at every ampersand, compared with a reference, and encoded and parsed again.

use pallasite_core::query::{decode_component, encode_component, parse_query};

use crate::work::linear;

pub(crate) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

pub fn check(input: &[u8]) {
    let pairs = linear(input.len(), 12, 192, || parsed(input));
    assert_eq!(pairs, reference(input));
    for cut in (0..input.len()).filter(|&at| input[at] == b'&').take(64) {
        let halves = [parsed(&input[..cut]), parsed(&input[cut + 1..])];
        assert_eq!(halves.concat(), pairs);
    }
    let mut encoded = String::new();
    linear(input.len(), 4, 24, || encode_component(input, &mut encoded));
    assert!(
        encoded
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-~+%".contains(&byte))
    );
    assert_eq!(
        &*decode_component(encoded.as_bytes()),
        String::from_utf8_lossy(input).as_bytes()
    );
}

fn parsed(input: &[u8]) -> Pairs {
    let mut pairs = Vec::new();
    parse_query(input, |name, value| pairs.push((name.into_owned(), value.into_owned())));
    pairs
}

/// Also the reference for bodies of forms.
pub(crate) fn reference(input: &[u8]) -> Pairs {
    let fields = input.split(|&byte| byte == b'&').filter(|field| !field.is_empty());
    fields
        .map(|field| {
            let mut halves = field.splitn(2, |&byte| byte == b'=');
            let mut half = || decoded(halves.next().unwrap_or_default());
            (half(), half())
        })
        .collect()
}

/// Each run of ASCII is decoded separately; other text is kept.
fn decoded(text: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    let mut run = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let escape = text
            .get(at + 1..at + 3)
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        match (text[at], escape) {
            (b'%', Some(digits)) => {
                run.push(u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap());
                at += 2;
            }
            (b'+', _) => run.push(b' '),
            (byte, _) if byte.is_ascii() => run.push(byte),
            (byte, _) => {
                whole.extend(String::from_utf8_lossy(&run).bytes());
                run.clear();
                whole.push(byte);
            }
        }
        at += 1;
    }
    whole.extend(String::from_utf8_lossy(&run).bytes());
    whole
}
