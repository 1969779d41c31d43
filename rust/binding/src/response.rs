//! `_core.response_head`: builds and checks the header list of a response in one call.

use std::borrow::Cow;

use pallasite_core::response::{self, has_content_length};
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::header::encode_header;

const CONTENT_LENGTH: &[u8] = b"content-length";
const CONTENT_TYPE: &[u8] = b"content-type";

/// See `_core.pyi`.
#[pyfunction]
#[pyo3(signature = (status_code, body, media_type, charset, headers=None, /))]
pub(crate) fn response_head<'py>(
    py: Python<'py>,
    status_code: i64,
    body: Option<&Bound<'py, PyAny>>,
    media_type: Option<&Bound<'py, PyString>>,
    charset: &Bound<'py, PyString>,
    headers: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyList>> {
    let body = body.filter(|_| has_content_length(status_code));
    let Some(headers) = headers else {
        return match (body, media_type) {
            (Some(body), Some(kind)) => PyList::new(py, [content_length(body)?, content_type(kind, charset)?]),
            (Some(body), None) => PyList::new(py, [content_length(body)?]),
            (None, Some(kind)) => PyList::new(py, [content_type(kind, charset)?]),
            (None, None) => Ok(PyList::empty(py)),
        };
    };
    let mut given = given_fields(headers)?;
    if let Some(body) = body.filter(|_| !given.has_length) {
        given.fields.push(content_length(body)?);
    }
    if let Some(media_type) = media_type.filter(|_| !given.has_type) {
        given.fields.push(content_type(media_type, charset)?);
    }
    PyList::new(py, given.fields)
}

struct Given<'py> {
    fields: Vec<Bound<'py, PyTuple>>,
    has_length: bool,
    has_type: bool,
}

fn given_fields<'py>(headers: &Bound<'py, PyAny>) -> PyResult<Given<'py>> {
    let py = headers.py();
    let mut given = Given {
        fields: Vec::with_capacity(8),
        has_length: false,
        has_type: false,
    };
    let mut add = |name: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>| -> PyResult<()> {
        let (name, value) = encode_header(name.cast()?, value.cast()?)?;
        given.has_length |= name.as_bytes() == CONTENT_LENGTH;
        given.has_type |= name.as_bytes() == CONTENT_TYPE;
        given.fields.push(PyTuple::new(py, [name, value])?);
        Ok(())
    };
    if let Ok(dict) = headers.cast_exact::<PyDict>() {
        let (mut items, size) = (dict.iter(), dict.len());
        for _ in 0..size {
            // The iterator would panic. Python raises the same exception.
            if dict.len() != size {
                return Err(PyRuntimeError::new_err("the headers changed size during iteration"));
            }
            if let Some((name, value)) = items.next() {
                add(&name, &value)?;
            }
        }
    } else {
        for item in headers.call_method0(intern!(py, "items"))?.try_iter()? {
            let (name, value) = item?.extract::<(Bound<'py, PyAny>, Bound<'py, PyAny>)>()?;
            add(&name, &value)?;
        }
    }
    Ok(given)
}

fn content_length<'py>(body: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
    static NAME: PyOnceLock<Py<PyBytes>> = PyOnceLock::new();
    let py = body.py();
    let name = NAME
        .get_or_init(py, || PyBytes::new(py, CONTENT_LENGTH).unbind())
        .bind(py);
    let value = PyBytes::new(py, itoa::Buffer::new().format(body.len()?).as_bytes());
    PyTuple::new(py, [name, &value])
}

/// The content-type field. Those of the stock response classes are created once and shared.
fn content_type<'py>(
    media_type: &Bound<'py, PyString>,
    charset: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyTuple>> {
    static JSON: PyOnceLock<Py<PyTuple>> = PyOnceLock::new();
    static HTML: PyOnceLock<Py<PyTuple>> = PyOnceLock::new();
    static PLAIN: PyOnceLock<Py<PyTuple>> = PyOnceLock::new();
    let py = media_type.py();
    let shared = match (media_type.to_str()?, charset.to_str()?) {
        ("application/json", _) => &JSON,
        ("text/html", "utf-8") => &HTML,
        ("text/plain", "utf-8") => &PLAIN,
        _ => return new_content_type(media_type, charset),
    };
    let field = shared.get_or_try_init(py, || new_content_type(media_type, charset).map(Bound::unbind))?;
    Ok(field.bind(py).clone())
}

fn new_content_type<'py>(
    media_type: &Bound<'py, PyString>,
    charset: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyTuple>> {
    let py = media_type.py();
    let name = intern!(py, "content-type");
    let (name, value) = match response::content_type(media_type.to_str()?, charset.to_str()?) {
        Cow::Borrowed(_) => encode_header(name, media_type)?,
        Cow::Owned(value) => encode_header(name, &PyString::new(py, &value))?,
    };
    PyTuple::new(py, [name, value])
}
