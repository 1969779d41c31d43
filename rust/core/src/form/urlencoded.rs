//! Bodies of `application/x-www-form-urlencoded` (WHATWG URL section 5.1), fed in chunks of any size.

use crate::form::{FormError, FormLimits};
use crate::query::decode_component;
use crate::scan;
use crate::text::from_latin1;

/// Parses a body that is fed chunk by chunk and then finished. Keeps at most one field, of at most `max_field_bytes`.
#[derive(Debug)]
pub struct UrlencodedParser {
    limits: FormLimits,
    /// The field that the last chunk did not complete.
    open: Vec<u8>,
    fields: u64,
    /// Bytes of the complete fields.
    total_bytes: u64,
    steps: u64,
    error: Option<FormError>,
}

impl UrlencodedParser {
    /// A parser with these limits: `max_field_bytes` is for a name and value together, as sent, and `max_files` is not
    /// used.
    #[must_use]
    pub fn new(limits: FormLimits) -> Self {
        Self {
            limits,
            open: Vec::new(),
            fields: 0,
            total_bytes: 0,
            steps: 0,
            error: None,
        }
    }

    /// Bytes examined so far: at most a small multiple of the body.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Parses the next chunk and calls `emit` with the name and value of each field that it completes.
    ///
    /// Both are text, decoded as in a query string. Empty fields (`&&`) are skipped.
    ///
    /// # Errors
    /// [`FormError::TooManyFields`], [`FormError::FieldTooLong`] or [`FormError::FieldsTooLarge`], which later calls
    /// return again, or the error that `emit` returned.
    pub fn feed<E: From<FormError>>(
        &mut self,
        chunk: &[u8],
        mut emit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some(error) = self.error {
            return Err(error.into());
        }
        self.steps += chunk.len() as u64;
        let mut rest = chunk;
        while let Some((field, after)) = scan::split_once(b'&', rest) {
            if self.open.is_empty() {
                self.add_field(field, &mut emit)?;
            } else {
                self.keep(field)?;
                let field = std::mem::take(&mut self.open);
                self.add_field(&field, &mut emit)?;
            }
            rest = after;
        }
        Ok(self.keep(rest)?)
    }

    /// Ends the body and its last field, which no `&` follows.
    ///
    /// # Errors
    /// As for `feed`.
    pub fn finish<E: From<FormError>>(&mut self, mut emit: impl FnMut(&[u8], &[u8]) -> Result<(), E>) -> Result<(), E> {
        if let Some(error) = self.error {
            return Err(error.into());
        }
        let field = std::mem::take(&mut self.open);
        self.add_field(&field, &mut emit)
    }

    fn add_field<E: From<FormError>>(
        &mut self,
        field: &[u8],
        emit: &mut impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if field.is_empty() {
            return Ok(());
        }
        self.steps += field.len() as u64;
        let (name, value) = scan::split_once(b'=', field).unwrap_or((field, b""));
        if (name.len() + value.len()) as u64 > self.limits.max_field_bytes {
            return Err(self.fail(FormError::FieldTooLong).into());
        }
        self.fields += 1;
        if self.fields > self.limits.max_fields {
            return Err(self.fail(FormError::TooManyFields).into());
        }
        self.total_bytes = self.total_bytes.saturating_add((name.len() + value.len()) as u64);
        if self.total_bytes > self.limits.max_total_field_bytes {
            return Err(self.fail(FormError::FieldsTooLarge).into());
        }
        let (name, value) = (from_latin1(name), from_latin1(value));
        emit(&decode_component(&name), &decode_component(&value))
    }

    /// Keeps part of a field for the next chunk. One byte more than the limit may be the `=`.
    fn keep(&mut self, part: &[u8]) -> Result<(), FormError> {
        let length = self.open.len().saturating_add(part.len()) as u64;
        if length > self.limits.max_field_bytes.saturating_add(1) {
            return Err(self.fail(FormError::FieldTooLong));
        }
        self.open.extend_from_slice(part);
        Ok(())
    }

