//! What proxies say about a request: `Forwarded` (RFC 7239), and `X-Forwarded-For`, `-Proto` and `-Host`.
//!
//! A proxy appends what it knows of the connection that it has accepted. So the last element is from the peer, and each
//! one before it from whom the one after it names. Nothing here decides whom to believe, except [`client_of`].

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::limits::{MAX_FORWARDED_ELEMENTS, MAX_FORWARDED_PAIRS};
use crate::scan;

/// What a proxy knows of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element<'a> {
    /// None if it is missing, `unknown`, obfuscated or malformed.
    pub client: Option<Node>,
    /// None if it is missing or none of `http`, `https`, `ws` and `wss`.
    pub is_secure: Option<bool>,
    /// Not validated.
    pub host: Option<Cow<'a, [u8]>>,
}

/// An address with its port, 0 if that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// IPv4 addresses in IPv6 notation are IPv4 addresses.
    pub address: IpAddr,
    /// The port of the client.
    pub port: u16,
}

/// The elements of a `Forwarded` field. None if any of it is malformed, or if there are too many.
///
/// ```
/// use pallasite_core::forwarded::parse_forwarded;
///
/// let elements = parse_forwarded(br#"for="[2001:db8::1]:4711";proto=https, for=192.0.2.7"#).unwrap();
/// assert_eq!(elements[0].client.unwrap().port, 4711);
/// assert_eq!(elements[0].is_secure, Some(true));
/// ```
#[must_use]
pub fn parse_forwarded(field: &[u8]) -> Option<Vec<Element<'_>>> {
    let mut elements = Vec::new();
    let mut rest = skip_space(field);
    while !rest.is_empty() {
        // A list may have empty elements (RFC 9110 section 5.6.1.2).
        if let Some(after) = rest.strip_prefix(b",") {
            rest = skip_space(after);
            continue;
        }
        if elements.len() == MAX_FORWARDED_ELEMENTS {
            return None;
        }
        let (element, after) = parse_element(rest)?;
        elements.push(element);
        rest = skip_space(after);
        if !rest.is_empty() {
            rest = skip_space(rest.strip_prefix(b",")?);
        }
    }
    Some(elements)
}

/// One element: pairs with semicolons between them, each name at most once.
fn parse_element(text: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let mut element = Element::default();
    let mut seen: Vec<&[u8]> = Vec::new();
    let mut rest = text;
    loop {
        let (name, after) = take_token(rest)?;
        if seen.len() == MAX_FORWARDED_PAIRS || seen.iter().any(|other| other.eq_ignore_ascii_case(name)) {
            return None;
        }
        seen.push(name);
        let after = after.strip_prefix(b"=")?;
        let (value, after) = match after.strip_prefix(b"\"") {
            Some(quoted) => take_quoted(quoted)?,
            None => take_token(after).map(|(value, after)| (Cow::Borrowed(value), after))?,
        };
        if name.eq_ignore_ascii_case(b"for") {
            element.client = parse_node(&value);
        } else if name.eq_ignore_ascii_case(b"proto") {
            element.is_secure = parse_scheme(&value);
        } else if name.eq_ignore_ascii_case(b"host") {
            element.host = Some(value);
        }
        // Many proxies put a space after the semicolon, which the grammar does not have.
        rest = skip_space(after);
        match rest.strip_prefix(b";") {
            Some(after) => rest = skip_space(after),
            None => return Some((element, rest)),
        }
    }
}

/// The elements of `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`, the last ones if there are too many.
///
/// A proxy replaces or appends the second and third: a single value is about the whole way, and belongs to each element.
/// As many values as addresses belong together. Any other number says nothing.
#[must_use]
pub fn parse_x_forwarded<'a>(addresses: &'a [u8], schemes: &'a [u8], hosts: &'a [u8]) -> Vec<Element<'a>> {
    let addresses = list(addresses);
    let schemes = list(schemes);
    let hosts = list(hosts);
    let count = addresses.len().max(1);
    let at = |values: &[&'a [u8]], index: usize| match values.len() {
        1 => Some(values[0]),
        length if length == addresses.len() => values.get(index).copied(),
        _ => None,
    };
    (0..count)
        .map(|index| Element {
            client: addresses.get(index).and_then(|address| parse_node(address)),
            is_secure: at(&schemes, index).and_then(parse_scheme),
            host: at(&hosts, index).map(Cow::Borrowed),
        })
        .collect()
}

/// The last elements of a list, without the white space around them.
fn list(field: &[u8]) -> Vec<&[u8]> {
    scan::count(2 * field.len());
    if field.trim_ascii().is_empty() {
        return Vec::new();
    }
    let mut elements: Vec<_> = field
        .rsplit(|&byte| byte == b',')
        .take(MAX_FORWARDED_ELEMENTS)
        .map(<[u8]>::trim_ascii)
        .collect();
    elements.reverse();
    elements
}

