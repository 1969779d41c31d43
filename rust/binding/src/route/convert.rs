//! Converts the text of a parameter to its Python value.

use std::ops::Range;

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyInt, PyType};

use crate::text::slice;

/// How a parameter is converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conversion {
    /// Not at all: the value is the text.
    Text,
    Integer,
    Float,
    Uuid,
    /// The convertor's own `convert`.
    Python,
}

/// A stock convertor as it was when it was registered.
struct Stock {
    class: Py<PyType>,
    regex: Py<PyAny>,
    method: Py<PyAny>,
    conversion: Conversion,
}

static STOCK: PyOnceLock<Box<[Stock]>> = PyOnceLock::new();

const IN_TEXT: &str = "the span is that of a match in the text";

/// See `_core.pyi`.
#[pyfunction]
#[pyo3(signature = (convertors, /))]
pub(crate) fn register_stock_convertors(convertors: &Bound<'_, PyDict>) -> PyResult<()> {
    let py = convertors.py();
    let stock = convertors.iter().map(|(name, convertor)| {
        let class = convertor.get_type();
        Ok(Stock {
            regex: convertor.getattr(intern!(py, "regex"))?.unbind(),
            method: class.getattr(intern!(py, "convert"))?.unbind(),
            class: class.unbind(),
            conversion: match name.extract::<&str>()? {
                "str" | "path" => Conversion::Text,
                "int" => Conversion::Integer,
                "float" => Conversion::Float,
                "uuid" => Conversion::Uuid,
                _ => Conversion::Python,
            },
        })
    });
    // Later calls have no effect: if the module is imported again, its new classes convert in Python.
    STOCK.get_or_try_init(py, || stock.collect::<PyResult<_>>())?;
    Ok(())
}

/// How `convertor` converts: natively only if its class is a stock one and the convertor is unchanged.
pub(super) fn conversion_of(convertor: &Bound<'_, PyAny>) -> PyResult<Conversion> {
    let py = convertor.py();
    let class = convertor.get_type();
    let stock = STOCK
        .get(py)
        .and_then(|all| all.iter().find(|stock| class.is(&stock.class)));
    let Some(stock) = stock else {
        return Ok(Conversion::Python);
    };
    let method = convertor.getattr(intern!(py, "convert"))?;
    let is_unchanged = match method.getattr_opt(intern!(py, "__func__"))? {
        Some(function) => {
            function.is(&stock.method) && convertor.getattr(intern!(py, "regex"))?.eq(stock.regex.bind(py))?
        }
        None => false,
    };
    Ok(if is_unchanged {
        stock.conversion
    } else {
        Conversion::Python
    })
}

/// The value of the text at `span`. None if the convertor raises `ValueError`.
pub(super) fn convert<'py>(
    conversion: Conversion,
    convertor: &Bound<'py, PyAny>,
    text: &[u8],
    span: Range<usize>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = convertor.py();
    let value = match conversion {
        Conversion::Text => return slice(py, text, span).map(|text| Some(text.into_any())),
        Conversion::Integer => {
            let digits = text.get(span.clone()).expect(IN_TEXT);
            if let Some(number) = std::str::from_utf8(digits)
                .ok()
                .and_then(|digits| digits.parse::<u64>().ok())
            {
                return Ok(Some(number.into_pyobject(py)?.into_any()));
            }
            py.get_type::<PyInt>().call1((slice(py, text, span)?,))
        }
        Conversion::Float => {
            let digits = text.get(span.clone()).expect(IN_TEXT);
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
            UUID.import(py, "uuid", "UUID")?.call1((slice(py, text, span)?,))
        }
        Conversion::Python => convertor.call_method1(intern!(py, "convert"), (slice(py, text, span)?,)),
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
