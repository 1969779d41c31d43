//! Converts Python's `str` and `bytes` to the core's text and back. Lone surrogates are kept.

use std::borrow::Cow;
use std::ops::Range;

use pallasite_core::text::from_latin1;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

/// The UTF-8 of a `str`, with three bytes for a lone surrogate. Borrowed unless there is one.
pub(crate) fn text_of<'a>(text: &'a Bound<'_, PyString>) -> PyResult<Cow<'a, [u8]>> {
    match text.to_str() {
        Ok(plain) => Ok(Cow::Borrowed(plain.as_bytes())),
        Err(_) => encode_surrogates(text),
    }
}

/// The text of a `str`, or of `bytes` as latin-1. Raises `TypeError` for any other value.
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

/// Creates a `str` from the core's text.
pub(crate) fn new_text<'py>(py: Python<'py>, text: &[u8]) -> PyResult<Bound<'py, PyString>> {
    // Python validates the bytes while it copies them: one pass, which fails only for lone surrogates.
    PyString::from_bytes(py, text).or_else(|_| decode_surrogates(py, text))
}

/// Creates a `str` from the part of `text` at `span`, which lies within it and between characters.
pub(crate) fn slice<'py>(py: Python<'py>, text: &[u8], span: Range<usize>) -> PyResult<Bound<'py, PyString>> {
    new_text(py, text.get(span).expect("the span is that of a match in the text"))
}

/// Creates a `str` from latin-1 bytes.
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
