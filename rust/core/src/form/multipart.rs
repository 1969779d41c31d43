//! Bodies of `multipart/form-data` (RFC 7578, RFC 2046 section 5.1), fed in chunks of any size.
//!
//! The result does not depend on how the body is cut into chunks. As lenient as other parsers for Python: accepts a
//! line break before the first boundary, any text after the last one, and whitespace after those between.

mod part;

use std::ops::Range;

use memchr::memmem::Finder;

pub use self::part::Part;
use self::part::parse_header;
use crate::form::{FormError, FormLimits};
use crate::limits::{MAX_BOUNDARY_BYTES, MAX_PART_HEADER_BYTES, MAX_PART_HEADERS};

/// A step through the body.
#[derive(Debug)]
pub enum Event<'a> {
    /// A part starts.
    Part(&'a Part),
    /// Content of the part: this span of the chunk, which may continue the previous one.
    Content(Range<usize>),
    /// Content of the part that was held back from an earlier chunk because it looked like a boundary.
    Held(&'a [u8]),
    /// The part is complete.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first byte.
    Start,
    /// After a line break at the start: everything up to the first hyphen is skipped.
    Preamble,
    /// Inside the first delimiter; `matched` counts.
    Opening,
    /// In a header line; `line` holds its part in earlier chunks.
    Header,
    /// After the CR of a header line.
    HeaderEnd,
    /// After the CR of the empty line.
    HeadersEnd,
    /// In the content of a part; the last chunk may have ended with `matched` bytes of a delimiter.
    Content,
    /// After a delimiter.
    Delimiter,
    /// After the CR that follows a delimiter.
    DelimiterEnd,
    /// After the first hyphen that follows a delimiter.
    Closing,
    /// In whitespace after a delimiter.
    Padding,
    /// After the CR that follows this whitespace.
    PaddingEnd,
    /// After the closing delimiter.
    Epilogue,
}

/// Parses a body that is fed chunk by chunk and then finished. Keeps the headers of one part at a time.
#[derive(Debug)]
pub struct MultipartParser {
    /// CR, LF, two hyphens and the boundary; CR occurs only at its start.
    delimiter: Finder<'static>,
    limits: FormLimits,
    state: State,
    matched: usize,
    /// True inside a part: an incomplete delimiter is then content; elsewhere it is an error.
    in_part: bool,
    line: Vec<u8>,
    part: Part,
    files: u64,
    fields: u64,
    field_bytes: u64,
    /// Bytes of all fields so far, including their names.
    total_field_bytes: u64,
    steps: u64,
    error: Option<FormError>,
}

const IN_DELIMITER: &str = "at most the whole delimiter is matched";

impl MultipartParser {
    /// A parser for the boundary given in the Content-Type.
    ///
    /// # Errors
    /// [`FormError::NoBoundary`] if it is empty, [`FormError::BadBoundary`] if it is invalid.
    pub fn new(boundary: &[u8], limits: FormLimits) -> Result<Self, FormError> {
        if boundary.is_empty() {
            return Err(FormError::NoBoundary);
        }
        if boundary.len() > MAX_BOUNDARY_BYTES || memchr::memchr2(b'\r', b'\n', boundary).is_some() {
            return Err(FormError::BadBoundary);
        }
        Ok(Self {
            delimiter: Finder::new(&[b"\r\n--", boundary].concat()).into_owned(),
            limits,
            state: State::Start,
            matched: 0,
            in_part: false,
            line: Vec::new(),
            part: Part::default(),
            files: 0,
            fields: 0,
            field_bytes: 0,
            total_field_bytes: 0,
            steps: 0,
            error: None,
        })
    }

    /// Bytes examined so far, counting those examined twice as two: at most a small multiple of the body.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Parses the next chunk and calls `emit` with each event.
    ///
    /// # Errors
    /// A [`FormError`], which later calls return again, or the error that `emit` returned.
    pub fn feed<E: From<FormError>>(
        &mut self,
        chunk: &[u8],
        mut emit: impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some(error) = self.error {
            return Err(error.into());
        }
        let mut at = 0;
        while let Some(rest) = chunk.get(at..).filter(|rest| !rest.is_empty()) {
            let used = self.step(rest, at, &mut emit)?;
            at += used;
        }
        Ok(())
    }

    /// Ends the body. An empty body is a form without parts.
    ///
    /// # Errors
    /// [`FormError::Truncated`] if there was no closing boundary, or the earlier error of `feed`.
    pub fn finish(&mut self) -> Result<(), FormError> {
        match self.error {
            Some(error) => Err(error),
            None if matches!(self.state, State::Start | State::Epilogue) => Ok(()),
            None => Err(self.fail(FormError::Truncated)),
        }
    }

    /// Handles the start of `rest`, which is not empty, and returns the number of bytes consumed. This is 0 only if the
    /// new state consumes at least one.
    fn step<E: From<FormError>>(
        &mut self,
        rest: &[u8],
        at: usize,
        emit: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        let Some(&first) = rest.first() else {
            return Ok(0);
        };
        self.steps += 1;
        match (self.state, first) {
            (State::Start, b'\r' | b'\n') => self.state = State::Preamble,
            (State::Start, _) => {
                self.matched = 2;
                self.state = State::Opening;
                return Ok(0);
            }
            (State::Preamble, _) => {
                let skipped = memchr::memchr(b'-', rest);
                if skipped.is_some() {
                    self.matched = 2;
                    self.state = State::Opening;
                }
                return Ok(self.count(skipped.unwrap_or(rest.len())));
            }
            (State::Opening, _) => return Ok(self.match_opening(rest)?),
            (State::Header, _) => return Ok(self.read_header(rest, first)?),
            (State::HeaderEnd, b'\n') => self.state = State::Header,
            (State::HeadersEnd, b'\n') => {
                self.begin_part()?;
                emit(Event::Part(&self.part))?;
            }
            (State::HeaderEnd | State::HeadersEnd, _) => {
                return Err(self.fail(FormError::BadHeader).into());
            }
            (State::Content, _) => return self.read_content(rest, at, emit),
            (State::Delimiter, b'\r') => self.state = State::DelimiterEnd,
            (State::Delimiter, b'-') => self.state = State::Closing,
            (State::Delimiter, b' ' | b'\t') if self.in_part => self.state = State::Padding,
            (State::DelimiterEnd | State::PaddingEnd, b'\n') => {
                self.end_part(emit)?;
                self.in_part = false;
                self.part.clear_headers();
                self.line.clear();
                self.state = State::Header;
            }
            (State::Closing, b'-') => {
                self.end_part(emit)?;
                self.state = State::Epilogue;
            }
            (State::Delimiter | State::DelimiterEnd | State::Closing, _) if self.in_part => {
                self.resume_content(at, emit)?;
                return Ok(0);
            }
            (State::Padding, b' ' | b'\t') => {}
            (State::Padding, b'\r') => self.state = State::PaddingEnd,
            (State::Delimiter | State::DelimiterEnd | State::Closing | State::Padding | State::PaddingEnd, _) => {
                return Err(self.fail(FormError::BadDelimiter).into());
            }
            (State::Epilogue, _) => return Ok(rest.len()),
        }
        Ok(1)
    }

    fn match_opening(&mut self, rest: &[u8]) -> Result<usize, FormError> {
        let expected = self.delimiter.needle().get(self.matched..).expect(IN_DELIMITER);
        let length = expected.len().min(rest.len());
        if !rest.starts_with(expected.split_at(length).0) {
            return Err(self.fail(FormError::BadDelimiter));
        }
        if length == expected.len() {
            self.state = State::Delimiter;
        }
        self.matched += length;
        Ok(self.count(length))
    }

    fn read_header(&mut self, rest: &[u8], first: u8) -> Result<usize, FormError> {
        if self.line.is_empty() && first != b'\r' && self.part.header_count() >= MAX_PART_HEADERS {
            return Err(self.fail(FormError::TooManyHeaders));
        }
        // One byte more than the longest line, to find its CR.
        let room = (MAX_PART_HEADER_BYTES + 1).saturating_sub(self.line.len());
        let examined = rest.split_at(room.min(rest.len())).0;
        let Some(length) = memchr::memchr(b'\r', examined) else {
            self.line.extend_from_slice(examined);
            if self.line.len() > MAX_PART_HEADER_BYTES {
                return Err(self.fail(FormError::HeaderTooLong));
            }
            return Ok(self.count(examined.len()));
        };
        let end = examined.split_at(length).0;
        if self.line.is_empty() && end.is_empty() {
            self.state = State::HeadersEnd;
            return Ok(1);
        }
        let line = if self.line.is_empty() {
            end
        } else {
            self.line.extend_from_slice(end);
            self.line.as_slice()
        };
        let Some((name, value)) = parse_header(line) else {
            return Err(self.fail(FormError::BadHeader));
        };
        self.part.push_header(name, value);
        self.line.clear();
        self.state = State::HeaderEnd;
        Ok(self.count(length + 1))
    }

    /// At the end of the headers: reads the Content-Disposition and counts the part.
    fn begin_part(&mut self) -> Result<(), FormError> {
        if let Err(error) = self.part.read_disposition() {
            return Err(self.fail(error));
        }
        if self.part.filename.is_some() {
            self.files += 1;
            if self.files > self.limits.max_files {
                return Err(self.fail(FormError::TooManyFiles));
            }
        } else {
            self.fields += 1;
            if self.fields > self.limits.max_fields {
                return Err(self.fail(FormError::TooManyFields));
            }
            self.add_total_bytes(self.part.name.len())?;
        }
        self.field_bytes = 0;
        self.in_part = true;
        self.matched = 0;
        self.state = State::Content;
        Ok(())
    }

    fn read_content<E: From<FormError>>(
        &mut self,
        rest: &[u8],
        at: usize,
        emit: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        let delimiter = self.delimiter.needle();
        if self.matched > 0 {
            // The last chunk ended with what may be the start of a delimiter. Check if it continues here.
            let expected = delimiter.get(self.matched..).expect(IN_DELIMITER);
            let length = expected.len().min(rest.len());
            if rest.starts_with(expected.split_at(length).0) {
                if length == expected.len() {
                    self.state = State::Delimiter;
                }
                self.matched += length;
                return Ok(self.count(length));
            }
            self.resume_content(at, emit)?;
            self.count(length);
            return Ok(0);
        }
        let (content, used) = match self.delimiter.find(rest) {
            Some(start) => {
                self.matched = delimiter.len();
                self.state = State::Delimiter;
                (start, start + delimiter.len())
            }
            None => {
                self.matched = partial_delimiter(rest, delimiter);
                (rest.len() - self.matched, rest.len())
            }
        };
        if content > 0 {
            self.add_field_bytes(content)?;
            emit(Event::Content(at..at + content))?;
        }
        Ok(self.count(used))
    }

    /// Emits the incomplete delimiter that ends before `at` as content.
    fn resume_content<E: From<FormError>>(
        &mut self,
        at: usize,
        emit: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let held = std::mem::take(&mut self.matched);
        let after: &[u8] = match self.state {
            State::DelimiterEnd => b"\r",
            State::Closing => b"-",
            _ => b"",
        };
        self.state = State::Content;
        let length = held + after.len();
        self.add_field_bytes(length)?;
        if let Some(start) = at.checked_sub(length) {
            // It started in this chunk.
            return emit(Event::Content(start..at));
        }
        let delimiter = self.delimiter.needle();
        emit(Event::Held(delimiter.get(..held).expect(IN_DELIMITER)))?;
        if !after.is_empty() {
            emit(Event::Held(after))?;
        }
        Ok(())
    }

    fn end_part<E>(&mut self, emit: &mut impl FnMut(Event<'_>) -> Result<(), E>) -> Result<(), E> {
        self.matched = 0;
        if self.in_part {
            emit(Event::End)?;
        }
        Ok(())
    }

    fn add_field_bytes(&mut self, count: usize) -> Result<(), FormError> {
        if self.part.filename.is_some() {
            return Ok(());
        }
        self.field_bytes = self.field_bytes.saturating_add(count as u64);
        if self.field_bytes > self.limits.max_field_bytes {
            return Err(self.fail(FormError::FieldTooLong));
        }
        self.add_total_bytes(count)
    }

    fn add_total_bytes(&mut self, count: usize) -> Result<(), FormError> {
        self.total_field_bytes = self.total_field_bytes.saturating_add(count as u64);
        if self.total_field_bytes > self.limits.max_total_field_bytes {
            return Err(self.fail(FormError::FieldsTooLarge));
        }
        Ok(())
    }

    fn count(&mut self, examined: usize) -> usize {
        self.steps += examined as u64;
        examined
    }

    #[cold]
    fn fail(&mut self, error: FormError) -> FormError {
        self.error = Some(error);
        self.line = Vec::new();
        error
    }
}

/// The length of the start of a delimiter at the end of `text`.
fn partial_delimiter(text: &[u8], delimiter: &[u8]) -> usize {
    let tail = text.split_at(text.len().saturating_sub(delimiter.len() - 1)).1;
    // A delimiter has its only CR at its start, so it can only start at the last CR.
    memchr::memrchr(b'\r', tail)
        .map(|start| tail.split_at(start).1)
        .filter(|candidate| delimiter.starts_with(candidate))
        .map_or(0, <[u8]>::len)
}

#[cfg(test)]
mod tests;
