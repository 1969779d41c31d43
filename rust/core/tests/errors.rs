//! Every error type of the core is an `Error` with a text, and has a code of its own for each variant.

use std::collections::HashSet;
use std::error::Error;

use pallasite_core::form::FormError as F;
use pallasite_core::form::parameters;
use pallasite_core::range::RangeError as R;
use pallasite_core::set_cookie::CookieError as C;
use pallasite_core::{gzip, route};

/// Checks the text and the code of each error of one type.
fn check<E: Error + Copy>(errors: &[E], code_of: fn(E) -> &'static str) {
    let codes: HashSet<&str> = errors.iter().map(|error| code_of(*error)).collect();
    let texts: HashSet<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!((codes.len(), texts.len()), (errors.len(), errors.len()), "{errors:?}");
    for code in codes {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        assert!(!code.is_empty() && code.bytes().all(is_plain), "{code}");
    }
    assert!(texts.iter().all(|text| !text.is_empty()));
}

#[test]
fn code_and_text_of_each_error_are_its_own() {
    check(
        &[
            F::NoBoundary,
            F::BadBoundary,
            F::BadDelimiter,
            F::BadHeader,
            F::HeaderTooLong,
            F::TooManyHeaders,
            F::NoName,
            F::AmbiguousName,
            F::TooManyFiles,
            F::TooManyFields,
            F::FieldTooLong,
            F::FieldsTooLarge,
            F::Truncated,
        ],
        F::code,
    );
    check(
        &[R::Malformed, R::Unit, R::NoRange, R::Inverted, R::NotSatisfiable],
        R::code,
    );
    check(
        &[
            C::Name,
            C::ReservedName,
            C::Attribute("Path"),
            C::Latin1("value"),
            C::Expires,
        ],
        C::code,
    );
    check(&[gzip::Error::OutOfMemory, gzip::Error::Finished], gzip::Error::code);
    let repeated = parameters::find_parameters(b";a;a", [b"a"]).expect_err("it is there twice");
    check(&[repeated], parameters::Repeated::code);
    check::<route::TooManyRoutes>(&[], route::TooManyRoutes::code);
}
