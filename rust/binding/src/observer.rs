//! `_core.Observer`: watches the messages an application sends without a coroutine frame of its own.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::OnceLockExt;
use pyo3::types::{PyBytes, PyDict, PyList, PyMapping, PyString};
use pyo3::{PyTraverseError, PyVisit};

/// See `_core.pyi`.
#[pyclass(frozen, module = "pallasite._core", weakref)]
pub(crate) struct Observer {
    #[pyo3(get)]
    send: Py<PyAny>,
    started: AtomicBool,
    /// Fields that the response gets when it starts. Most responses get none.
    fields: OnceLock<Py<PyList>>,
}

#[pymethods]
impl Observer {
    #[new]
    #[pyo3(signature = (send, /))]
    fn new(send: Py<PyAny>) -> Self {
        Self {
            send,
            started: AtomicBool::new(false),
            fields: OnceLock::new(),
        }
    }

    /// The qualified name that every instance reports.
    #[classattr]
    fn _qualname() -> &'static str {
        "Observer.send"
    }

    // The attributes of the class are invisible on its instances, which tracers name by these.
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

    /// Whether the response has started.
    #[getter]
    fn started(&self) -> bool {
        self.started.load(Ordering::Relaxed)
    }

    fn __call__<'py>(&self, message: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if !self.started() && starts_response(message)? {
            self.started.store(true, Ordering::Relaxed);
            if let Some(fields) = self.fields.get() {
                let message = with_fields(message, fields.bind(message.py()))?;
                return self.send.bind(message.py()).call1((message,));
            }
        }
        self.send.bind(message.py()).call1((message,))
    }

    #[pyo3(signature = (name, value, /))]
    fn add_field(&self, name: &Bound<'_, PyBytes>, value: &Bound<'_, PyBytes>) -> PyResult<()> {
        if self.started() {
            return Err(PyRuntimeError::new_err(
                "the response has already started, so it cannot get another field",
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

/// A copy of `http.response.start` with more fields. The application may send the same message, or its list, again.
fn with_fields<'py>(message: &Bound<'py, PyAny>, fields: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyAny>> {
    let py = message.py();
    let key = intern!(py, "headers");
    let copy = PyDict::new(py);
    copy.update(message.cast::<PyMapping>()?)?;
    let headers = PyList::empty(py);
    if let Some(own) = copy.get_item(key)? {
        headers.call_method1(intern!(py, "extend"), (own,))?;
    }
    headers.call_method1(intern!(py, "extend"), (fields,))?;
    copy.set_item(key, headers)?;
    Ok(copy.into_any())
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
