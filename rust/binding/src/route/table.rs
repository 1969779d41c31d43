//! `RouteTable`: the routes of a router, and the one that a request goes to.

use std::collections::HashMap;
use std::iter::Peekable;

use pallasite_core::route::{Cover, Search, Spans, Tree};
use pyo3::exceptions::PyOverflowError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::convert::Text;
use super::entry::{Entry, Kind};
use super::pattern::{PathPattern, Subject};
use super::scope::{Protocol, host_name, path_params, protocol, required, root_length, root_path};

/// Earlier routes that [`RouteTable::unreachable`] compares one route with, so that the report stays linear.
const COMPARED_ROUTES: usize = 64;

/// See `_core.pyi`.
#[pyclass(frozen, module = "pallasite._core")]
pub(crate) struct RouteTable {
    entries: Box<[Entry]>,
    tree: Tree,
    /// Entries that no index finds: asked at every match, when it is their turn.
    always: Box<[usize]>,
    /// Hosts without parameters, lowercase.
    hosts: HashMap<Box<[u8]>, Vec<usize>>,
}

#[pymethods]
impl RouteTable {
    #[new]
    fn new(entries: &Bound<'_, PyAny>) -> PyResult<Self> {
        let entries = entries.try_iter()?.map(|parts| Entry::from_parts(&parts?)).collect::<PyResult<Vec<_>>>()?;
        let in_tree = entries.iter().enumerate().filter(|(_, entry)| entry.is_in_tree());
        let patterns = in_tree.filter_map(|(index, entry)| Some((index, entry.pattern.as_ref()?.get().core())));
        let tree = Tree::build(patterns).map_err(|error| PyOverflowError::new_err(error.to_string()))?;
        let mut always = Vec::new();
        let mut hosts = HashMap::<Box<[u8]>, Vec<usize>>::new();
        for (index, entry) in entries.iter().enumerate() {
            if let Some(name) = entry.literal_host() {
                hosts.entry(name.into()).or_default().push(index);
            } else if !entry.is_in_tree() {
                always.push(index);
            }
        }
        Ok(Self { entries: entries.into(), tree, always: always.into(), hosts })
    }

    fn r#match<'py>(&self, scope: &Bound<'py, PyDict>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = scope.py();
        let protocol = protocol(scope)?;
        if protocol == Protocol::Other {
            return self.match_other(scope);
        }
        let path = required(scope, intern!(py, "path"))?.cast_into::<PyString>()?;
        let root = root_path(scope)?;
        let text = Text::of(&path)?;
        let start = match root.cast::<PyString>() {
            Ok(root) => root_length(text.bytes(), Text::of(root)?.bytes()),
            Err(_) => 0,
        };
        let subject = Subject { text, start, string: &path };
        let mut request = Request { scope, protocol, subject: &subject, root: &root, method: None, host: None };
        let mut trial = Trial { spans: Spans::new(), partial: None };
        let search = self.tree.search(subject.bytes());
        let winner = if self.always.is_empty() && self.hosts.is_empty() {
            trial.first_full(&self.entries, &mut request, search)?
        } else {
            let host = if self.hosts.is_empty() { None } else { request.host()? };
            let named = host.and_then(|host| self.hosts.get(host.as_bytes())).map_or(&[][..], Vec::as_slice);
            let candidates = Candidates {
                tree: search.peekable(),
                always: self.always.iter().copied().peekable(),
                hosts: named.iter().copied().peekable(),
            };
            trial.first_full(&self.entries, &mut request, candidates)?
        };
        match winner.or(trial.partial) {
            Some((found, entry)) => found.win(scope, entry).map(Some),
            None => Ok(None),
        }
    }

    fn unreachable(&self, py: Python<'_>) -> PyResult<Vec<(usize, usize)>> {
        let mut report = Vec::new();
        for (index, entry) in self.entries.iter().enumerate() {
            if let Some(name) = entry.literal_host() {
                let first = self.hosts.get(name).and_then(|same| same.first());
                report.extend(first.filter(|first| **first < index).map(|first| (index, *first)));
                continue;
            }
            let Some(pattern) = entry.pattern.as_ref().filter(|_| entry.is_in_tree()) else { continue };
            let cover = Cover::new(pattern.get().core());
            for earlier in self.tree.search(cover.sample()).take_while(|earlier| *earlier < index).take(COMPARED_ROUTES) {
                let Some(other) = self.entries.get(earlier) else { continue };
                let wins = other.pattern.as_ref().is_some_and(|other| {
                    other.get().is_stock() && cover.is_within(other.get().core())
                });
                if wins && answers_all_of(py, other, entry)? {
                    report.push((index, earlier));
                    break;
                }
            }
        }
        Ok(report)
    }

    fn __len__(&self) -> usize {
        self.entries.len()
    }

    // No `__clear__`: the table never changes. A cycle through it also runs through the attributes of some Python
    // object (a router), which the collector can clear; a tuple does without for the same reason.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for entry in &self.entries {
            visit.call(&entry.route)?;
            visit.call(&entry.pattern)?;
            visit.call(&entry.methods)?;
        }
        Ok(())
    }
}

