//! Bodies of `multipart/form-data`: the same parts, or the same error, for every way to cut the body, and those of a
//! reference that reads the whole body. The first byte chooses the boundary and the limits.

use pallasite_core::form::multipart::{Event, MultipartParser};
use pallasite_core::form::parameters::{decode_extended, find_parameters, without_windows_path};
use pallasite_core::form::{FormError, FormLimits};
use pallasite_core::header::is_token;
use pallasite_core::limits::{MAX_PART_HEADER_BYTES, MAX_PART_HEADERS};

use crate::pieces::each_cut;
use crate::work::linear;

const BOUNDARIES: [&[u8]; 4] = [b"B", b"B-B", b"--", b"\xFF boundary of some length"];

pub fn check(input: &[u8]) {
    let Some((&choice, body)) = input.split_first() else {
        return;
    };
    let boundary = BOUNDARIES[usize::from(choice & 3)];
    let limits = match choice >> 2 & 1 {
        0 => FormLimits {
            max_files: 2,
            max_fields: 3,
            max_field_bytes: 16,
            max_total_field_bytes: u64::MAX,
        },
        _ => FormLimits {
            max_files: u64::MAX,
            max_fields: u64::MAX,
            max_field_bytes: u64::MAX,
            max_total_field_bytes: u64::MAX,
        },
    };
    let (whole, error) = linear(body.len(), 16, 160, || read(&[body], boundary, limits));
    assert_eq!(
        (&whole, error),
        (
            &Slow::new(body, boundary, limits).parts,
            Slow::new(body, boundary, limits).error
        )
    );
    each_cut(body, |pieces| {
        assert_eq!(read(pieces, boundary, limits), (whole.clone(), error))
    });
    // Any bytes except line breaks may be a boundary.
    if let Some((boundary, body)) = body.split_at_checked(usize::from(choice >> 3)) {
        let is_one = !boundary.is_empty() && !boundary.contains(&b'\r') && !boundary.contains(&b'\n');
        assert_eq!(MultipartParser::new(boundary, limits).is_ok(), is_one);
        if is_one {
            let slow = Slow::new(body, boundary, limits);
            assert_eq!(read(&[body], boundary, limits), (slow.parts, slow.error));
        }
    }
}

/// Names and values.
type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// A complete part: name, file name, headers, content.
#[derive(Clone, Debug, Default, PartialEq)]
struct Part {
    name: Vec<u8>,
    filename: Option<Vec<u8>>,
    headers: Headers,
    content: Vec<u8>,
}

fn read(pieces: &[&[u8]], boundary: &[u8], limits: FormLimits) -> (Vec<Part>, Option<FormError>) {
    let mut parser = MultipartParser::new(boundary, limits).expect("it is a boundary");
    let mut parts = Vec::new();
    let mut open: Option<Part> = None;
    let mut outcome = Ok(());
    for piece in pieces {
        outcome = parser.feed(piece, |event| {
            match event {
                Event::Part(part) => {
                    assert!(open.is_none(), "a part within a part");
                    let headers = part.headers().map(|(name, value)| (name.to_vec(), value.to_vec()));
                    open = Some(Part {
                        name: part.name.clone(),
                        filename: part.filename.clone(),
                        headers: headers.collect(),
                        content: Vec::new(),
                    });
                }
                Event::Content(span) => {
                    let content = piece.get(span).expect("a span of this piece");
                    assert!(!content.is_empty());
                    open.as_mut().expect("in a part").content.extend_from_slice(content);
                }
                Event::Held(content) => open.as_mut().expect("in a part").content.extend_from_slice(content),
                Event::End => parts.extend(open.take()),
            }
            Ok(())
        });
        if outcome.is_err() {
            break;
        }
    }
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    assert!(
        parser.steps() <= 4 * length as u64 + 4,
        "{} steps for {length} bytes",
        parser.steps()
    );
    let error = outcome.and_then(|()| parser.finish()).err();
    if let Some(error) = error {
        // The error is permanent.
        assert_eq!(
            (parser.feed(b"x", |_| Ok(())), parser.finish()),
            (Err(error), Err(error))
        );
    } else {
        assert!(open.is_none(), "a part without an end");
    }
    (parts, error)
}

/// Reads the rest of the whole body.
struct Slow<'a> {
    rest: &'a [u8],
    delimiter: Vec<u8>,
    limits: FormLimits,
    parts: Vec<Part>,
    error: Option<FormError>,
}

impl<'a> Slow<'a> {
    fn new(body: &'a [u8], boundary: &[u8], limits: FormLimits) -> Self {
        let delimiter = [b"\r\n--", boundary].concat();
        let mut slow = Self {
            rest: body,
            delimiter,
            limits,
            parts: Vec::new(),
            error: None,
        };
        slow.error = slow.read().err();
        slow
    }

