//! `_core.MultipartParser`: reads multipart bodies into complete fields, and files chunk by chunk.

use std::ops::Range;
use std::sync::Mutex;

use pallasite_core::form::FormLimits;
use pallasite_core::form::multipart::{self, Event, Part};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMemoryView, PySlice, PyString};

use super::{Charset, Limit, busy, chunk_of};
use crate::errors::{Error, Result};

/// The buffer of a field is reused for the next one unless it is larger than this many bytes.
const KEPT_BUFFER_BYTES: usize = 64 * 1024;

/// See `_core.pyi`.
#[pyclass(frozen, module = "pallasite._core")]
pub(crate) struct MultipartParser {
    /// Boxed because the searcher inside holds vector registers, which need an alignment of 32 bytes. Python's
    /// allocator aligns objects to 16.
    reader: Mutex<Box<Reader>>,
}

struct Reader {
    parser: multipart::MultipartParser,
    parts: Parts,
}

/// Converts parts to Python values.
struct Parts {
    charset: Charset,
    /// True if fields are returned chunk by chunk, like files.
    stream_fields: bool,
    /// The name of the current field, unless fields are streamed.
    field: Option<Py<PyString>>,
    value: Vec<u8>,
}

#[pymethods]
impl MultipartParser {
    #[new]
    #[pyo3(signature = (
        boundary, codec, max_files, max_fields, max_part_size, stream_fields=false, max_fields_size=Limit::NONE, /
    ))]
    fn new(
        boundary: &[u8],
        codec: &str,
        max_files: Limit,
        max_fields: Limit,
        max_part_size: Limit,
        stream_fields: bool,
        max_fields_size: Limit,
    ) -> Result<Self> {
        let limits = FormLimits {
            max_files: max_files.0,
            max_fields: max_fields.0,
            max_field_bytes: max_part_size.0,
            max_total_field_bytes: max_fields_size.0,
        };
        let parser = multipart::MultipartParser::new(boundary, limits)?;
        let parts = Parts {
            charset: Charset::new(codec)?,
            stream_fields,
            field: None,
            value: Vec::new(),
        };
        Ok(Self {
            reader: Mutex::new(Box::new(Reader { parser, parts })),
        })
    }

    /// Bytes examined so far.
    #[getter]
    fn steps(&self) -> PyResult<u64> {
        Ok(self.reader.try_lock().map_err(busy)?.parser.steps())
    }

    #[pyo3(signature = (chunk, items, /))]
    fn feed<'py>(&self, chunk: &Bound<'py, PyAny>, items: &Bound<'py, PyList>) -> Result<Option<Bound<'py, PyList>>> {
        let chunk = chunk_of(chunk)?;
        let mut reader = self.reader.try_lock().map_err(busy)?;
        let Reader { parser, parts } = &mut **reader;
        let mut events = Events {
            chunk: &chunk,
            list: None,
            span: 0..0,
        };
        parser.feed(chunk.as_bytes(), |event| {
            parts.handle(event, items, &mut events).map_err(Error::from)
        })?;
        events.add_span()?;
        Ok(events.list)
    }

    fn finish(&self) -> Result<()> {
        let mut reader = self.reader.try_lock().map_err(busy)?;
        Ok(reader.parser.finish()?)
    }
}

/// The events of one chunk that concern files.
struct Events<'a, 'py> {
    chunk: &'a Bound<'py, PyBytes>,
    list: Option<Bound<'py, PyList>>,
    /// Content that is not in the list yet. Adjacent spans are joined, so that a chunk full of incomplete boundaries
    /// creates no more objects than any other.
    span: Range<usize>,
}

impl<'py> Events<'_, 'py> {
    fn add(&mut self, event: impl IntoPyObject<'py>) -> PyResult<()> {
        self.add_span()?;
        self.append(event)
    }

    fn add_content(&mut self, span: Range<usize>) -> PyResult<()> {
        if span.start != self.span.end {
            self.add_span()?;
            self.span.start = span.start;
        }
        self.span.end = span.end;
        Ok(())
    }

    fn add_span(&mut self) -> PyResult<()> {
        let span = std::mem::replace(&mut self.span, 0..0);
        if span.is_empty() {
            return Ok(());
        }
        if span.len() == self.chunk.as_bytes().len() {
            return self.append(self.chunk);
        }
        let slice = PySlice::new(self.chunk.py(), span.start as isize, span.end as isize, 1);
        self.append(PyMemoryView::from(self.chunk)?.get_item(slice)?)
    }

    fn append(&mut self, event: impl IntoPyObject<'py>) -> PyResult<()> {
        self.list
            .get_or_insert_with(|| PyList::empty(self.chunk.py()))
            .append(event)
    }
}

impl Parts {
    fn handle<'py>(
        &mut self,
        event: Event<'_>,
        items: &Bound<'py, PyList>,
        events: &mut Events<'_, 'py>,
    ) -> PyResult<()> {
        let py = items.py();
        match event {
            Event::Part(part) if part.filename.is_none() && !self.stream_fields => {
                self.value.clear();
                self.field = Some(self.charset.decode(py, &part.name)?.unbind());
            }
            Event::Part(part) => {
                events.add(self.new_part(part, items)?)?;
                // A placeholder, to keep its position among the fields.
                items.append(py.None())?;
            }
            Event::Content(span) if self.field.is_some() => {
                let content = events.chunk.as_bytes().get(span);
                self.value
                    .extend_from_slice(content.expect("the span is of this chunk"));
            }
            Event::Held(content) if self.field.is_some() => self.value.extend_from_slice(content),
            Event::Content(span) => events.add_content(span)?,
            Event::Held(content) => events.add(PyBytes::new(py, content))?,
            Event::End => match self.field.take() {
                Some(name) => {
                    items.append((name, self.charset.decode(py, &self.value)?))?;
                    if self.value.capacity() > KEPT_BUFFER_BYTES {
                        self.value = Vec::new();
                    }
                }
                None => events.add(py.None())?,
            },
        }
        Ok(())
    }

    /// `(index in items, name, file name, headers)`.
    #[expect(
        clippy::type_complexity,
        reason = "the tuple that Python receives, spelled out where it is created"
    )]
    fn new_part<'py>(
        &self,
        part: &Part,
        items: &Bound<'py, PyList>,
    ) -> PyResult<(
        usize,
        Bound<'py, PyString>,
        Option<Bound<'py, PyString>>,
        Bound<'py, PyList>,
    )> {
        let py = items.py();
        let name = self.charset.decode(py, &part.name)?;
        let filename = match &part.filename {
            Some(filename) if part.is_filename_utf8 => Some(Charset::Utf8.decode(py, filename)?),
            Some(filename) => Some(self.charset.decode(py, filename)?),
            None => None,
        };
        let headers = PyList::empty(py);
        for (name, value) in part.headers() {
            headers.append((PyBytes::new(py, name), PyBytes::new(py, value)))?;
        }
        Ok((items.len(), name, filename, headers))
    }
}
