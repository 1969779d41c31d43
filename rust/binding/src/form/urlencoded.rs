//! `_core.UrlencodedParser`: reads urlencoded bodies into a list of fields.

use std::sync::Mutex;

use pallasite_core::form::{FormLimits, urlencoded};
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::{Limit, busy, chunk_of};
use crate::errors::Result;
use crate::text::new_text;

/// See `_core.pyi`.
#[pyclass(frozen, module = "pallasite._core")]
pub(crate) struct UrlencodedParser {
    parser: Mutex<urlencoded::UrlencodedParser>,
}

#[pymethods]
impl UrlencodedParser {
    #[new]
    #[pyo3(signature = (max_fields, max_part_size, max_fields_size=Limit::NONE, /))]
    fn new(max_fields: Limit, max_part_size: Limit, max_fields_size: Limit) -> Self {
        let limits = FormLimits {
            max_files: 0,
            max_fields: max_fields.0,
            max_field_bytes: max_part_size.0,
            max_total_field_bytes: max_fields_size.0,
        };
        Self {
            parser: Mutex::new(urlencoded::UrlencodedParser::new(limits)),
        }
    }

    /// Bytes examined so far.
    #[getter]
    fn steps(&self) -> PyResult<u64> {
        Ok(self.parser.try_lock().map_err(busy)?.steps())
    }

    #[pyo3(signature = (chunk, items, /))]
    fn feed(&self, chunk: &Bound<'_, PyAny>, items: &Bound<'_, PyList>) -> Result<()> {
        let chunk = chunk_of(chunk)?;
        let mut parser = self.parser.try_lock().map_err(busy)?;
        parser.feed(chunk.as_bytes(), |name, value| add(items, name, value))?;
        Ok(())
    }

    #[pyo3(signature = (items, /))]
    fn finish(&self, items: &Bound<'_, PyList>) -> Result<()> {
        let mut parser = self.parser.try_lock().map_err(busy)?;
        parser.finish(|name, value| add(items, name, value))?;
        Ok(())
    }
}

fn add(items: &Bound<'_, PyList>, name: &[u8], value: &[u8]) -> Result<()> {
    let py = items.py();
    items.append((new_text(py, name)?, new_text(py, value)?))?;
    Ok(())
}
