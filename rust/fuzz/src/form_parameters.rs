//! The parameters of Content-Type and Content-Disposition in forms, which differ from those of other headers.

use pallasite_core::form::parameters::{find_parameters, without_windows_path};
use pallasite_core::header::trim_ows;

use crate::work::linear;

/// Both parameters, or None if one of them is repeated.
type Found = Option<[Option<Vec<u8>>; 2]>;

// A header is never split into chunks, so the input is not cut.
pub(crate) fn check(input: &[u8]) {
    let found = linear(input.len(), 12, 16, || find_parameters(input, [b"name", b"filename"]));
    let found = found
        .ok()
        .map(|found| found.map(|value| value.map(|value| value.into_owned())));
    assert_eq!(found, reference(input));
    let name = without_windows_path(input);
    assert!(input.ends_with(name));
    let is_windows = input.get(1..3) == Some(b":\\") || input.starts_with(b"\\\\");
    assert!(if is_windows {
        !name.contains(&b'\\')
    } else {
        name == input
    });
}

fn reference(header: &[u8]) -> Found {
    let mut segments = vec![Vec::new()];
    let mut is_quoted = false;
    for (at, &byte) in header.iter().enumerate() {
        let last = segments.last_mut().expect("there is one");
        if byte == b';' && !is_quoted {
            segments.push(Vec::new());
            continue;
        }
        let is_escaped = at > 0 && header[at - 1] == b'\\' && !last.is_empty();
        if byte == b'"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        last.push(byte);
    }
    let mut found: [Option<Vec<u8>>; 2] = [None, None];
    for segment in &segments[1..] {
        let mut halves = segment.splitn(2, |&byte| byte == b'=');
        let name = trim_ows(halves.next().unwrap_or_default());
        let value = halves.next();
        // Without an equals sign, only a name in lower case is recognised.
        let lower = if value.is_some() {
            name.to_ascii_lowercase()
        } else {
            name.to_vec()
        };
        let number = match &lower[..] {
            b"name" => 0,
            b"filename" => 1,
            _ => continue,
        };
        if found[number]
            .replace(unquoted(trim_ows(value.unwrap_or_default())))
            .is_some()
        {
            return None;
        }
    }
    Some(found)
}

fn unquoted(value: &[u8]) -> Vec<u8> {
    if value.len() < 2 || !value.starts_with(b"\"") || !value.ends_with(b"\"") {
        return value.to_vec();
    }
    // One character for each byte, to use the methods of text.
    let text: String = value[1..value.len() - 1].iter().map(|&byte| char::from(byte)).collect();
    let text = text.replace("\\\\", "\\").replace("\\\"", "\"");
    text.chars().map(|character| character as u8).collect()
}