    #[cold]
    fn fail(&mut self, error: FormError) -> FormError {
        self.error = Some(error);
        self.open = Vec::new();
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Fields = Vec<(String, String)>;
    type Case = (&'static str, Result<&'static [(&'static str, &'static str)], FormError>);

    const LIMITS: FormLimits = FormLimits {
        max_files: 0,
        max_fields: 4,
        max_field_bytes: 8,
        max_total_field_bytes: 20,
    };

    fn read(pieces: &[&[u8]], limits: FormLimits) -> (Result<Fields, FormError>, u64) {
        let mut parser = UrlencodedParser::new(limits);
        let mut fields = Vec::new();
        let mut add = |name: &[u8], value: &[u8]| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            fields.push((text(name), text(value)));
            Ok(())
        };
        let outcome = pieces
            .iter()
            .try_for_each(|piece| parser.feed(piece, &mut add))
            .and_then(|()| parser.finish(&mut add));
        (outcome.map(|()| fields), parser.steps())
    }

    #[test]
    fn fields_table() {
        let table: [Case; 11] = [
            ("", Ok(&[])),
            ("&&", Ok(&[])),
            ("a=1&b", Ok(&[("a", "1"), ("b", "")])),
            ("=&a=b=c", Ok(&[("", ""), ("a", "b=c")])),
            ("a+=%C3%A9&", Ok(&[("a ", "é")])),
            ("1234=5678", Ok(&[("1234", "5678")])),
            ("1234=56789", Err(FormError::FieldTooLong)),
            ("123456789&", Err(FormError::FieldTooLong)),
            ("a&b&c&d&e", Err(FormError::TooManyFields)),
            (
                "a=123456&b=123456&c=12345",
                Ok(&[("a", "123456"), ("b", "123456"), ("c", "12345")]),
            ),
            ("a=123456&b=123456&c=123456", Err(FormError::FieldsTooLarge)),
        ];
        for (body, expected) in table {
            let expected = expected.map(|fields| {
                fields
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect::<Fields>()
            });
            assert_eq!(read(&[body.as_bytes()], LIMITS).0, expected, "{body}");
        }
    }

    #[test]
    fn fields_unescaped_bytes_are_latin1() {
        let expected = vec![("a".to_owned(), "é".to_owned())];
        assert_eq!(read(&[b"a=\xE9"], LIMITS).0, Ok(expected));
    }

    #[test]
    fn error_stays() {
        let mut parser = UrlencodedParser::new(LIMITS);
        let mut ignore = |_: &[u8], _: &[u8]| Ok::<(), FormError>(());
        assert_eq!(parser.feed(b"1234567890", &mut ignore), Err(FormError::FieldTooLong));
        assert_eq!(parser.feed(b"&", &mut ignore), Err(FormError::FieldTooLong));
        assert_eq!(parser.finish(&mut ignore), Err(FormError::FieldTooLong));
    }

    #[test]
    fn steps_grow_with_the_body_however_small_the_pieces() {
        let limits = FormLimits {
            max_field_bytes: 1 << 20,
            max_total_field_bytes: 1 << 20,
            ..LIMITS
        };
        let body = vec![b'a'; 1 << 16];
        let pieces: Vec<&[u8]> = body.chunks(1).collect();
        let (outcome, steps) = read(&pieces, limits);
        assert!(outcome.is_ok() && steps <= 2 * body.len() as u64);
    }

    fn body() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(b'&'), Just(b'='), Just(b'%'), Just(b'+'), any::<u8>()];
        proptest::collection::vec(byte, 0..48)
    }

    proptest! {
        #[test]
        fn fields_are_the_same_for_every_split(body in body(), size in 1_usize..8) {
            let pieces: Vec<&[u8]> = body.chunks(size).collect();
            prop_assert_eq!(read(&[&body], LIMITS).0, read(&pieces, LIMITS).0);
        }

        #[test]
        fn fields_without_limits_are_those_of_a_query(body in body()) {
            let limits = FormLimits { max_files: 0, max_fields: 1000, max_field_bytes: 1000, max_total_field_bytes: 1000 };
            let mut expected = Vec::new();
            let text = from_latin1(&body);
            crate::query::parse_query(&text, |name, value| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                expected.push((text(&name), text(&value)));
            });
            prop_assert_eq!(read(&[&body], limits).0, Ok(expected));
        }
    }
}
