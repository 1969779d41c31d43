//! `_core.Observer`: watches the messages an application sends without a coroutine frame of its own.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use pyo3::{PyTraverseError, PyVisit};

/// See `_core.pyi`.
#[pyclass(frozen, module = "pallasite._core", weakref)]
pub(crate) struct Observer {
    #[pyo3(get)]
    send: Py<PyAny>,
    started: AtomicBool,
}

#[pymethods]
impl Observer {
    #[new]
    #[pyo3(signature = (send, /))]
    fn new(send: Py<PyAny>) -> Self {
        Self {
            send,
            started: AtomicBool::new(false),
        }
    }

    /// Whether the response has started.
    #[getter]
    fn started(&self) -> bool {
        self.started.load(Ordering::Relaxed)
    }

    fn __call__<'py>(&self, message: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if !self.started() && starts_response(message)? {
            self.started.store(true, Ordering::Relaxed);
        }
        self.send.bind(message.py()).call1((message,))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.send)
    }
}

fn starts_response(message: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = message.py();
    let key = intern!(py, "type");
    let start = intern!(py, "http.response.start");
    let kind = match message.cast_exact::<PyDict>() {
        Ok(dict) => dict.get_item(key)?,
        Err(_) => Some(message.get_item(key)?),
    };
    let Some(kind) = kind else {
        return Err(pyo3::exceptions::PyKeyError::new_err("type"));
    };
    // Literals are interned, so that the same text is almost always the same object.
    if kind.is(start) {
        return Ok(true);
    }
    Ok(kind
        .cast::<PyString>()
        .is_ok_and(|kind| kind.as_any().eq(start).unwrap_or(false)))
}
