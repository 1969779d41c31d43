//! Matches a request with the routes, and adds the match to the scope.

use pallasite_core::route::Spans;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PySet, PyString, PyTuple};

use super::entry::{Entry, RouteKind};
use super::pattern::{PathPattern, Subject};
use super::scope::{Protocol, path_params, required};
use super::table::ENTRY_EXISTS;
use crate::text::{slice, text_of};

/// A match, with the values to add to the scope.
pub(super) struct Found<'py> {
    pub(super) is_full: bool,
    child: Child<'py>,
}

enum Child<'py> {
    Route {
        path_params: Bound<'py, PyDict>,
        endpoint: Bound<'py, PyAny>,
    },
    Mount {
        path_params: Bound<'py, PyDict>,
        app_root_path: Bound<'py, PyAny>,
        root_path: Bound<'py, PyAny>,
        app: Bound<'py, PyAny>,
    },
    Host {
        path_params: Bound<'py, PyDict>,
        app: Bound<'py, PyAny>,
    },
    Asked(Bound<'py, PyAny>),
}

impl<'py> Found<'py> {
    /// Adds the match to the scope and returns the application to call: the `handle` of the route, or its `app` if that
    /// may be called directly.
    pub(super) fn win(self, scope: &Bound<'py, PyDict>, entry: &Entry, is_direct: bool) -> PyResult<Bound<'py, PyAny>> {
        let py = scope.py();
        let route = entry.route.bind(py);
        scope.set_item(intern!(py, "route"), route)?;
        let mut app = None;
        match self.child {
            Child::Route { path_params, endpoint } => {
                scope.set_item(intern!(py, "endpoint"), endpoint)?;
                scope.set_item(intern!(py, "path_params"), path_params)?;
            }
            Child::Mount {
                path_params,
                app_root_path,
                root_path,
                app: endpoint,
            } => {
                scope.set_item(intern!(py, "path_params"), path_params)?;
                scope.set_item(intern!(py, "app_root_path"), app_root_path)?;
                scope.set_item(intern!(py, "root_path"), root_path)?;
                scope.set_item(intern!(py, "endpoint"), &endpoint)?;
                app = Some(endpoint);
            }
            Child::Host {
                path_params,
                app: endpoint,
            } => {
                scope.set_item(intern!(py, "path_params"), path_params)?;
                scope.set_item(intern!(py, "endpoint"), &endpoint)?;
                app = Some(endpoint);
            }
            Child::Asked(child) => {
                scope.call_method1(intern!(py, "update"), (child,))?;
            }
        }
        match app {
            _ if !(is_direct && self.is_full) => route.getattr(intern!(py, "handle")),
            Some(app) => Ok(app),
            None => entry.app(py),
        }
    }
}

/// A request, with the values read so far.
pub(super) struct Request<'a, 'py> {
    scope: &'a Bound<'py, PyDict>,
    protocol: Protocol,
    subject: &'a Subject<'a, 'py>,
    root: &'a Bound<'py, PyAny>,
    method: Option<Bound<'py, PyAny>>,
    /// The lowercase host that the request names.
    host: Option<&'a str>,
    /// The result of `matches` for no match.
    no_match: Option<&'a Py<PyAny>>,
}

impl<'a, 'py> Request<'a, 'py> {
    pub(super) fn new(
        scope: &'a Bound<'py, PyDict>,
        protocol: Protocol,
        subject: &'a Subject<'a, 'py>,
        root: &'a Bound<'py, PyAny>,
        host: Option<&'a str>,
        no_match: Option<&'a Py<PyAny>>,
    ) -> Self {
        Self {
            scope,
            protocol,
            subject,
            root,
            method: None,
            host,
            no_match,
        }
    }

    pub(super) fn try_entry(
        &mut self,
        entry: &Entry,
        spans: &mut Spans,
        has_partial: bool,
    ) -> PyResult<Option<Found<'py>>> {
        match (entry.kind, &entry.pattern) {
            (RouteKind::Http, Some(pattern)) if self.protocol == Protocol::Http => {
                let is_full = self.allows(entry)?;
                // A second partial match would be dropped. To skip it has no side effects unless a convertor is in
                // Python.
                if !is_full && has_partial && pattern.get().is_stock() {
                    return Ok(None);
                }
                let child = self.try_route(entry, pattern.get(), spans)?;
                Ok(child.map(|child| Found { is_full, child }))
            }
            (RouteKind::WebSocket, Some(pattern)) if self.protocol == Protocol::WebSocket => {
                let child = self.try_route(entry, pattern.get(), spans)?;
                Ok(child.map(|child| Found { is_full: true, child }))
            }
            (RouteKind::Mount, Some(pattern)) => {
                let child = self.try_mount(entry, pattern.get(), spans)?;
                Ok(child.map(|child| Found { is_full: true, child }))
            }
            (RouteKind::Host, Some(pattern)) => {
                let child = self.try_host(entry, pattern.get(), spans)?;
                Ok(child.map(|child| Found { is_full: true, child }))
            }
            (RouteKind::Opaque, _) => ask_route(self.scope, entry, self.no_match),
            _ => Ok(None),
        }
    }

