//! What both kinds of form parser share: limits, errors, charsets, the pieces of a body.

use std::ffi::CString;

use pallasite_core::form::FormError as Reason;
use pyo3::create_exception;
use pyo3::exceptions::{PyOverflowError, PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PyString};

use crate::text::new_latin1;

create_exception!(pallasite._core, FormError, PyValueError, "See `_core.pyi`.");

/// An error on its way out of a parser.
pub(crate) struct Failure(PyErr);

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self(new_error(reason))
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self(error)
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

/// `FormError(code, text)`.
pub(crate) fn new_error(reason: Reason) -> PyErr {
    let code = match reason {
        Reason::NoBoundary => "no_boundary",
        Reason::NoName => "no_name",
        Reason::TooManyFiles => "too_many_files",
        Reason::TooManyFields => "too_many_fields",
        Reason::FieldTooLong => "field_too_long",
        _ => "malformed",
    };
    FormError::new_err((code, reason.to_string()))
}

/// The one thing that can go wrong with a parser's lock: another thread holds it.
pub(crate) fn busy<T>(_: T) -> PyErr {
    PyRuntimeError::new_err("the parser is in use by another thread")
}

/// A limit as Python has it: any number, infinity included, below zero as zero.
pub(crate) struct Limit(pub(crate) u64);

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
