//! `_core.Observer`: observes the messages that an application sends, without a coroutine frame. The outermost observer
//! also removes content from responses that must not have any (RFC 9110 sections 15.2, 15.3.5, 15.3.6 and 15.4.5).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicUsize, Ordering};

use pallasite_core::response::allows_content;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyKeyError, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::{OnceLockExt, PyOnceLock};
use pyo3::types::{PyBytes, PyDict, PyList, PyMapping, PyString, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use crate::response_record::ResponseRecord;

/// The application has not answered the request or handshake yet.
const WAITING: u8 = 0;
/// The response has started.
const STARTED: u8 = 1;
/// The WebSocket is open.
const OPEN: u8 = 2;
/// The WebSocket has been rejected or closed.
const CLOSED: u8 = 3;

/// See `_core.pyi`.
#[pyclass(frozen, module = "pallasite._core", weakref)]
pub(crate) struct Observer {
    #[pyo3(get)]
    send: Py<PyAny>,
    stage: AtomicU8,
    /// Fields to add to the response when it starts. Not allocated for most responses.
    fields: OnceLock<Py<PyList>>,
    /// What `middleware.observability` wants to know of the response.
    record: OnceLock<Py<ResponseRecord>>,
    /// True if another observer outside this one observes the same response.
    inner: bool,
    /// The status of a response without content once it has started, otherwise 0.
    bare_status: AtomicU16,
    /// Bytes of content that were removed.
    dropped: AtomicUsize,
}

#[pymethods]
impl Observer {
    #[new]
    #[pyo3(signature = (send, inner=false, /))]
    fn new(send: Py<PyAny>, inner: bool) -> Self {
        Self {
            send,
            stage: AtomicU8::new(WAITING),
            fields: OnceLock::new(),
            record: OnceLock::new(),
            inner,
            bare_status: AtomicU16::new(0),
            dropped: AtomicUsize::new(0),
        }
    }

    /// See `_core.pyi`.
    #[staticmethod]
    #[pyo3(signature = (scope, send, /))]
    fn of<'py>(scope: &Bound<'py, PyAny>, send: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if send.cast_exact::<Self>().is_ok() {
            return Ok(send.clone());
        }
        let inner = scope.contains(intern!(send.py(), "app"))?;
        Ok(Bound::new(send.py(), Self::new(send.clone().unbind(), inner))?.into_any())
    }

    /// The `__qualname__` of every instance.
    #[classattr]
    fn _qualname() -> &'static str {
        "Observer.send"
    }

    // Tracers name a callable by these attributes, which instances do not inherit from the attributes of the class.
    #[getter(__qualname__)]
    fn qualname<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.get_type().getattr(intern!(slf.py(), "_qualname"))
    }

    #[getter(__name__)]
    fn name(slf: &Bound<'_, Self>) -> PyResult<String> {
        let qualname: String = Self::qualname(slf)?.extract()?;
        let name = qualname.rsplit_once('.').map(|(_, name)| name.to_owned());
        Ok(name.unwrap_or(qualname))
    }

    /// True once the response has started.
    #[getter]
    fn started(&self) -> bool {
        self.stage.load(Ordering::Relaxed) == STARTED
    }

    /// True if the WebSocket was accepted and is not closed.
    #[getter]
    fn is_open(&self) -> bool {
        self.stage.load(Ordering::Relaxed) == OPEN
    }

    /// True once the WebSocket was rejected or closed.
    #[getter]
    fn is_closed(&self) -> bool {
        self.stage.load(Ordering::Relaxed) == CLOSED
    }

    /// The status of a response that must not have content, and the bytes of content that were removed. None if none
    /// were.
    #[getter]
    fn dropped(&self) -> Option<(u16, usize)> {
        let bytes = self.dropped.load(Ordering::Relaxed);
        (bytes > 0).then(|| (self.bare_status.load(Ordering::Relaxed), bytes))
    }

    fn __call__<'py>(&self, message: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let send = self.send.bind(message.py());
        let own_field = match self.record.get() {
            Some(record) => record.get().note(message)?,
            None => None,
        };
        match self.stage.load(Ordering::Relaxed) {
            STARTED => {
                if self.bare_status.load(Ordering::Relaxed) != 0 {
                    return send.call1((self.without_content(message)?,));
                }
            }
            CLOSED => {}
            stage => {
                let following = following(message, stage)?;
                if following != stage {
                    self.stage.store(following, Ordering::Relaxed);
                }
                let bare = if following == STARTED && !self.inner {
                    status_without_content(message)?
                } else {
                    None
                };
                let has_fields = following == STARTED && self.fields.get().is_some();
                if bare.is_some() || has_fields || own_field.is_some() {
                    return send.call1((self.changed_start(message, bare, own_field)?,));
                }
            }
        }
        send.call1((message,))
    }

    #[pyo3(signature = (record, /))]
    fn record_to(&self, record: Py<ResponseRecord>) -> PyResult<()> {
        self.record
            .set(record)
            .map_err(|_| PyRuntimeError::new_err("the response is already recorded"))
    }

    #[pyo3(signature = (name, value, /))]
    fn add_field(&self, name: &Bound<'_, PyBytes>, value: &Bound<'_, PyBytes>) -> PyResult<()> {
        if self.started() {
            return Err(PyRuntimeError::new_err(
                "the response has already started; add header fields before sending http.response.start",
            ));
        }
        let py = name.py();
        let fields = self.fields.get_or_init_py_attached(py, || PyList::empty(py).unbind());
        fields.bind(py).append((name, value))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.send)?;
        self.fields.get().map_or(Ok(()), |fields| visit.call(fields))
    }
}

