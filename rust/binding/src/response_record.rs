//! `_core.ResponseRecord`: what observability wants to know of a response, noted while its messages pass, and the id of
//! its request.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::time::Instant;

use pyo3::exceptions::PyKeyError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::observer::names_field;
use crate::uuid::uuid7;

/// The longest id that is taken over from a client.
const MAX_ID: usize = 128;

struct Id {
    /// The name and the value of the header field.
    field: Py<PyTuple>,
    text: Py<PyString>,
}

/// See `_core.pyi`.
#[pyclass(frozen, module = "pallasite._core")]
pub(crate) struct ResponseRecord {
    id: Option<Id>,
    began: Instant,
    /// 0 until the response has started.
    status: AtomicU16,
    /// Microseconds until the response started and until its last message. 0 before.
    started: AtomicU64,
    ended: AtomicU64,
    size: AtomicU64,
    complete: AtomicBool,
}

#[pymethods]
impl ResponseRecord {
    #[new]
    fn new() -> Self {
        Self {
            id: None,
            began: Instant::now(),
            status: AtomicU16::new(0),
            started: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            size: AtomicU64::new(0),
            complete: AtomicBool::new(false),
        }
    }

    /// See `_core.pyi`.
    #[staticmethod]
    #[pyo3(signature = (scope, name, trusted, /))]
    fn identified(scope: &Bound<'_, PyDict>, name: &Bound<'_, PyBytes>, trusted: bool) -> PyResult<Self> {
        let py = scope.py();
        let began = Instant::now();
        let headers = scope
            .get_item(intern!(py, "headers"))?
            .ok_or_else(|| PyKeyError::new_err("headers"))?;
        let (kept, given) = without(&headers, name)?;
        let (value, text) = match <[_; 1]>::try_from(given) {
            Ok([given]) if trusted && is_valid_id(given.as_bytes()) => {
                let text = PyString::from_bytes(py, given.as_bytes())?;
                (given, text)
            }
            _ => {
                let text = uuid7(py)?;
                (PyBytes::new(py, text.to_str()?.as_bytes()), text)
            }
        };
        let field = PyTuple::new(py, [name, &value])?;
        kept.append(&field)?;
        scope.set_item(intern!(py, "headers"), kept)?;
        scope.set_item(intern!(py, "pallasite.request_id"), &text)?;
        let key = intern!(py, "state");
        let state = match scope.get_item(key)? {
            Some(state) => state,
            None => {
                let state = PyDict::new(py).into_any();
                scope.set_item(key, &state)?;
                state
            }
        };
        state.set_item(intern!(py, "request_id"), &text)?;
        let (field, text) = (field.unbind(), text.unbind());
        Ok(Self {
            id: Some(Id { field, text }),
            began,
            ..Self::new()
        })
    }

    #[getter]
    fn field<'py>(&self, py: Python<'py>) -> Option<&Bound<'py, PyTuple>> {
        self.id.as_ref().map(|id| id.field.bind(py))
    }

    #[getter]
    fn request_id<'py>(&self, py: Python<'py>) -> Option<&Bound<'py, PyString>> {
        self.id.as_ref().map(|id| id.text.bind(py))
    }

    #[getter]
    fn status(&self) -> u16 {
        self.status.load(Ordering::Relaxed)
    }

    #[getter]
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    #[getter]
    fn complete(&self) -> bool {
        self.complete.load(Ordering::Relaxed)
    }

    #[getter]
    pub(crate) fn first_byte(&self) -> u64 {
        self.or_now(&self.started)
    }

    #[getter]
    pub(crate) fn duration(&self) -> u64 {
        self.or_now(&self.ended)
    }
}

