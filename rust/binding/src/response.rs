//! `_core.response_head`: a response's header list, built and checked in one call.

use pallasite_core::response::{FieldError, encode_content_type, encode_name, encode_value, has_content_length};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

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
    let mut scratch = Vec::with_capacity(64);
    let mut given = Given { fields: Vec::with_capacity(8), has_length: false, has_type: false };
    let mut add = |name: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>| -> PyResult<()> {
        let (name, value) = (name.cast::<PyString>()?, value.cast::<PyString>()?);
        encode_name(&mut scratch, name.to_str()?).map_err(|error| field_error(error, name))?;
        given.has_length |= scratch == CONTENT_LENGTH;
        given.has_type |= scratch == CONTENT_TYPE;
        let name = PyBytes::new(py, &scratch);
        encode_value(&mut scratch, value.to_str()?).map_err(|error| field_error(error, value))?;
        given.fields.push(PyTuple::new(py, [name, PyBytes::new(py, &scratch)])?);
        Ok(())
    };
    if let Ok(dict) = headers.cast_exact::<PyDict>() {
        for (name, value) in dict.iter() {
            add(&name, &value)?;
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
    let name = NAME.get_or_init(py, || PyBytes::new(py, CONTENT_LENGTH).unbind()).bind(py);
    let value = PyBytes::new(py, itoa::Buffer::new().format(body.len()?).as_bytes());
    PyTuple::new(py, [name, &value])
}

/// The stock classes' types are made once and shared.
fn content_type<'py>(media_type: &Bound<'py, PyString>, charset: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyTuple>> {
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
    let mut value = Vec::with_capacity(64);
    encode_content_type(&mut value, media_type.to_str()?, charset.to_str()?)
        .map_err(|error| field_error(error, media_type))?;
    PyTuple::new(py, [PyBytes::new(py, CONTENT_TYPE), PyBytes::new(py, &value)])
}

/// A text outside Latin-1 gets Python's own UnicodeEncodeError, which names the character and its place.
fn field_error(error: FieldError, text: &Bound<'_, PyString>) -> PyErr {
    let encoded = match error {
        FieldError::Latin1 => text.call_method1(intern!(text.py(), "encode"), ("latin-1",)).err(),
        FieldError::Name | FieldError::Value => None,
    };
    encoded.unwrap_or_else(|| PyValueError::new_err(format!("{error}: {text:?}")))
}
