//! `_core.response_head`: a response's header list, built and checked in one call.

use pallasite_core::response::{FieldError, encode_content_type, encode_name, encode_value, has_content_length};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
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
    let mut scratch = Vec::with_capacity(64);
    let (mut add_length, mut add_type) = (has_content_length(status_code), true);
    let mut fields = Vec::with_capacity(2);
    if let Some(headers) = headers {
        let mut add_field = |name: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>| -> PyResult<()> {
            let (name, value) = (name.cast::<PyString>()?, value.cast::<PyString>()?);
            encode_name(&mut scratch, name.to_str()?).map_err(|error| field_error(error, name))?;
            add_length &= scratch != CONTENT_LENGTH;
            add_type &= scratch != CONTENT_TYPE;
            let name = PyBytes::new(py, &scratch);
            encode_value(&mut scratch, value.to_str()?).map_err(|error| field_error(error, value))?;
            fields.push((name, PyBytes::new(py, &scratch)).into_pyobject(py)?);
            Ok(())
        };
        if let Ok(dict) = headers.cast_exact::<PyDict>() {
            for (name, value) in dict.iter() {
                add_field(&name, &value)?;
            }
        } else {
            for item in headers.call_method0(intern!(py, "items"))?.try_iter()? {
                let (name, value) = item?.extract::<(Bound<'py, PyAny>, Bound<'py, PyAny>)>()?;
                add_field(&name, &value)?;
            }
        }
    }
    if let Some(body) = body.filter(|_| add_length) {
        fields.push(content_length(py, body.len()?)?);
    }
    if let Some(media_type) = media_type.filter(|_| add_type) {
        encode_content_type(&mut scratch, media_type.to_str()?, charset.to_str()?)
            .map_err(|error| field_error(error, media_type))?;
        fields.push((content_type_name(py), PyBytes::new(py, &scratch)).into_pyobject(py)?);
    }
    PyList::new(py, fields)
}

fn content_length(py: Python<'_>, length: usize) -> PyResult<Bound<'_, PyTuple>> {
    static NAME: pyo3::sync::PyOnceLock<Py<PyBytes>> = pyo3::sync::PyOnceLock::new();
    let name = NAME.get_or_init(py, || PyBytes::new(py, CONTENT_LENGTH).unbind()).bind(py);
    (name, PyBytes::new(py, itoa::Buffer::new().format(length).as_bytes())).into_pyobject(py)
}

fn content_type_name(py: Python<'_>) -> &Bound<'_, PyBytes> {
    static NAME: pyo3::sync::PyOnceLock<Py<PyBytes>> = pyo3::sync::PyOnceLock::new();
    NAME.get_or_init(py, || PyBytes::new(py, CONTENT_TYPE).unbind()).bind(py)
}

/// A text outside Latin-1 gets Python's own UnicodeEncodeError, which names the character and its place.
fn field_error(error: FieldError, text: &Bound<'_, PyString>) -> PyErr {
    let encoded = match error {
        FieldError::Latin1 => text.call_method1(intern!(text.py(), "encode"), ("latin-1",)).err(),
        FieldError::Name | FieldError::Value => None,
    };
    encoded.unwrap_or_else(|| PyValueError::new_err(format!("{error}: {text:?}")))
}
