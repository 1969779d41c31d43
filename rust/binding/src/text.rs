//! Python's str and bytes as the core's text, and back: lone surrogates survive the way there and back.

use std::borrow::Cow;
use std::ops::Range;

use pallasite_core::text::from_latin1;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

/// A str's UTF-8, a lone surrogate as its three bytes. Borrowed unless there is one.
pub(crate) fn text_of<'a>(text: &'a Bound<'_, PyString>) -> PyResult<Cow<'a, [u8]>> {
    match text.to_str() {
        Ok(plain) => Ok(Cow::Borrowed(plain.as_bytes())),
        Err(_) => encode_surrogates(text),
    }
}

/// Text of a str as it is, of bytes as latin-1. `TypeError` for anything else.
pub(crate) fn text_of_either<'a>(value: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, [u8]>> {
    if let Ok(text) = value.cast::<PyString>() {
        return text_of(text);
    }
    match value.cast::<PyBytes>() {
        Ok(bytes) => Ok(from_latin1(bytes.as_bytes())),
        Err(_) => Err(PyTypeError::new_err(format!(
            "expected str or bytes, got {}",
            value.get_type().name()?
        ))),
    }
}

/// A str of the core's text.
pub(crate) fn new_text<'py>(py: Python<'py>, text: &[u8]) -> PyResult<Bound<'py, PyString>> {
    // Python checks the bytes while it copies them: one pass, and no error but for lone surrogates.
    PyString::from_bytes(py, text).or_else(|_| decode_surrogates(py, text))
}

/// A str of the part of `text` at `span`, which lies within it and between characters.
pub(crate) fn slice<'py>(py: Python<'py>, text: &[u8], span: Range<usize>) -> PyResult<Bound<'py, PyString>> {
    new_text(py, text.get(span).expect("the span is that of a match in the text"))
}

/// A str of latin-1 bytes.
pub(crate) fn new_latin1<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    new_text(py, &from_latin1(bytes))
}

#[cold]
fn encode_surrogates(text: &Bound<'_, PyString>) -> PyResult<Cow<'static, [u8]>> {
    let py = text.py();
    let encoded = text.call_method1(
        intern!(py, "encode"),
        (intern!(py, "utf-8"), intern!(py, "surrogatepass")),
    )?;
    Ok(Cow::Owned(encoded.cast::<PyBytes>()?.as_bytes().to_vec()))
}

#[cold]
fn decode_surrogates<'py>(py: Python<'py>, text: &[u8]) -> PyResult<Bound<'py, PyString>> {
    PyString::from_encoded_object(&PyBytes::new(py, text), Some(c"utf-8"), Some(c"surrogatepass"))
}