/// An address: IPv4 or IPv6, either with a port, the second in brackets then. Brackets are also allowed without one.
#[must_use]
pub fn parse_node(text: &[u8]) -> Option<Node> {
    scan::count(3 * text.len());
    let text = std::str::from_utf8(text).ok()?;
    let (address, port) = if let Some(inside) = text.strip_prefix('[') {
        let (address, after) = inside.split_once(']')?;
        let port = if after.is_empty() {
            None
        } else {
            Some(after.strip_prefix(':')?)
        };
        (IpAddr::V6(address.parse::<Ipv6Addr>().ok()?), port)
    } else if let Ok(address) = text.parse::<Ipv6Addr>() {
        (IpAddr::V6(address), None)
    } else {
        let (address, port) = match text.split_once(':') {
            Some((address, port)) => (address, Some(port)),
            None => (text, None),
        };
        (IpAddr::V4(address.parse::<Ipv4Addr>().ok()?), port)
    };
    let port = match port {
        None => 0,
        // An obfuscated port (RFC 7239 section 6) says nothing.
        Some(port) if is_obfuscated(port) => 0,
        Some(port) if !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            port.parse().ok()?
        }
        Some(_) => return None,
    };
    Some(Node {
        address: address.to_canonical(),
        port,
    })
}

fn is_obfuscated(text: &str) -> bool {
    text.strip_prefix('_').is_some_and(|name| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        !name.is_empty() && name.bytes().all(fits)
    })
}

/// Whether a scheme is secure. None for any other scheme.
fn parse_scheme(text: &[u8]) -> Option<bool> {
    let is = |scheme: &[u8]| text.eq_ignore_ascii_case(scheme);
    if is(b"https") || is(b"wss") {
        Some(true)
    } else if is(b"http") || is(b"ws") {
        Some(false)
    } else {
        None
    }
}

/// Whom to believe.
#[derive(Clone, Copy, Debug)]
pub enum Proxies<F> {
    /// Those at these addresses. The first other address, from the end, is the client.
    At(F),
    /// This number of proxies, at least 1.
    Count(usize),
}

/// The element of the client: the position of what the outermost trusted proxy has said. None if no proxy has said
/// anything that can be used.
#[must_use]
pub fn client_of(elements: &[Element<'_>], proxies: &Proxies<impl Fn(IpAddr) -> bool>) -> Option<usize> {
    match proxies {
        Proxies::Count(count) => elements.len().checked_sub(*count),
        Proxies::At(is_trusted) => {
            let mut found = elements.len().checked_sub(1)?;
            for (index, element) in elements.iter().enumerate().rev() {
                let Some(node) = element.client else { break };
                found = index;
                if !is_trusted(node.address) {
                    break;
                }
            }
            Some(found)
        }
    }
}

/// True for a path that may be put in front of others: ASCII segments of letters, digits and `-._~`, none of them `.` or
/// `..`, each after a slash.
#[must_use]
pub fn is_prefix(path: &[u8]) -> bool {
    scan::count(2 * path.len());
    let Some(path) = path.strip_prefix(b"/") else {
        return false;
    };
    path.split(|&byte| byte == b'/').all(|segment| {
        !segment.is_empty()
            && segment != b"."
            && segment != b".."
            && segment
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(byte))
    })
}

fn skip_space(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| !b" \t".contains(byte));
    let (space, rest) = text.split_at(end.unwrap_or(text.len()));
    scan::count(space.len() + 1);
    rest
}

/// A token (RFC 9110 section 5.6.2), or the address with a port that many proxies do not quote.
fn take_token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:[]".contains(byte);
    let end = text.iter().position(|byte| !is_token(byte)).unwrap_or(text.len());
    scan::count(end + 1);
    (end > 0).then(|| text.split_at(end))
}

