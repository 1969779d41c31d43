//! `_core.Guard`: tells whether functions that a fast path stands in for are still the ones that it knows.

use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule, PyString, PyType};

use crate::route::version_of;

/// See `_core.pyi`.
#[pyclass(frozen, module = "pallasite._core")]
pub(crate) struct Guard {
    globals: Box<[Global]>,
    methods: Box<[Method]>,
}

/// A name of a module.
struct Global {
    module: Py<PyDict>,
    name: Py<PyString>,
    value: Option<Py<PyAny>>,
}

/// An attribute of a class, which the class or one of its bases has.
struct Method {
    class: Py<PyType>,
    name: Py<PyString>,
    value: Option<Py<PyAny>>,
    /// The version of the class when it last had this value.
    version: AtomicU32,
}

#[pymethods]
impl Guard {
    #[new]
    #[pyo3(signature = (names, /))]
    fn new(names: Vec<(Bound<'_, PyAny>, Bound<'_, PyString>)>) -> PyResult<Self> {
        let (mut globals, mut methods) = (Vec::new(), Vec::new());
        for (owner, name) in names {
            if let Ok(class) = owner.cast::<PyType>() {
                methods.push(Method {
                    value: class.getattr_opt(&name)?.map(Bound::unbind),
                    class: class.clone().unbind(),
                    name: name.unbind(),
                    version: AtomicU32::new(0),
                });
            } else {
                let module = owner.cast::<PyModule>()?.dict();
                globals.push(Global {
                    value: module.get_item(&name)?.map(Bound::unbind),
                    module: module.unbind(),
                    name: name.unbind(),
                });
            }
        }
        Ok(Self {
            globals: globals.into(),
            methods: methods.into(),
        })
    }

    fn holds(&self, py: Python<'_>) -> PyResult<bool> {
        for global in &self.globals {
            let now = global.module.bind(py).get_item(&global.name)?;
            if !is_same(now.as_ref(), global.value.as_ref()) {
                return Ok(false);
            }
        }
        for method in &self.methods {
            if !method.holds(py)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for global in &self.globals {
            visit.call(&global.module)?;
            visit.call(&global.value)?;
        }
        for method in &self.methods {
            visit.call(&method.class)?;
            visit.call(&method.value)?;
        }
        Ok(())
    }
}

impl Method {
    fn holds(&self, py: Python<'_>) -> PyResult<bool> {
        let class = self.class.bind(py);
        let version = version_of(class);
        if version != 0 && version == self.version.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let now = class.getattr_opt(&self.name)?;
        let holds = is_same(now.as_ref(), self.value.as_ref());
        if holds {
            // The look-up has given the class a version if it had none.
            self.version.store(version_of(class), Ordering::Relaxed);
        }
        Ok(holds)
    }
}

fn is_same(now: Option<&Bound<'_, PyAny>>, then: Option<&Py<PyAny>>) -> bool {
    match (now, then) {
        (Some(now), Some(then)) => now.is(then),
        (None, None) => true,
        _ => false,
    }
}
