//! `Forwarded` and `X-Forwarded-For`, compared with regular expressions and with splitting.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use pallasite_core::forwarded::{
    Element, Proxies, client_of, is_prefix, parse_forwarded, parse_node, parse_x_forwarded,
};
use pallasite_core::limits::{MAX_FORWARDED_ELEMENTS, MAX_FORWARDED_PAIRS};
use regex::bytes::Regex;

use crate::work::linear;

const TOKEN: &str = r"[A-Za-z0-9!#$%&'*+\-.^_`|~:\[\]]+";
const QUOTED: &str = r#""(?:[\t \x21\x23-\x5B\x5D-\x7E\x80-\xFF]|\\[\x00-\xFF])*""#;

static FIELD: LazyLock<Regex> = LazyLock::new(|| {
    let pair = format!("{TOKEN}=(?:{TOKEN}|{QUOTED})");
    let element = format!(r"{pair}(?:[ \t]*;[ \t]*{pair})*");
    pattern(&format!(
        r"\A[ \t,]*(?:{element}[ \t]*(?:,[ \t,]*{element}[ \t]*)*(?:,[ \t,]*)?)?\z"
    ))
});
static PAIR: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!("(?<name>{TOKEN})=(?<value>{TOKEN}|{QUOTED})(?<end>[ \t]*;)?")));

fn pattern(source: &str) -> Regex {
    Regex::new(&format!("(?s-u){source}")).expect("a regular expression")
}

// A header is never split into chunks, so the input is not cut.
pub fn check(input: &[u8]) {
    let found = linear(input.len(), 8, 64, || parse_forwarded(input));
    assert_eq!(found.is_some(), reference(input).is_some());
    if let (Some(found), Some(expected)) = (&found, reference(input)) {
        assert_eq!(found.len(), expected.len());
        for (element, pairs) in found.iter().zip(&expected) {
            let value = |wanted: &[u8]| {
                let mut named = pairs.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
                named.next().map(|(_, value)| value.as_slice())
            };
            assert_eq!(element.host.as_deref(), value(b"host"));
            assert_eq!(element.client, value(b"for").and_then(parse_node));
            assert_eq!(element.is_secure, value(b"proto").and_then(is_secure));
        }
        check_client(found);
    }
    check_x_forwarded(input);
    check_node(input);
    let is_prefix = linear(input.len(), 4, 0, || is_prefix(input));
    static PREFIX: LazyLock<Regex> = LazyLock::new(|| pattern(r"\A(?:/[A-Za-z0-9._~-]+)+\z"));
    let dots = input
        .split(|&byte| byte == b'/')
        .any(|segment| segment == b"." || segment == b"..");
    assert_eq!(is_prefix, PREFIX.is_match(input) && !dots);
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn reference(field: &[u8]) -> Option<Vec<Pairs>> {
    if !FIELD.is_match(field) {
        return None;
    }
    let mut elements = vec![Pairs::new()];
    for captures in PAIR.captures_iter(field) {
        let pairs = elements.last_mut().expect("there is always one");
        let name = captures["name"].to_vec();
        if pairs.iter().any(|(other, _)| other.eq_ignore_ascii_case(&name)) {
            return None;
        }
        pairs.push((name, unquoted(&captures["value"])));
        if pairs.len() > MAX_FORWARDED_PAIRS {
            return None;
        }
        if captures.name("end").is_none() {
            elements.push(Pairs::new());
        }
    }
    elements.pop();
    (elements.len() <= MAX_FORWARDED_ELEMENTS).then_some(elements)
}

fn unquoted(value: &[u8]) -> Vec<u8> {
    let Some(inside) = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")) else {
        return value.to_vec();
    };
    let mut bytes = inside.iter();
    let mut found = Vec::new();
    while let Some(&byte) = bytes.next() {
        found.push(if byte == b'\\' {
            *bytes.next().expect("an escaped byte")
        } else {
            byte
        });
    }
    found
}

fn is_secure(scheme: &[u8]) -> Option<bool> {
    match scheme.to_ascii_lowercase().as_slice() {
        b"https" | b"wss" => Some(true),
        b"http" | b"ws" => Some(false),
        _ => None,
    }
}

/// The client is what the last element names, or a trusted address leads to it.
fn check_client(elements: &[Element<'_>]) {
    let trusted = |address: IpAddr| address.to_string().starts_with('1');
    let found = client_of(elements, &Proxies::At(trusted));
    assert_eq!(found.is_some(), !elements.is_empty());
    if let Some(index) = found {
        for after in &elements[index + 1..] {
            assert!(after.client.is_some_and(|node| trusted(node.address)));
        }
    }
}

fn check_x_forwarded(input: &[u8]) {
    let mut parts = input.splitn(3, |&byte| byte == b'\n');
    let [addresses, schemes, hosts] = [(); 3].map(|()| parts.next().unwrap_or_default());
    let found = linear(input.len(), 8, 64, || parse_x_forwarded(addresses, schemes, hosts));
    let list = |field: &[u8]| {
        let all: Vec<Vec<u8>> = field
            .split(|&byte| byte == b',')
            .map(|value| value.trim_ascii().to_vec())
            .collect();
        let skipped = all.len().saturating_sub(MAX_FORWARDED_ELEMENTS);
        if field.trim_ascii().is_empty() {
            Vec::new()
        } else {
            all[skipped..].to_vec()
        }
    };
    let (addresses, schemes, hosts) = (list(addresses), list(schemes), list(hosts));
    assert_eq!(found.len(), addresses.len().max(1));
    for (index, element) in found.iter().enumerate() {
        let of = |values: &[Vec<u8>]| {
            let at = if values.len() == 1 { 0 } else { index };
            let fits = values.len() == 1 || values.len() == addresses.len();
            values.get(at).filter(|_| fits).cloned()
        };
        assert_eq!(
            element.client,
            addresses.get(index).and_then(|address| parse_node(address))
        );
        assert_eq!(element.is_secure, of(&schemes).and_then(|scheme| is_secure(&scheme)));
        assert_eq!(element.host.as_deref(), of(&hosts).as_deref());
    }
    check_client(&found);
}

fn check_node(input: &[u8]) {
    let found = linear(input.len(), 4, 0, || parse_node(input));
    let expected = std::str::from_utf8(input).ok().and_then(|text| {
        static NODE: LazyLock<regex::Regex> = LazyLock::new(|| {
            regex::Regex::new(
                r"\A(?s:(?<four>[0-9.]+)|\[(?<six>[^\]]+)\])(?::(?:(?<port>[0-9]{1,5})|_[A-Za-z0-9._-]+))?\z",
            )
            .expect("a regular expression")
        });
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Some((IpAddr::V6(address), 0));
        }
        let captures = NODE.captures(text)?;
        let address = match captures.name("four") {
            Some(four) => IpAddr::V4(four.as_str().parse::<Ipv4Addr>().ok()?),
            None => IpAddr::V6(captures["six"].parse::<Ipv6Addr>().ok()?),
        };
        let port = captures
            .name("port")
            .map_or(Some(0), |port| port.as_str().parse().ok())?;
        Some((address, port))
    });
    let expected = expected.map(|(address, port): (IpAddr, u16)| (address.to_canonical(), port));
    assert_eq!(found.map(|node| (node.address, node.port)), expected);
}
