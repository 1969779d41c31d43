//! An entry of the route table.

use pyo3::intern;
use pyo3::prelude::*;

use super::pattern::PathPattern;

/// See `_core.pyi`.
#[pyclass(
    eq,
    frozen,
    hash,
    from_py_object,
    rename_all = "UPPERCASE",
    module = "pallasite._core"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RouteKind {
    Http,
    WebSocket,
    Mount,
    Host,
    Opaque,
}

pub(super) struct Entry {
    pub(super) kind: RouteKind,
    pub(super) route: Py<PyAny>,
    pub(super) pattern: Option<Py<PathPattern>>,
    /// The set of the route itself, read at each match, so that changes to it take effect.
    pub(super) methods: Option<Py<PyAny>>,
    /// True if `route.app` may be called in place of `route.handle`.
    pub(super) is_direct: bool,
    function_app: Option<FunctionApp>,
}

/// The `app` of the route when the table was built, and the function that the router calls in place of it.
struct FunctionApp {
    app: Py<PyAny>,
    instead: Py<PyAny>,
}

type Parts<'py> = (
    RouteKind,
    Bound<'py, PyAny>,
    Option<Bound<'py, PathPattern>>,
    Option<Bound<'py, PyAny>>,
    bool,
);

impl Entry {
    pub(super) fn from_parts(parts: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (kind, route, pattern, methods, is_direct) = parts.extract::<Parts<'_>>()?;
        Ok(Self {
            kind: if fits(kind, pattern.as_ref()) {
                kind
            } else {
                RouteKind::Opaque
            },
            function_app: if is_direct { function_app(&route)? } else { None },
            route: route.unbind(),
            pattern: pattern.map(Bound::unbind),
            methods: methods.map(Bound::unbind),
            is_direct,
        })
    }

    /// The current `app` of the route, or the function that the router calls in place of it.
    pub(super) fn app<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let app = self.route.bind(py).getattr(intern!(py, "app"))?;
        match &self.function_app {
            Some(known) if app.is(&known.app) => Ok(known.instead.bind(py).clone()),
            _ => Ok(app),
        }
    }

    /// The pattern, if it is that of a path and a tree can hold it.
    pub(super) fn path(&self) -> Option<&PathPattern> {
        self.indexed().filter(|pattern| !pattern.core().is_host())
    }

    /// The pattern, if it is that of a host and a tree can hold it.
    pub(super) fn host(&self) -> Option<&PathPattern> {
        self.indexed().filter(|pattern| pattern.core().is_host())
    }

    /// The pattern, unless the route must be tried at each match.
    pub(super) fn indexed(&self) -> Option<&PathPattern> {
        let pattern = self.pattern.as_ref().filter(|_| self.kind != RouteKind::Opaque)?.get();
        (!pattern.is_unpredictable()).then_some(pattern)
    }
}

/// The `_function_app` of the route's `app`, if its own `app` is the same object. `functools.wraps` copies attributes
/// to the wrapper of an `app`, which must not be skipped.
fn function_app(route: &Bound<'_, PyAny>) -> PyResult<Option<FunctionApp>> {
    let py = route.py();
    let Some(app) = route.getattr_opt(intern!(py, "app"))? else {
        return Ok(None);
    };
    let Some(instead) = app.getattr_opt(intern!(py, "_function_app"))? else {
        return Ok(None);
    };
    if !instead.getattr(intern!(py, "app"))?.is(&app) {
        return Ok(None);
    }
    Ok(Some(FunctionApp {
        app: app.unbind(),
        instead: instead.unbind(),
    }))
}

/// True if a route of this kind can have this pattern.
fn fits(kind: RouteKind, pattern: Option<&Bound<'_, PathPattern>>) -> bool {
    let Some(pattern) = pattern.map(Bound::get) else {
        return false;
    };
    let is_host = pattern.core().is_host();
    match kind {
        RouteKind::Http | RouteKind::WebSocket => !is_host,
        RouteKind::Mount => !is_host && pattern.has_rest(),
        RouteKind::Host => is_host,
        RouteKind::Opaque => false,
    }
}