    fn read(&mut self) -> Result<(), FormError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        if self.rest[0] == b'\r' || self.rest[0] == b'\n' {
            let hyphen = self.rest.iter().position(|&byte| byte == b'-');
            self.rest = &self.rest[hyphen.ok_or(FormError::Truncated)?..];
        }
        let opening = self.delimiter[2..].to_vec();
        if !self.rest.starts_with(&opening) {
            return Err(if opening.starts_with(self.rest) {
                FormError::Truncated
            } else {
                FormError::BadDelimiter
            });
        }
        self.rest = &self.rest[opening.len()..];
        match self.rest {
            [] | b"\r" | b"-" => return Err(FormError::Truncated),
            [b'-', b'-', ..] => return Ok(()),
            [b'\r', b'\n', behind @ ..] => self.rest = behind,
            _ => return Err(FormError::BadDelimiter),
        }
        let (mut files, mut fields) = (0, 0);
        loop {
            let headers = self.headers()?;
            let mut dispositions = headers.iter().filter(|(name, _)| name == b"content-disposition");
            let disposition = dispositions.next().map_or(&b""[..], |(_, value)| value);
            if dispositions.next().is_some() {
                return Err(FormError::AmbiguousName);
            }
            // Compared with a separate reference.
            let Ok([name, filename, extended]) = find_parameters(disposition, [b"name", b"filename", b"filename*"])
            else {
                return Err(FormError::AmbiguousName);
            };
            let name = name.ok_or(FormError::NoName)?.into_owned();
            let filename = match (filename, extended) {
                (None, Some(extended)) => match decode_extended(&extended) {
                    Some(name) => Some(without_windows_path(&name).to_vec()),
                    None => return Err(FormError::BadHeader),
                },
                (filename, _) => filename.map(|name| without_windows_path(&name).to_vec()),
            };
            let is_file = filename.is_some();
            let (count, limit, error) = if is_file {
                (&mut files, self.limits.max_files, FormError::TooManyFiles)
            } else {
                (&mut fields, self.limits.max_fields, FormError::TooManyFields)
            };
            *count += 1;
            if *count > limit {
                return Err(error);
            }
            let max_bytes = if is_file { u64::MAX } else { self.limits.max_field_bytes };
            let (content, is_last) = self.content(max_bytes)?;
            self.parts.push(Part {
                name,
                filename,
                headers,
                content,
            });
            if is_last {
                return Ok(());
            }
        }
    }

    fn headers(&mut self) -> Result<Headers, FormError> {
        let mut headers = Vec::new();
        loop {
            match self.rest {
                [] | b"\r" => return Err(FormError::Truncated),
                [b'\r', b'\n', behind @ ..] => {
                    self.rest = behind;
                    return Ok(headers);
                }
                [b'\r', ..] => return Err(FormError::BadHeader),
                _ if headers.len() == MAX_PART_HEADERS => return Err(FormError::TooManyHeaders),
                _ => {}
            }
            let length = self.rest.iter().position(|&byte| byte == b'\r');
            if length.unwrap_or(self.rest.len()) > MAX_PART_HEADER_BYTES {
                return Err(FormError::HeaderTooLong);
            }
            let (line, behind) = self.rest.split_at(length.ok_or(FormError::Truncated)?);
            let colon = line.iter().position(|&byte| byte == b':').ok_or(FormError::BadHeader)?;
            if !is_token(&line[..colon]) {
                return Err(FormError::BadHeader);
            }
            let value = &line[colon + 1..];
            if value.contains(&b'\n') || value.contains(&0) {
                return Err(FormError::BadHeader);
            }
            let spaces = value.iter().take_while(|&&byte| byte == b' ').count();
            headers.push((line[..colon].to_ascii_lowercase(), value[spaces..].to_vec()));
            self.rest = match behind {
                [_] => return Err(FormError::Truncated),
                [_, b'\n', behind @ ..] => behind,
                _ => return Err(FormError::BadHeader),
            };
        }
    }

    /// The content of the part, and true if it is the last one.
    fn content(&mut self, max_bytes: u64) -> Result<(Vec<u8>, bool), FormError> {
        let body = self.rest;
        let too_long = |length: usize| {
            if length as u64 > max_bytes {
                Err(FormError::FieldTooLong)
            } else {
                Ok(())
            }
        };
        let mut at = 0;
        while let Some(offset) = body[at..]
            .windows(self.delimiter.len())
            .position(|window| window == self.delimiter)
        {
            let end = at + offset;
            too_long(end)?;
            let behind = end + self.delimiter.len();
            let (next, is_last) = match &body[behind..] {
                [] | b"\r" | b"-" => return Err(FormError::Truncated),
                [b'\r', b'\n', ..] => (behind + 2, false),
                [b'-', b'-', ..] => (behind + 2, true),
                [b' ' | b'\t', ..] => {
                    let spaces = body[behind..]
                        .iter()
                        .take_while(|&&byte| byte == b' ' || byte == b'\t')
                        .count();
                    match &body[behind + spaces..] {
                        [] | b"\r" => return Err(FormError::Truncated),
                        [b'\r', b'\n', ..] => (behind + spaces + 2, false),
                        _ => return Err(FormError::BadDelimiter),
                    }
                }
                // It is content. Another delimiter may follow its line break or hyphen.
                [b'\r' | b'-', ..] => {
                    at = behind + 1;
                    too_long(at)?;
                    continue;
                }
                _ => {
                    at = behind;
                    too_long(at)?;
                    continue;
                }
            };
            self.rest = &body[next..];
            return Ok((body[..end].to_vec(), is_last));
        }
        // The end of the body may be the start of a delimiter.
        let tail = (at..body.len()).find(|&start| self.delimiter.starts_with(&body[start..]));
        too_long(tail.unwrap_or(body.len()))?;
        Err(FormError::Truncated)
    }
}
