//! From the text of a parameter to its Python value.

use std::ops::Range;

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyInt, PyString, PyType};

/// How a parameter becomes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conversion {
    /// The text itself.
    Text,
    Integer,
    Float,
    Uuid,
    /// The convertor's own `convert`.
    Python,
}

/// The text of a Python string, borrowed where it can be.
pub(super) enum Text<'a> {
    Utf8(&'a str),
    /// Lone surrogates, which UTF-8 has no bytes for: WTF-8.
    Wtf8(Vec<u8>),
}

impl<'a> Text<'a> {
    pub(super) fn of(string: &'a Bound<'_, PyString>) -> PyResult<Self> {
        match string.to_str() {
            Ok(text) => Ok(Self::Utf8(text)),
            Err(_) => {
                let py = string.py();
                let bytes = string.call_method1(
                    intern!(py, "encode"),
                    (intern!(py, "utf-8"), intern!(py, "surrogatepass")),
                )?;
                Ok(Self::Wtf8(bytes.cast::<PyBytes>()?.as_bytes().to_vec()))
            }
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Utf8(text) => text.as_bytes(),
            Self::Wtf8(bytes) => bytes,
        }
    }

    /// The part of the text that lies at `span`, as Python sees it.
    pub(super) fn slice<'py>(&self, py: Python<'py>, span: Range<usize>) -> PyResult<Bound<'py, PyString>> {
        match self {
            Self::Utf8(text) => Ok(PyString::new(py, text.get(span).unwrap_or_default())),
            Self::Wtf8(bytes) => text_from_wtf8(py, bytes.get(span).unwrap_or_default()),
        }
    }
}

/// A Python string of UTF-8 that may hold lone surrogates.
pub(super) fn text_from_wtf8<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(PyString::new(py, text)),
        Err(_) => {
            let arguments = (intern!(py, "utf-8"), intern!(py, "surrogatepass"));
            Ok(PyBytes::new(py, bytes)
                .call_method1(intern!(py, "decode"), arguments)?
                .cast_into()?)
        }
    }
}

/// How `convertor` converts: natively only if it is of a stock class of which nothing was changed.
pub(super) fn conversion_of(convertor: &Bound<'_, PyAny>) -> PyResult<Conversion> {
    static STOCK: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let py = convertor.py();
    let stock = STOCK.import(py, "pallasite.convertors", "_STOCK")?;
    let Some(stock) = stock.get_item(convertor.get_type())? else {
        return Ok(Conversion::Python);
    };
    let (regex, convert, name) = stock.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>, String)>()?;
    let method = convertor.getattr(intern!(py, "convert"))?;
    let is_unchanged = match method.getattr_opt(intern!(py, "__func__"))? {
        Some(function) => function.is(&convert) && convertor.getattr(intern!(py, "regex"))?.eq(&regex)?,
        None => false,
    };
    Ok(match name.as_str() {
        _ if !is_unchanged => Conversion::Python,
        "str" | "path" => Conversion::Text,
        "int" => Conversion::Integer,
        "float" => Conversion::Float,
        "uuid" => Conversion::Uuid,
        _ => Conversion::Python,
    })
}

/// The value of the text at `span`; `None` where the convertor refuses it (`ValueError`).
pub(super) fn convert<'py>(
    conversion: Conversion,
    convertor: &Bound<'py, PyAny>,
    text: &Text<'_>,
    span: Range<usize>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = convertor.py();
    let value = match conversion {
        Conversion::Text => return text.slice(py, span).map(|text| Some(text.into_any())),
        Conversion::Integer => {
            let digits = text.bytes().get(span.clone()).unwrap_or_default();
            if let Some(number) = std::str::from_utf8(digits)
                .ok()
                .and_then(|digits| digits.parse::<u64>().ok())
            {
                return Ok(Some(number.into_pyobject(py)?.into_any()));
            }
            py.get_type::<PyInt>().call1((text.slice(py, span)?,))
        }
        Conversion::Float => {
            let digits = text.bytes().get(span.clone()).unwrap_or_default();
            if let Some(number) = std::str::from_utf8(digits)
                .ok()
                .and_then(|digits| digits.parse::<f64>().ok())
                .filter(|number| number.is_finite())
            {
                return Ok(Some(number.into_pyobject(py)?.into_any()));
            }
            return Ok(None);
        }
        Conversion::Uuid => {
            static UUID: PyOnceLock<Py<PyType>> = PyOnceLock::new();
            UUID.import(py, "uuid", "UUID")?.call1((text.slice(py, span)?,))
        }
        Conversion::Python => convertor.call_method1(intern!(py, "convert"), (text.slice(py, span)?,)),
    };
    refused_is_none(py, value)
}

fn refused_is_none<'py>(py: Python<'py>, value: PyResult<Bound<'py, PyAny>>) -> PyResult<Option<Bound<'py, PyAny>>> {
    match value {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_instance_of::<PyValueError>(py) => Ok(None),
        Err(error) => Err(error),
    }
}
