//! Bodies of `application/x-www-form-urlencoded`: the same fields, or the same error, for every way to cut the body,
//! and those of a query string. The first byte chooses the limits.

use pallasite_core::form::urlencoded::UrlencodedParser;
use pallasite_core::form::{FormError, FormLimits};
use pallasite_core::text::from_latin1;

use crate::pieces::each_cut;
use crate::query::{self, Pairs};
use crate::work::linear;

pub fn check(input: &[u8]) {
    let Some((&choice, body)) = input.split_first() else {
        return;
    };
    let limits = match choice % 3 {
        0 => FormLimits {
            max_files: 0,
            max_fields: 3,
            max_field_bytes: 8,
            max_total_field_bytes: u64::MAX,
        },
        1 => FormLimits {
            max_files: 0,
            max_fields: 100,
            max_field_bytes: 64,
            max_total_field_bytes: u64::MAX,
        },
        _ => FormLimits {
            max_files: 0,
            max_fields: u64::MAX,
            max_field_bytes: u64::MAX,
            max_total_field_bytes: u64::MAX,
        },
    };
    let whole = linear(body.len(), 20, 224, || read(&[body], limits));
    assert_eq!(whole, reference(body, limits));
    each_cut(body, |pieces| assert_eq!(read(pieces, limits), whole));
}

/// The fields up to the end or the error.
type Read = (Pairs, Result<(), FormError>);

fn read(pieces: &[&[u8]], limits: FormLimits) -> Read {
    let mut parser = UrlencodedParser::new(limits);
    let mut pairs = Vec::new();
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    let mut add = |name: &[u8], value: &[u8]| {
        pairs.push((name.to_vec(), value.to_vec()));
        Ok(())
    };
    let outcome = pieces
        .iter()
        .try_for_each(|piece| parser.feed(piece, &mut add))
        .and_then(|()| parser.finish(&mut add));
    assert!(parser.steps() <= 3 * length as u64);
    if let Err(error) = outcome {
        // The error is permanent.
        assert_eq!(parser.feed(b"a&", |_, _| Ok::<(), FormError>(())), Err(error));
    }
    (pairs, outcome)
}

fn reference(body: &[u8], limits: FormLimits) -> Read {
    let mut good: Vec<&[u8]> = Vec::new();
    let mut outcome = Ok(());
    for field in body.split(|&byte| byte == b'&').filter(|field| !field.is_empty()) {
        let equals = usize::from(field.contains(&b'='));
        if (field.len() - equals) as u64 > limits.max_field_bytes {
            outcome = Err(FormError::FieldTooLong);
        } else if good.len() as u64 >= limits.max_fields {
            outcome = Err(FormError::TooManyFields);
        } else {
            good.push(field);
            continue;
        }
        break;
    }
    (query::reference(&from_latin1(&good.join(&b'&'))), outcome)
}