impl ResponseRecord {
    /// Notes a message, and returns the field to add to it if it starts a response.
    pub(crate) fn note<'py>(&self, message: &Bound<'py, PyAny>) -> PyResult<Option<&Bound<'py, PyTuple>>> {
        let py = message.py();
        let Some(kind) = item(message, intern!(py, "type"))? else {
            return Ok(None); // The server reports it.
        };
        // Literals are interned, so the same text is almost always the same object.
        if kind.is(intern!(py, "http.response.body")) {
            self.note_body(message)?;
            return Ok(None);
        }
        let kind = kind.cast::<PyString>().ok().and_then(|kind| kind.to_str().ok());
        match kind.unwrap_or_default() {
            "http.response.start" | "websocket.http.response.start" => {
                let status = item(message, intern!(py, "status"))?;
                self.start(status.and_then(|status| status.extract().ok()).unwrap_or(0));
                return Ok(self.field(py));
            }
            "websocket.accept" => {
                self.start(101);
                return Ok(self.field(py));
            }
            // Servers reject a handshake that is closed before it was accepted with 403.
            "websocket.close" => {
                self.start(403);
                self.end();
            }
            "http.response.body" | "websocket.http.response.body" => self.note_body(message)?,
            "http.response.pathsend" | "http.response.zerocopysend" => self.note_file(message)?,
            _ => {}
        }
        Ok(None)
    }

    /// Microseconds since the request arrived, at least 1.
    fn now(&self) -> u64 {
        (self.began.elapsed().as_micros() as u64).max(1)
    }

    fn or_now(&self, time: &AtomicU64) -> u64 {
        match time.load(Ordering::Relaxed) {
            0 => self.now(),
            micros => micros,
        }
    }

    fn start(&self, status: u16) {
        if self.status.load(Ordering::Relaxed) == 0 {
            self.status.store(status, Ordering::Relaxed);
            self.started.store(self.now(), Ordering::Relaxed);
        }
    }

    fn end(&self) {
        self.ended.store(self.now(), Ordering::Relaxed);
        self.complete.store(true, Ordering::Relaxed);
    }

    fn note_body(&self, message: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Some(body) = item(message, intern!(message.py(), "body"))? {
            let size = match body.cast::<PyBytes>() {
                Ok(body) => body.as_bytes().len(),
                Err(_) => body.len().unwrap_or(0),
            };
            self.size.fetch_add(size as u64, Ordering::Relaxed);
        }
        self.note_more(message)
    }

    /// Servers send a file by themselves: the whole of it, or the part that the message names.
    fn note_file(&self, message: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = message.py();
        let size = if let Some(path) = item(message, intern!(py, "path"))? {
            let found = path.extract::<PathBuf>().ok().and_then(|path| path.metadata().ok());
            found.map_or(0, |found| found.len())
        } else {
            let count = item(message, intern!(py, "count"))?;
            count.and_then(|count| count.extract().ok()).unwrap_or(0)
        };
        self.size.fetch_add(size, Ordering::Relaxed);
        self.note_more(message)
    }

    fn note_more(&self, message: &Bound<'_, PyAny>) -> PyResult<()> {
        let more = item(message, intern!(message.py(), "more_body"))?;
        if !more.map_or(Ok(false), |more| more.is_truthy())? {
            self.end();
        }
        Ok(())
    }
}

/// `message.get(key)`.
fn item<'py>(message: &Bound<'py, PyAny>, key: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
    match message.cast_exact::<PyDict>() {
        Ok(dict) => dict.get_item(key),
        Err(_) => Ok(message.get_item(key).ok()),
    }
}

/// A new list of the headers without those called `name`, and the values of these. New, because the server may use its
/// list again.
fn without<'py>(
    headers: &Bound<'py, PyAny>,
    name: &Bound<'py, PyBytes>,
) -> PyResult<(Bound<'py, PyList>, Vec<Bound<'py, PyBytes>>)> {
    let kept = PyList::empty(headers.py());
    let mut values = Vec::new();
    for field in headers.try_iter()? {
        let field = field?;
        if names_field(&field, name)? {
            values.push(field.get_item(1)?.cast_into::<PyBytes>()?);
        } else {
            kept.append(field)?;
        }
    }
    Ok((kept, values))
}

fn is_valid_id(id: &[u8]) -> bool {
    (1..=MAX_ID).contains(&id.len())
        && id
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}
