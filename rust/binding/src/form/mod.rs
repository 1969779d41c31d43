//! The form parsers, and the arguments that both share: limits, charsets, chunks of a body.

mod multipart;
mod parameters;
mod urlencoded;

use std::ffi::CString;

use pyo3::exceptions::{PyOverflowError, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PyString};

pub(crate) use multipart::MultipartParser;
pub(crate) use parameters::form_parameters;
pub(crate) use urlencoded::UrlencodedParser;

use crate::text::new_latin1;

/// The error for a parser whose lock is held by another thread.
pub(crate) fn busy<T>(_: T) -> PyErr {
    PyRuntimeError::new_err("the parser is in use by another thread; create one parser per request")
}

/// A limit given as any Python number, including infinity. Negative numbers are treated as zero.
pub(crate) struct Limit(pub(crate) u64);

impl Limit {
    pub(crate) const NONE: Self = Self(u64::MAX);
}

impl<'py> FromPyObject<'_, 'py> for Limit {
    type Error = PyErr;

    fn extract(number: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(whole) = number.extract::<u64>() {
            return Ok(Self(whole));
        }
        // No number is greater than NaN, so NaN is no limit. The cast saturates all other values.
        match number.extract::<f64>() {
            Ok(limit) if limit.is_nan() => Ok(Self(u64::MAX)),
            Ok(limit) => Ok(Self(limit as u64)),
            Err(error) if error.is_instance_of::<PyOverflowError>(number.py()) => {
                Ok(Self(if number.lt(0)? { 0 } else { u64::MAX }))
            }
            Err(error) => Err(error),
        }
    }
}

/// The chunk itself if it is bytes, otherwise a copy of its contents.
pub(crate) fn chunk_of<'py>(chunk: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    if let Ok(bytes) = chunk.cast_exact::<PyBytes>() {
        return Ok(bytes.clone());
    }
    let copy = PyMemoryView::from(chunk)?.call_method0(intern!(chunk.py(), "tobytes"))?;
    Ok(copy.cast_into::<PyBytes>()?)
}

/// The charset of names and fields. Bytes that are invalid in it are decoded as latin-1.
pub(crate) enum Charset {
    Utf8,
    Latin1,
    /// Another of Python's codecs.
    Other(CString),
}

impl Charset {
    pub(crate) fn new(codec: &str) -> PyResult<Self> {
        Ok(match codec {
            "utf-8" => Self::Utf8,
            "latin-1" => Self::Latin1,
            _ => Self::Other(CString::new(codec)?),
        })
    }

    pub(crate) fn decode<'py>(&self, py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
        let decoded = match self {
            Self::Utf8 => PyString::from_bytes(py, bytes),
            Self::Latin1 => return new_latin1(py, bytes),
            Self::Other(codec) => PyString::from_encoded_object(&PyBytes::new(py, bytes), Some(codec), None),
        };
        decoded.or_else(|_| new_latin1(py, bytes))
    }
}