    fn try_route(&self, entry: &Entry, pattern: &PathPattern, spans: &mut Spans) -> PyResult<Option<Child<'py>>> {
        let py = self.scope.py();
        let Some(path_params) = pattern.find(py, self.subject, spans, || path_params(self.scope))? else {
            return Ok(None);
        };
        let endpoint = entry.route.bind(py).getattr(intern!(py, "endpoint"))?;
        Ok(Some(Child::Route { path_params, endpoint }))
    }

    fn try_mount(&self, entry: &Entry, pattern: &PathPattern, spans: &mut Spans) -> PyResult<Option<Child<'py>>> {
        let py = self.scope.py();
        let key = intern!(py, "path");
        let values = pattern.find(py, self.subject, spans, || Ok(PyDict::new(py)))?;
        let Some(values) = values else {
            return Ok(None);
        };
        let rest = required(&values, key)?.cast_into::<PyString>()?;
        values.del_item(key)?;
        let rest_length = text_of(&rest)?.len();
        let path_params = path_params(self.scope)?;
        path_params.update(values.as_mapping())?;
        // The matched prefix, without the slash before the rest.
        let subject = self.subject;
        let end = subject.text.len().saturating_sub(rest_length + 1).max(subject.start);
        let matched = slice(py, &subject.text, subject.start..end)?;
        let root_path = self.root.add(matched)?;
        let app_root_path = self
            .scope
            .get_item(intern!(py, "app_root_path"))?
            .unwrap_or_else(|| self.root.clone());
        let app = entry.route.bind(py).getattr(intern!(py, "app"))?;
        Ok(Some(Child::Mount {
            path_params,
            app_root_path,
            root_path,
            app,
        }))
    }

    fn try_host(&mut self, entry: &Entry, pattern: &PathPattern, spans: &mut Spans) -> PyResult<Option<Child<'py>>> {
        let py = self.scope.py();
        let Some(host) = self.host else {
            return Ok(None);
        };
        let string = PyString::new(py, host);
        let subject = Subject {
            text: text_of(&string)?,
            start: 0,
            string: &string,
        };
        let Some(path_params) = pattern.find(py, &subject, spans, || path_params(self.scope))? else {
            return Ok(None);
        };
        let app = entry.route.bind(py).getattr(intern!(py, "app"))?;
        Ok(Some(Child::Host { path_params, app }))
    }

    /// True if the route accepts the method of the request.
    /// The methods of all routes that match but for their methods. A route with its own `matches`, or with a convertor
    /// in Python, is left out: asking it again could have side effects.
    #[cold]
    pub(super) fn other_methods(
        &mut self,
        entries: &[Entry],
        candidates: impl Iterator<Item = usize>,
    ) -> PyResult<Bound<'py, PySet>> {
        let py = self.scope.py();
        let methods = PySet::empty(py)?;
        let mut spans = Spans::new();
        for index in candidates {
            let entry = entries.get(index).expect(ENTRY_EXISTS);
            if entry.kind != RouteKind::Http {
                continue;
            }
            let (Some(pattern), Some(own)) = (&entry.pattern, &entry.methods) else {
                continue;
            };
            if pattern.get().is_stock() && self.try_route(entry, pattern.get(), &mut spans)?.is_some() {
                for method in own.bind(py).try_iter()? {
                    methods.add(method?)?;
                }
            }
        }
        Ok(methods)
    }

    fn allows(&mut self, entry: &Entry) -> PyResult<bool> {
        let py = self.scope.py();
        let Some(methods) = entry.methods.as_ref().map(|methods| methods.bind(py)) else {
            return Ok(true);
        };
        if !methods.is_truthy()? {
            return Ok(true);
        }
        let method = match &self.method {
            Some(method) => method,
            None => self.method.insert(required(self.scope, intern!(py, "method"))?),
        };
        methods.contains(method)
    }
}

/// Calls the `matches` of the route.
pub(super) fn ask_route<'py>(
    scope: &Bound<'py, PyDict>,
    entry: &Entry,
    no_match: Option<&Py<PyAny>>,
) -> PyResult<Option<Found<'py>>> {
    let py = scope.py();
    let answer = entry.route.bind(py).call_method1(intern!(py, "matches"), (scope,))?;
    let (verdict, child) = match answer.cast::<PyTuple>() {
        Ok(answer) => answer.extract()?,
        Err(_) => py
            .get_type::<PyTuple>()
            .call1((answer,))?
            .extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?,
    };
    Ok(match level(&verdict, no_match)? {
        2 => Some(Found {
            is_full: true,
            child: Child::Asked(child),
        }),
        1 => Some(Found {
            is_full: false,
            child: Child::Asked(child),
        }),
        _ => None,
    })
}

/// The value of a verdict, a member of `Match` or of a similar enum: 0 for none, 1 for partial, 2 for full.
fn level(verdict: &Bound<'_, PyAny>, no_match: Option<&Py<PyAny>>) -> PyResult<i64> {
    // Most verdicts are no match, recognised by identity without reading the value of the enum.
    if no_match.is_some_and(|known| verdict.is(known)) {
        return Ok(0);
    }
    verdict.getattr(intern!(verdict.py(), "value"))?.extract()
}