/// The rest of a quoted string (RFC 9110 section 5.6.4), and what follows it.
fn take_quoted(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let mut value = Cow::Borrowed(&text[..0]);
    let mut start = 0;
    let mut index = 0;
    while let Some(&byte) = text.get(index) {
        scan::count(1);
        match byte {
            b'"' => {
                let piece = &text[start..index];
                let rest = &text[index + 1..];
                if value.is_empty() {
                    return Some((Cow::Borrowed(piece), rest));
                }
                value.to_mut().extend_from_slice(piece);
                return Some((value, rest));
            }
            b'\\' => {
                value.to_mut().extend_from_slice(&text[start..index]);
                value.to_mut().push(*text.get(index + 1)?);
                index += 2;
                start = index;
            }
            b'\t' | b' '..=b'~' | 0x80.. => index += 1,
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(text: &str) -> Option<(String, u16)> {
        parse_node(text.as_bytes()).map(|node| (node.address.to_string(), node.port))
    }

    fn clients(elements: &[Element<'_>]) -> Vec<String> {
        let text = |node: Node| format!("{}|{}", node.address, node.port);
        elements
            .iter()
            .map(|element| element.client.map_or("-".to_owned(), text))
            .collect()
    }

    #[test]
    fn nodes() {
        let plain = |address: &str| Some((address.to_owned(), 0));
        assert_eq!(node("192.0.2.1"), plain("192.0.2.1"));
        assert_eq!(node("192.0.2.1:80"), Some(("192.0.2.1".into(), 80)));
        assert_eq!(node("192.0.2.1:_x"), plain("192.0.2.1"));
        assert_eq!(node("[::1]:_a.B-9_"), plain("::1"));
        assert_eq!(node("2001:db8::1"), plain("2001:db8::1"));
        assert_eq!(node("[2001:db8::1]"), plain("2001:db8::1"));
        assert_eq!(node("[2001:db8::1]:65535"), Some(("2001:db8::1".into(), 65535)));
        assert_eq!(node("::ffff:192.0.2.1"), plain("192.0.2.1"));
        for text in [
            "",
            "unknown",
            "_gate",
            "192.0.2",
            "192.0.2.256",
            "192.0.2.1:",
            "192.0.2.1:65536",
            "192.0.2.1:+1",
            "192.0.2.1:000080",
            "192.0.2.1:_",
            "192.0.2.1:_x y",
            "[::1]:_x\n",
            "[::1",
            "[::1]80",
            "[192.0.2.1]",
            "::1%eth0",
            "a.example",
            " 192.0.2.1",
            "1.2.3.4\0",
        ] {
            assert_eq!(node(text), None, "{text:?}");
        }
    }

    #[test]
    fn examples_of_the_rfc() {
        // RFC 7239 section 4.
        let elements =
            parse_forwarded(b"for=192.0.2.43, for=198.51.100.17;by=203.0.113.60;proto=http;host=example.com");
        let elements = elements.unwrap_or_default();
        assert_eq!(clients(&elements), ["192.0.2.43|0", "198.51.100.17|0"]);
        assert_eq!(elements[1].is_secure, Some(false));
        assert_eq!(elements[1].host.as_deref(), Some(&b"example.com"[..]));
        let elements = parse_forwarded(br#"For="[2001:db8:cafe::17]:4711", for=_mdn, for="_gazonk", for=unknown"#);
        assert_eq!(
            clients(&elements.unwrap_or_default()),
            ["2001:db8:cafe::17|4711", "-", "-", "-"]
        );
    }

    #[test]
    fn liberties_that_proxies_take() {
        let elements = parse_forwarded(b" , for=192.0.2.1:80; proto=HTTPS ,, for=[::1] , ").unwrap_or_default();
        assert_eq!(clients(&elements), ["192.0.2.1|80", "::1|0"]);
        assert_eq!(elements[0].is_secure, Some(true));
        assert_eq!(parse_forwarded(b""), Some(Vec::new()));
        let escaped = parse_forwarded(br#"host="a\"b\\";for="\1.2.3.4""#).unwrap_or_default();
        assert_eq!(escaped[0].host.as_deref(), Some(&br#"a"b\"#[..]));
        assert_eq!(clients(&escaped), ["1.2.3.4|0"]);
    }

    #[test]
    fn malformed_fields() {
        for field in [
            "for",
            "for=",
            "=1",
            "for=1;",
            "for=1;;by=2",
            "for=1 by=2",
            "for=1;for=2",
            "for=1;FOR=2",
            "for=\"1",
            "for=\"1\\",
            "for=\"1\"2",
            "for=\"\x01\"",
            "for =1",
            "for= 1",
            "for=(1)",
            "for=\u{e4}",
            "1.2.3.4",
        ] {
            assert_eq!(parse_forwarded(field.as_bytes()), None, "{field:?}");
        }
        let many = |count| vec!["for=1.2.3.4"; count].join(",");
        assert!(parse_forwarded(many(MAX_FORWARDED_ELEMENTS).as_bytes()).is_some());
        assert!(parse_forwarded(many(MAX_FORWARDED_ELEMENTS + 1).as_bytes()).is_none());
        let pairs = |count| (0..count).map(|n| format!("a{n}=1")).collect::<Vec<_>>().join(";");
        assert!(parse_forwarded(pairs(MAX_FORWARDED_PAIRS).as_bytes()).is_some());
        assert!(parse_forwarded(pairs(MAX_FORWARDED_PAIRS + 1).as_bytes()).is_none());
    }

    #[test]
    fn x_forwarded_values_belong_together_or_to_all() {
        let secure = |elements: &[Element<'_>]| elements.iter().map(|element| element.is_secure).collect::<Vec<_>>();
        let elements = parse_x_forwarded(b"192.0.2.1, x ,10.0.0.1:9", b"https,http, wss", b"a, b");
        assert_eq!(clients(&elements), ["192.0.2.1|0", "-", "10.0.0.1|9"]);
        assert_eq!(secure(&elements), [Some(true), Some(false), Some(true)]);
        assert_eq!(elements[0].host, None);
        let elements = parse_x_forwarded(b"192.0.2.1,10.0.0.1", b"https", b"a");
        assert_eq!(secure(&elements), [Some(true); 2]);
        assert_eq!(elements[1].host.as_deref(), Some(&b"a"[..]));
        let elements = parse_x_forwarded(b"", b"https", b"");
        assert_eq!(
            (clients(&elements), secure(&elements)),
            (vec!["-".to_owned()], vec![Some(true)])
        );
        assert_eq!(secure(&parse_x_forwarded(b"", b"https,http", b"")), [None]);
        assert_eq!(secure(&parse_x_forwarded(b"", b"gopher", b"")), [None]);
        let many = vec!["1.1.1.1"; 2 * MAX_FORWARDED_ELEMENTS].join(",") + ",2.2.2.2";
        let elements = parse_x_forwarded(many.as_bytes(), b"", b"");
        assert_eq!(elements.len(), MAX_FORWARDED_ELEMENTS);
        assert_eq!(clients(&elements).last().map(String::as_str), Some("2.2.2.2|0"));
    }

    #[test]
    fn client_is_the_first_that_is_not_trusted_from_the_end() {
        let trusted = Proxies::At(|address: IpAddr| address.to_string().starts_with("10."));
        let at = |field: &str| client_of(&parse_x_forwarded(field.as_bytes(), b"", b""), &trusted);
        assert_eq!(at("6.6.6.6, 192.0.2.1, 10.0.0.1"), Some(1));
        assert_eq!(at("6.6.6.6, 192.0.2.1"), Some(1));
        assert_eq!(at("10.0.0.2, 10.0.0.1"), Some(0));
        assert_eq!(at("6.6.6.6, unknown, 10.0.0.1"), Some(2));
        assert_eq!(at("6.6.6.6, unknown"), Some(1));
        assert_eq!(client_of(&[], &trusted), None);
    }

    #[test]
    fn client_behind_a_number_of_proxies() {
        let elements = parse_x_forwarded(b"6.6.6.6, 192.0.2.1, 10.0.0.1", b"", b"");
        let at = |count| client_of(&elements, &Proxies::<fn(IpAddr) -> bool>::Count(count));
        assert_eq!((at(1), at(2), at(3), at(4)), (Some(2), Some(1), Some(0), None));
    }

    #[test]
    fn prefixes() {
        for path in ["/a", "/a/b-c_d.e~f", "/..a", "/v1.0"] {
            assert!(is_prefix(path.as_bytes()), "{path}");
        }
        for path in [
            "", "a", "/", "//a", "/a/", "/a//b", "/.", "/a/..", "/a%2f", "/a?b", "/\u{e4}", "/a b", "/a\\b",
        ] {
            assert!(!is_prefix(path.as_bytes()), "{path}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            hops in prop::collection::vec((any::<IpAddr>(), any::<Option<u16>>(), any::<Option<bool>>()), 0..20)
        ) {
            let mut forwarded = Vec::new();
            let mut expected = Vec::new();
            for (address, port, is_secure) in hops {
                let host = match address {
                    IpAddr::V4(_) => address.to_string(),
                    IpAddr::V6(_) => format!("[{address}]"),
                };
                let mut element = match port {
                    Some(port) => format!("for=\"{host}:{port}\""),
                    None => format!("for=\"{host}\""),
                };
                if let Some(is_secure) = is_secure {
                    element += if is_secure { ";proto=https" } else { ";proto=http" };
                }
                forwarded.push(element);
                let client = Some(Node { address: address.to_canonical(), port: port.unwrap_or(0) });
                expected.push(Element { client, is_secure, host: None });
            }
            let field = forwarded.join(", ");
            prop_assert_eq!(parse_forwarded(field.as_bytes()), Some(expected));
        }

        #[test]
        fn no_field_is_a_panic(field in prop::collection::vec(any::<u8>(), 0..200)) {
            let elements = parse_forwarded(&field);
            prop_assert!(elements.is_none_or(|elements| elements.len() <= MAX_FORWARDED_ELEMENTS));
            prop_assert!(!parse_x_forwarded(&field, &field, &field).is_empty());
        }
    }
}
