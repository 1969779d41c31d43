//! What both kinds of form parser share: limits, charsets, the pieces of a body.

use std::ffi::CString;

use pyo3::exceptions::{PyOverflowError, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PyString};

use crate::text::new_latin1;

/// The one thing that can go wrong with a parser's lock: another thread holds it.
pub(crate) fn busy<T>(_: T) -> PyErr {
    PyRuntimeError::new_err("the parser is in use by another thread")
}

/// A limit as Python has it: any number, infinity included, below zero as zero.
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
        // A float that is not a number compares with nothing, so it limits nothing; a cast takes care of the others.
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

/// The piece itself if it is bytes, else a copy of what it holds.
pub(crate) fn piece_of<'py>(piece: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    if let Ok(bytes) = piece.cast_exact::<PyBytes>() {
        return Ok(bytes.clone());
    }
    let copy = PyMemoryView::from(piece)?.call_method0(intern!(piece.py(), "tobytes"))?;
    Ok(copy.cast_into::<PyBytes>()?)
}

/// How names and fields are decoded; what a charset cannot decode is latin-1.
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
