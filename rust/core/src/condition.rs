//! Entity tags in If-Match and If-None-Match (RFC 9110 sections 8.8.3, 13.1.1 and 13.1.2).
//!
//! Deviation: a tag without quotes is read as well, up to the next comma; in quotes any byte may stand.

use crate::header::trim_ows;
use crate::scan;

/// Whether a list of entity tags is `*` or has `tag` in it. Weak comparison: it does not count whether one is weak.
#[must_use]
pub fn names_tag(list: &[u8], tag: &[u8]) -> bool {
    if trim_ows(list) == b"*" {
        return true;
    }
    let tag = without_weakness(tag);
    !tag.is_empty() && Tags { rest: Some(list) }.any(|listed| without_weakness(listed) == tag)
}

/// Whether a list of entity tags is `*` or has `tag` in it, and both are strong.
#[must_use]
pub fn names_strong_tag(list: &[u8], tag: &[u8]) -> bool {
    if trim_ows(list) == b"*" {
        return true;
    }
    !tag.is_empty() && !tag.starts_with(b"W/") && Tags { rest: Some(list) }.any(|listed| listed == tag)
}

fn without_weakness(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// What stands between commas that are not in quotes, trimmed.
struct Tags<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Tags<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let mut is_quoted = false;
        let end = scan::position(rest, |&byte| {
            is_quoted ^= byte == b'"';
            byte == b',' && !is_quoted
        });
        let (tag, behind) = rest.split_at(end.unwrap_or(rest.len()));
        self.rest = behind.get(1..);
        Some(trim_ows(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strong_tags_table() {
        for (list, tag, expected) in [
            ("\"a\"", "\"a\"", true),
            ("\"b\" , \"a\"", "\"a\"", true),
            (" * ", "\"a\"", true),
            ("*", "W/\"a\"", true),
            ("W/\"a\"", "\"a\"", false),
            ("W/\"a\"", "W/\"a\"", false),
            ("\"a\"", "W/\"a\"", false),
            ("\"a,b\"", "b\"", false),
            ("", "", false),
        ] {
            assert_eq!(
                names_strong_tag(list.as_bytes(), tag.as_bytes()),
                expected,
                "{list} {tag}"
            );
        }
    }

    #[test]
    fn tags_table() {
        for (list, tag, expected) in [
            ("\"a\"", "\"a\"", true),
            ("\"b\", W/\"a\" ,\"c\"", "\"a\"", true),
            ("\"a\"", "W/\"a\"", true),
            ("\"b\",\"c\"", "\"a\"", false),
            (" * ", "\"a\"", true),
            ("*, \"b\"", "\"a\"", false),
            ("\"a,b\"", "\"a,b\"", true),
            ("\"a,b\"", "b\"", false),
            ("a, b", "b", true),
            ("w/\"a\"", "\"a\"", false),
            ("\"\"", "\"\"", true),
            ("", "", false),
            (",", "", false),
            ("W/", "", false),
            ("\"open, \"a\"", "\"a\"", false),
        ] {
            assert_eq!(names_tag(list.as_bytes(), tag.as_bytes()), expected, "{list} {tag}");
        }
    }
}