impl Observer {
    /// A copy of `http.response.start` with the fields to send. Not changed in place, because the application may reuse
    /// the message or its list.
    /// The record's own field is not added if the application gave one of that name.
    fn changed_start<'py>(
        &self,
        message: &Bound<'py, PyAny>,
        bare: Option<u16>,
        own_field: Option<&Bound<'py, PyTuple>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let py = message.py();
        let key = intern!(py, "headers");
        let copy = copy_of(message)?;
        let headers = PyList::empty(py);
        let own_name = own_field
            .map(|field| field.get_item(0)?.cast_into::<PyBytes>().map_err(PyErr::from))
            .transpose()?;
        let mut own_field = own_field;
        if let Some(given) = copy.get_item(key)? {
            for field in given.try_iter()? {
                let field = field?;
                if let Some(name) = &own_name
                    && names_field(&field, name)?
                {
                    own_field = None;
                }
                if bare.is_none() || !frames_content(&field)? {
                    headers.append(field)?;
                }
            }
        }
        if let Some(field) = own_field {
            headers.append(field)?;
        }
        if let Some(status) = bare {
            self.bare_status.store(status, Ordering::Relaxed);
            if status == 205 {
                headers.append((PyBytes::new(py, b"content-length"), PyBytes::new(py, b"0")))?;
            }
        }
        if let Some(fields) = self.fields.get() {
            for field in fields.bind(py) {
                headers.append(field)?;
            }
        }
        copy.set_item(key, headers)?;
        Ok(copy)
    }

    /// A copy of the message with an empty body. Counts the bytes removed.
    fn without_content<'py>(&self, message: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let py = message.py();
        let copy = copy_of(message)?;
        let kind = copy.get_item("type")?.map(|kind| kind.to_string()).unwrap_or_default();
        match kind.as_str() {
            "http.response.body" => {
                let size = copy.get_item("body")?.map_or(Ok(0), |body| body.len())?;
                self.dropped.fetch_add(size, Ordering::Relaxed);
                copy.set_item("body", PyBytes::new(py, b""))?;
            }
            // Extensions with which the server sends a file.
            "http.response.pathsend" | "http.response.zerocopysend" => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                let more = copy.get_item("more_body")?;
                copy.clear();
                copy.set_item("type", "http.response.body")?;
                copy.set_item("body", PyBytes::new(py, b""))?;
                copy.set_item("more_body", more.is_some_and(|more| more.is_truthy().unwrap_or(false)))?;
            }
            _ => {}
        }
        Ok(copy)
    }
}

fn copy_of<'py>(message: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    if let Ok(dict) = message.cast_exact::<PyDict>() {
        return dict.copy();
    }
    let copy = PyDict::new(message.py());
    copy.update(message.cast::<PyMapping>()?)?;
    Ok(copy)
}

/// The status of a response that must not have content, otherwise None.
fn status_without_content(message: &Bound<'_, PyAny>) -> PyResult<Option<u16>> {
    static OK: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let key = intern!(message.py(), "status");
    let status = match message.cast_exact::<PyDict>() {
        Ok(dict) => dict.get_item(key)?,
        Err(_) => message.get_item(key).ok(),
    };
    let Some(status) = status else { return Ok(None) };
    // CPython shares small integers, so most responses need no conversion, the most expensive part of this function.
    let ok = OK.get_or_try_init(message.py(), || 200.into_py_any(message.py()))?;
    if status.is(ok) {
        return Ok(None);
    }
    // The server reports a status that is not a number.
    Ok(status.extract::<u16>().ok().filter(|&status| !allows_content(status)))
}

/// True for a header field with this name.
pub(crate) fn names_field(field: &Bound<'_, PyAny>, name: &Bound<'_, PyBytes>) -> PyResult<bool> {
    let is_same = |own: &Bound<'_, PyAny>| {
        own.cast::<PyBytes>()
            .is_ok_and(|own| own.as_bytes().eq_ignore_ascii_case(name.as_bytes()))
    };
    match field.cast_exact::<PyTuple>() {
        Ok(pair) => Ok(is_same(&*pair.get_borrowed_item(0)?)),
        Err(_) => Ok(is_same(&field.get_item(0)?)),
    }
}

/// True for a header field about the length or the framing of the content.
fn frames_content(field: &Bound<'_, PyAny>) -> PyResult<bool> {
    let name = field.get_item(0)?;
    Ok(name.cast::<PyBytes>().is_ok_and(|name| {
        let name = name.as_bytes();
        name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"transfer-encoding")
    }))
}

/// The stage after a message.
fn following(message: &Bound<'_, PyAny>, stage: u8) -> PyResult<u8> {
    let py = message.py();
    let key = intern!(py, "type");
    let kind = match message.cast_exact::<PyDict>() {
        Ok(dict) => dict.get_item(key)?,
        Err(_) => Some(message.get_item(key)?),
    };
    let Some(kind) = kind else {
        return Err(PyKeyError::new_err("type"));
    };
    // Literals are interned, so the same text is almost always the same object.
    if kind.is(intern!(py, "http.response.start")) {
        return Ok(STARTED);
    }
    if kind.is(intern!(py, "websocket.send")) {
        return Ok(stage);
    }
    Ok(
        match kind
            .cast::<PyString>()
            .ok()
            .map(PyStringMethods::to_cow)
            .transpose()?
            .as_deref()
        {
            Some("http.response.start") => STARTED,
            Some("websocket.accept") => OPEN,
            Some("websocket.close" | "websocket.http.response.start") => CLOSED,
            _ => stage,
        },
    )
}