impl RouteTable {
    /// A scope that is neither http nor websocket: only routes of a kind unknown here may want it.
    #[cold]
    fn match_other<'py>(&self, scope: &Bound<'py, PyDict>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut partial = None;
        for entry in self.entries.iter().filter(|entry| entry.kind == Kind::Opaque) {
            match ask_route(scope, entry)? {
                Some(found) if found.is_full => return found.win(scope, entry).map(Some),
                Some(found) if partial.is_none() => partial = Some((found, entry)),
                _ => {}
            }
        }
        match partial {
            Some((found, entry)) => found.win(scope, entry).map(Some),
            None => Ok(None),
        }
    }
}

/// What trying routes in order has come to.
struct Trial<'a, 'py> {
    spans: Spans,
    /// The first partial match.
    partial: Option<(Found<'py>, &'a Entry)>,
}

impl<'a, 'py> Trial<'a, 'py> {
    /// The first full match.
    fn first_full(
        &mut self,
        entries: &'a [Entry],
        request: &mut Request<'_, 'py>,
        candidates: impl Iterator<Item = usize>,
    ) -> PyResult<Option<(Found<'py>, &'a Entry)>> {
        for index in candidates {
            let Some(entry) = entries.get(index) else { continue };
            match request.try_entry(entry, &mut self.spans, self.partial.is_some())? {
                Some(found) if found.is_full => return Ok(Some((found, entry))),
                Some(found) if self.partial.is_none() => self.partial = Some((found, entry)),
                _ => {}
            }
        }
        Ok(None)
    }
}

/// The routes to try, in declaration order, from three ascending sources.
struct Candidates<'a, A: Iterator<Item = usize>, H: Iterator<Item = usize>> {
    tree: Peekable<Search<'a>>,
    always: Peekable<A>,
    hosts: Peekable<H>,
}

impl<A: Iterator<Item = usize>, H: Iterator<Item = usize>> Iterator for Candidates<'_, A, H> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let always = self.always.peek().copied().unwrap_or(usize::MAX);
        let host = self.hosts.peek().copied().unwrap_or(usize::MAX);
        if always == usize::MAX && host == usize::MAX {
            return self.tree.next();
        }
        let tree = self.tree.peek().copied().unwrap_or(usize::MAX);
        if tree < always && tree < host {
            self.tree.next()
        } else if always < host {
            self.always.next()
        } else {
            self.hosts.next()
        }
    }
}

/// A match with what it puts into the scope.
struct Found<'py> {
    is_full: bool,
    child: Child<'py>,
}

enum Child<'py> {
    Route { path_params: Bound<'py, PyDict>, endpoint: Bound<'py, PyAny> },
    Mount { path_params: Bound<'py, PyDict>, app_root_path: Bound<'py, PyAny>, root_path: Bound<'py, PyAny>, app: Bound<'py, PyAny> },
    Host { path_params: Bound<'py, PyDict>, app: Bound<'py, PyAny> },
    Asked(Bound<'py, PyAny>),
}

