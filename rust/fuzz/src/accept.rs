//! Accept-Encoding and similar headers: the first byte chooses the coding, the rest is the header.

use pallasite_core::accept::{coding_weight, parse_accept};
use pallasite_core::limits::{MAX_ACCEPT_ELEMENTS, MAX_HEADER_PARAMETERS};

use crate::header;
use crate::work::linear;

const CODINGS: [&[u8]; 4] = [b"gzip", b"identity", b"br", b"*"];

// A header is never split into chunks, so the input is not cut.
pub fn check(input: &[u8]) {
    let Some((&choice, header)) = input.split_first() else {
        return;
    };
    let found = linear(header.len(), 24, 256, || parse_accept(header));
    let expected = reference(header);
    assert_eq!(found.len(), expected.len());
    for (choice, (value, weight, parameters)) in found.iter().zip(&expected) {
        assert_eq!((&choice.value, choice.weight_thousandths), (value, *weight));
        assert_eq!(&choice.parameters, parameters);
    }
    let coding = CODINGS[usize::from(choice) % CODINGS.len()];
    let weight_of = |wanted: &[u8]| {
        let named = expected.iter().filter(|(value, ..)| value == wanted);
        named.map(|(_, weight, _)| *weight).max()
    };
    // A repeated coding has its largest weight. All other codings have the weight of the last `*`, which is the
    // smallest.
    let of_others = expected
        .iter()
        .filter(|(value, ..)| value == b"*")
        .map(|(_, weight, _)| *weight)
        .min();
    let otherwise = if coding == b"identity" { 1000 } else { 0 };
    let expected = weight_of(coding).or(of_others).unwrap_or(otherwise);
    assert_eq!(coding_weight(header, coding), expected);
}

type Choice = (Vec<u8>, u16, Vec<(Vec<u8>, Vec<u8>)>);

fn reference(header: &[u8]) -> Vec<Choice> {
    let mut choices = Vec::new();
    for (value, mut parameters) in header::reference(header, true).into_iter().take(MAX_ACCEPT_ELEMENTS) {
        parameters.truncate(MAX_HEADER_PARAMETERS);
        let weight_at = parameters.iter().position(|(name, _)| name.eq_ignore_ascii_case(b"q"));
        let weight = weight_at.map_or(Some(1000), |at| weight(&parameters[at].1));
        parameters.truncate(weight_at.unwrap_or(parameters.len()));
        for (name, _) in &mut parameters {
            name.make_ascii_lowercase();
        }
        if let Some(weight) = weight.filter(|_| !value.is_empty()) {
            choices.push((value.to_ascii_lowercase(), weight, parameters));
        }
    }
    // Selecting by descending weight keeps the order of equal ones.
    let mut sorted = Vec::new();
    for weight in (0..=1000).rev() {
        sorted.extend(choices.iter().filter(|(_, of_this, _)| *of_this == weight).cloned());
        if sorted.len() == choices.len() {
            break;
        }
    }
    sorted
}

fn weight(text: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(text).ok()?;
    let is_form = text.len() <= 5
        && text.starts_with(['0', '1'])
        && text[1..]
            .chars()
            .enumerate()
            .all(|(at, c)| if at == 0 { c == '.' } else { c.is_ascii_digit() });
    let number: f64 = text.parse().ok().filter(|_| is_form)?;
    (number <= 1.0).then_some((number * 1000.0).round() as u16)
}
