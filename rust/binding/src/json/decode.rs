//! Makes Python values of a document that the core takes apart.

use pallasite_core::json::{self, Reader, Text, Value};
use pallasite_core::limits::JSON_DEPTH_MAX;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString};

/// Keys that are remembered, so that each is made once. A power of two.
const REMEMBERED_KEYS: usize = 64;
/// Longer keys are rarely repeated.
const REMEMBERED_LENGTH: usize = 32;

/// The default is returned for a document that is for Python's decoder, which gives the right result or error.
#[pyfunction]
#[pyo3(signature = (document, default, /))]
pub(crate) fn loads<'py>(document: &Bound<'py, PyAny>, default: Bound<'py, PyAny>) -> Bound<'py, PyAny> {
    text_of(document)
        .and_then(|text| Decoder::new(document.py(), text).document())
        .unwrap_or(default)
}

/// Text that has no UTF-8 form may hold anything.
#[pyfunction]
#[pyo3(signature = (document, /))]
pub(crate) fn may_overflow(document: &Bound<'_, PyAny>) -> PyResult<bool> {
    if let Ok(bytes) = document.cast::<PyBytes>() {
        return Ok(json::may_overflow(bytes.as_bytes()));
    }
    let text = document.cast::<PyString>()?;
    Ok(text.to_str().map_or(true, |text| json::may_overflow(text.as_bytes())))
}

/// The document, if it is UTF-8. Bytes with a byte order mark, and those with a zero among the first four, which
/// Python takes for UTF-16 or UTF-32, are not.
fn text_of<'a>(document: &'a Bound<'_, PyAny>) -> Option<&'a str> {
    if let Ok(text) = document.cast_exact::<PyString>() {
        return text.to_str().ok();
    }
    let bytes = document.cast_exact::<PyBytes>().ok()?.as_bytes();
    let has_zero = bytes.iter().take(4).any(|&byte| byte == 0);
    std::str::from_utf8(bytes).ok().filter(|_| !has_zero)
}

struct Decoder<'a, 'py> {
    py: Python<'py>,
    reader: Reader<'a>,
    /// Keys of objects by a hash of their text. A later key takes the place of one with the same hash.
    keys: [Option<(&'a str, Bound<'py, PyString>)>; REMEMBERED_KEYS],
}

impl<'a, 'py> Decoder<'a, 'py> {
    fn new(py: Python<'py>, text: &'a str) -> Self {
        Self {
            py,
            reader: Reader::new(text),
            keys: [const { None }; REMEMBERED_KEYS],
        }
    }

    fn document(&mut self) -> Option<Bound<'py, PyAny>> {
        let value = self.value(JSON_DEPTH_MAX)?;
        self.reader.is_at_end().then_some(value)
    }

    /// Recursion is bounded by `depth_left`.
    fn value(&mut self, depth_left: usize) -> Option<Bound<'py, PyAny>> {
        let py = self.py;
        Some(match self.reader.value()? {
            Value::String(text) => PyString::new(py, text.as_str()).into_any(),
            Value::Int(number) => PyInt::new(py, number).into_any(),
            Value::Object => self.object(depth_left.checked_sub(1)?)?.into_any(),
            Value::Array => self.array(depth_left.checked_sub(1)?)?.into_any(),
            Value::Null => py.None().into_bound(py),
            Value::Bool(flag) => PyBool::new(py, flag).to_owned().into_any(),
            Value::Float(number) => PyFloat::new(py, number).into_any(),
            // Python's own reading: it refuses numbers of more digits than its limit allows.
            Value::LongInt(digits) => py.get_type::<PyInt>().call1((digits,)).ok()?,
        })
    }

    fn array(&mut self, depth_left: usize) -> Option<Bound<'py, PyList>> {
        let list = PyList::empty(self.py);
        let mut has_more = self.reader.has_first(b']')?;
        while has_more {
            let item = self.value(depth_left)?;
            list.append(item).ok()?;
            has_more = self.reader.has_next(b']')?;
        }
        Some(list)
    }

    fn object(&mut self, depth_left: usize) -> Option<Bound<'py, PyDict>> {
        let dict = PyDict::new(self.py);
        let mut has_more = self.reader.has_first(b'}')?;
        while has_more {
            let key = self.key()?;
            let value = self.value(depth_left)?;
            dict.set_item(key, value).ok()?;
            has_more = self.reader.has_next(b'}')?;
        }
        Some(dict)
    }

    fn key(&mut self) -> Option<Bound<'py, PyString>> {
        let py = self.py;
        let text = match self.reader.key()? {
            Text::Plain(text) if text.len() <= REMEMBERED_LENGTH => text,
            text => return Some(PyString::new(py, text.as_str())),
        };
        let place = self.keys.get_mut(slot(text.as_bytes()))?;
        if let Some((known, key)) = place
            && *known == text
        {
            return Some(key.clone());
        }
        let key = PyString::new(py, text);
        *place = Some((text, key.clone()));
        Some(key)
    }
}

/// The place of a key among those remembered. Keys of one object usually differ in their length or their ends.
fn slot(key: &[u8]) -> usize {
    let end = |byte: Option<&u8>| byte.map_or(0, |byte| usize::from(*byte));
    let mixed = key.len() + end(key.first()) * 3 + end(key.last()) * 7 + end(key.get(key.len() / 2)) * 13;
    mixed % REMEMBERED_KEYS
}