impl<'py> Found<'py> {
    /// Fills the scope, and gives what to call with it.
    fn win(self, scope: &Bound<'py, PyDict>, entry: &Entry) -> PyResult<Bound<'py, PyAny>> {
        let py = scope.py();
        let route = entry.route.bind(py);
        scope.set_item(intern!(py, "route"), route)?;
        let mut app = None;
        match self.child {
            Child::Route { path_params, endpoint } => {
                scope.set_item(intern!(py, "endpoint"), endpoint)?;
                scope.set_item(intern!(py, "path_params"), path_params)?;
            }
            Child::Mount { path_params, app_root_path, root_path, app: endpoint } => {
                scope.set_item(intern!(py, "path_params"), path_params)?;
                scope.set_item(intern!(py, "app_root_path"), app_root_path)?;
                scope.set_item(intern!(py, "root_path"), root_path)?;
                scope.set_item(intern!(py, "endpoint"), &endpoint)?;
                app = Some(endpoint);
            }
            Child::Host { path_params, app: endpoint } => {
                scope.set_item(intern!(py, "path_params"), path_params)?;
                scope.set_item(intern!(py, "endpoint"), &endpoint)?;
                app = Some(endpoint);
            }
            Child::Asked(child) => {
                scope.call_method1(intern!(py, "update"), (child,))?;
            }
        }
        match app {
            _ if !(entry.is_direct && self.is_full) => route.getattr(intern!(py, "handle")),
            Some(app) => Ok(app),
            None => route.getattr(intern!(py, "app")),
        }
    }
}

/// A request under way, with what has been read of it so far.
struct Request<'a, 'py> {
    scope: &'a Bound<'py, PyDict>,
    protocol: Protocol,
    subject: &'a Subject<'a, 'py>,
    root: &'a Bound<'py, PyAny>,
    method: Option<Bound<'py, PyAny>>,
    host: Option<Option<String>>,
}

impl<'py> Request<'_, 'py> {
    fn try_entry(&mut self, entry: &Entry, spans: &mut Spans, has_partial: bool) -> PyResult<Option<Found<'py>>> {
        match (entry.kind, &entry.pattern) {
            (Kind::Http, Some(pattern)) if self.protocol == Protocol::Http => {
                let is_full = self.allows(entry)?;
                // A second partial match would be dropped; what it costs shows only where Python converts.
                if !is_full && has_partial && pattern.get().is_stock() {
                    return Ok(None);
                }
                let child = self.try_route(entry, pattern.get(), spans)?;
                Ok(child.map(|child| Found { is_full, child }))
            }
            (Kind::WebSocket, Some(pattern)) if self.protocol == Protocol::WebSocket => {
                let child = self.try_route(entry, pattern.get(), spans)?;
                Ok(child.map(|child| Found { is_full: true, child }))
            }
            (Kind::Mount, Some(pattern)) => {
                let child = self.try_mount(entry, pattern.get(), spans)?;
                Ok(child.map(|child| Found { is_full: true, child }))
            }
            (Kind::Host, Some(pattern)) => {
                let child = self.try_host(entry, pattern.get(), spans)?;
                Ok(child.map(|child| Found { is_full: true, child }))
            }
            (Kind::Opaque, _) => ask_route(self.scope, entry),
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
        let Some(values) = values else { return Ok(None) };
        let rest = required(&values, key)?.cast_into::<PyString>()?;
        values.del_item(key)?;
        let rest_length = Text::of(&rest)?.bytes().len();
        let path_params = path_params(self.scope)?;
        path_params.update(values.as_mapping())?;
        // What was matched, without the slash before the rest.
        let subject = self.subject;
        let end = subject.text.bytes().len().saturating_sub(rest_length + 1).max(subject.start);
        let matched = subject.text.slice(py, subject.start..end)?;
        let root_path = self.root.add(matched)?;
        let app_root_path = self.scope.get_item(intern!(py, "app_root_path"))?.unwrap_or_else(|| self.root.clone());
        let app = entry.route.bind(py).getattr(intern!(py, "app"))?;
        Ok(Some(Child::Mount { path_params, app_root_path, root_path, app }))
    }

