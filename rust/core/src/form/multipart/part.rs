//! The headers of a part, and the name and file name in its Content-Disposition (RFC 7578 section 4.2).

use std::ops::Range;

use crate::form::FormError;
use crate::form::parameters::{Repeated, decode_extended, find_parameters, without_windows_path};
use crate::header::{is_field_value, is_token};

/// The headers of a part of a form.
#[derive(Debug, Default)]
pub struct Part {
    /// The field's name.
    pub name: Vec<u8>,
    /// The file name, which may be empty. None for a field.
    pub filename: Option<Vec<u8>>,
    /// True if the file name is UTF-8 regardless of the charset of the form: it was sent as `filename*=`.
    pub is_filename_utf8: bool,
    /// All headers in one buffer, to avoid an allocation for each.
    text: Vec<u8>,
    /// The name and value of each header in `text`.
    spans: Vec<(Range<usize>, Range<usize>)>,
}

impl Part {
    /// Names in lower case, and values without leading spaces.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let part = |span: &Range<usize>| {
            self.text
                .get(span.clone())
                .expect("each span is of text that was appended")
        };
        self.spans.iter().map(move |(name, value)| (part(name), part(value)))
    }

    pub(super) fn header_count(&self) -> usize {
        self.spans.len()
    }

    pub(super) fn push_header(&mut self, name: &[u8], value: &[u8]) {
        let start = self.text.len();
        self.text.extend(name.iter().map(u8::to_ascii_lowercase));
        let middle = self.text.len();
        self.text.extend_from_slice(value);
        self.spans.push((start..middle, middle..self.text.len()));
    }

    pub(super) fn clear_headers(&mut self) {
        self.text.clear();
        self.spans.clear();
    }

    /// Sets name and file name from the Content-Disposition.
    pub(super) fn read_disposition(&mut self) -> Result<(), FormError> {
        let names = names_of(self.headers())?;
        (self.name, self.filename, self.is_filename_utf8) = names;
        Ok(())
    }
}

type Names = (Vec<u8>, Option<Vec<u8>>, bool);

/// The name, the file name, and true if the file name is UTF-8 regardless of the charset of the form.
///
/// RFC 7578 section 4.2 forbids `filename*=` in forms, but some clients send it for names outside ASCII. If `filename=`
/// is also there, it takes precedence.
fn names_of<'a>(headers: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Result<Names, FormError> {
    let mut dispositions = headers.filter(|(name, _)| *name == b"content-disposition");
    let disposition = dispositions.next().map(|(_, value)| value);
    if dispositions.next().is_some() {
        return Err(FormError::AmbiguousName);
    }
    match find_parameters(disposition.unwrap_or_default(), [b"name", b"filename", b"filename*"]) {
        Ok([Some(name), None, Some(extended)]) => {
            let filename = decode_extended(&extended).ok_or(FormError::BadHeader)?;
            Ok((name.into_owned(), Some(without_windows_path(&filename).to_vec()), true))
        }
        Ok([Some(name), filename, _]) => {
            let filename = filename.map(|filename| without_windows_path(&filename).to_vec());
            Ok((name.into_owned(), filename, false))
        }
        Ok([None, ..]) => Err(FormError::NoName),
        Err(Repeated) => Err(FormError::AmbiguousName),
    }
}

/// The name and value of a header line, given without its line break. None if it is malformed, which includes a line
/// feed or NUL in the value: some receivers would end the header there (RFC 9110 section 5.5). Browsers escape line
/// breaks.
pub(super) fn parse_header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    let name = line.get(..colon).filter(|name| is_token(name))?;
    let mut value = line.get(colon + 1..)?;
    while let [b' ', rest @ ..] = value {
        value = rest;
    }
    is_field_value(value).then_some((name, value))
}
