//! Lists of entity tags: the tag, a zero byte and the list.

use pallasite_core::condition::{names_strong_tag, names_tag};
use pallasite_core::header::trim_ows;

use crate::work::linear;

// A header is never split into chunks, so the input is not cut.
pub fn check(input: &[u8]) {
    let mut halves = input.splitn(2, |&byte| byte == 0);
    let (tag, list) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
    // Every element may be compared with a tag of the same length.
    let found = linear(input.len(), 4, 0, || names_tag(list, tag));
    let strong = |tag: &[u8]| {
        if tag.starts_with(b"W/") {
            tag[2..].to_vec()
        } else {
            tag.to_vec()
        }
    };
    let mut elements = vec![Vec::new()];
    for (at, &byte) in list.iter().enumerate() {
        let quotes = list[..at].iter().filter(|&&byte| byte == b'"').count();
        if byte == b',' && quotes % 2 == 0 {
            elements.push(Vec::new());
        } else {
            elements.last_mut().expect("there is one").push(byte);
        }
    }
    let is_listed = elements.iter().any(|element| strong(trim_ows(element)) == strong(tag));
    let is_star = trim_ows(list) == b"*";
    assert_eq!(found, is_star || (is_listed && !strong(tag).is_empty()));
    let is_listed = elements.iter().any(|element| trim_ows(element) == tag);
    let is_strong = !tag.is_empty() && !tag.starts_with(b"W/");
    assert_eq!(names_strong_tag(list, tag), is_star || (is_listed && is_strong));
}