    fn try_host(&mut self, entry: &Entry, pattern: &PathPattern, spans: &mut Spans) -> PyResult<Option<Child<'py>>> {
        let py = self.scope.py();
        let Some(host) = self.host()? else { return Ok(None) };
        let string = PyString::new(py, host);
        let subject = Subject { text: Text::of(&string)?, start: 0, string: &string };
        let Some(path_params) = pattern.find(py, &subject, spans, || path_params(self.scope))? else {
            return Ok(None);
        };
        let app = entry.route.bind(py).getattr(intern!(py, "app"))?;
        Ok(Some(Child::Host { path_params, app }))
    }

    /// Whether the route is for the request's method.
    fn allows(&mut self, entry: &Entry) -> PyResult<bool> {
        let py = self.scope.py();
        let Some(methods) = entry.methods.as_ref().map(|methods| methods.bind(py)) else { return Ok(true) };
        if !methods.is_truthy()? {
            return Ok(true);
        }
        let method = match &self.method {
            Some(method) => method,
            None => self.method.insert(required(self.scope, intern!(py, "method"))?),
        };
        methods.contains(method)
    }

    /// The host the request names, read once.
    fn host(&mut self) -> PyResult<Option<&str>> {
        if self.host.is_none() {
            self.host = Some(host_name(self.scope)?);
        }
        Ok(self.host.as_ref().and_then(Option::as_deref))
    }
}

/// What the route's own `matches` says.
fn ask_route<'py>(scope: &Bound<'py, PyDict>, entry: &Entry) -> PyResult<Option<Found<'py>>> {
    let py = scope.py();
    let answer = entry.route.bind(py).call_method1(intern!(py, "matches"), (scope,))?;
    let (verdict, child) = match answer.cast::<PyTuple>() {
        Ok(answer) => answer.extract()?,
        Err(_) => py.get_type::<PyTuple>().call1((answer,))?.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?,
    };
    Ok(match level(&verdict)? {
        2 => Some(Found { is_full: true, child: Child::Asked(child) }),
        1 => Some(Found { is_full: false, child: Child::Asked(child) }),
        _ => None,
    })
}

/// The value of a `Match` member: 0 none, 1 partial, 2 full.
fn level(verdict: &Bound<'_, PyAny>) -> PyResult<i64> {
    static NONE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = verdict.py();
    // Most answers are no: known by identity, without asking the enum for its value.
    let none = NONE.get_or_try_init(py, || {
        let members = py.import("pallasite.routing")?.getattr("Match")?;
        PyResult::Ok(members.getattr("NONE")?.unbind())
    });
    if none.is_ok_and(|none| verdict.is(none)) {
        return Ok(0);
    }
    verdict.getattr(intern!(py, "value"))?.extract()
}

/// Whether `earlier` takes every request that the later entry could get by its type and method.
fn answers_all_of(py: Python<'_>, earlier: &Entry, later: &Entry) -> PyResult<bool> {
    match (earlier.kind, later.kind) {
        (Kind::Mount, _) | (Kind::WebSocket, Kind::WebSocket) => Ok(true),
        (Kind::Http, Kind::Http) => {
            let methods = |entry: &Entry| -> PyResult<Option<Py<PyAny>>> {
                let Some(methods) = &entry.methods else { return Ok(None) };
                Ok(if methods.bind(py).is_truthy()? { Some(methods.clone_ref(py)) } else { None })
            };
            match (methods(earlier)?, methods(later)?) {
                (None, _) => Ok(true),
                (Some(_), None) => Ok(false),
                (Some(earlier), Some(later)) => {
                    for method in later.bind(py).try_iter()? {
                        if !earlier.bind(py).contains(method?)? {
                            return Ok(false);
                        }
                    }
                    Ok(true)
                }
            }
        }
        _ => Ok(false),
    }
}
