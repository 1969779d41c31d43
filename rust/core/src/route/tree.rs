//! Many patterns, searched by the text: candidates in declaration order, one at a time.
//!
//! A trie over the segments of a path. The ways from a node are literal segments (one lookup in a hash table,
//! regardless of the number of siblings), parameters that are a whole segment, and texts with a known start and end
//! (`/{a}-{b}.json`, and tails: all the text from a `{x:path}` or a custom convertor on), again with one lookup for
//! each pair of lengths in use. The search is best first: every node knows the smallest route below it, so candidates
//! are in declaration order, and those after the first accepted route are never examined.
//!
//! A candidate need not match: [`Pattern::find`](super::Pattern::find) decides.

use std::error::Error;
use std::fmt;
use std::num::NonZeroU32;

use super::segments::{Segment, Segments};
use super::{Element, Kind, Pattern, Search};
use crate::scan;

/// No route, no shape, no entry.
pub(super) const NONE: u32 = u32::MAX;

/// Whole-segment kinds in the order of [`Node::parameters`].
pub(super) const SEGMENT_KINDS: [Kind; 4] = [Kind::Str, Kind::Int, Kind::Float, Kind::Uuid];

/// There are more routes, or more bytes of text in them, than 32-bit numbers can count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TooManyRoutes;

impl TooManyRoutes {
    /// The name of the error, for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        "too_many_routes"
    }
}

impl fmt::Display for TooManyRoutes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("too many routes for one table; group them in mounts")
    }
}

impl Error for TooManyRoutes {}

const NODE_EXISTS: &str = "a node is pushed before its number is used, and none is removed";
const ROUTE_EXISTS: &str = "both lists are extended to the largest route before it is added";

/// The kind of a key of the hash table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A literal segment: to a node.
    Literal,
    /// A segment with this start and end: to a node.
    Mixed,
    /// All of the rest with this start and end: to a list of routes.
    Tail,
}

/// The number of a node, counted from 1, so that `Option<NodeId>` takes no more space. Created by `Tree::new_node`
/// only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(NonZeroU32);

impl NodeId {
    /// The first node, which every tree has.
    pub(super) const ROOT: Self = Self(NonZeroU32::MIN);

    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// The target of a key of the hash table.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    Node(NodeId),
    /// The head of a list of routes.
    Routes(u32),
}

#[derive(Debug)]
pub(super) struct Node {
    /// The smallest route in this node and below it.
    pub(super) first: u32,
    /// The routes that end here: the head of a list through `Tree::next_route`.
    pub(super) routes: u32,
    /// Children by whole-segment kind.
    pub(super) parameters: [Option<NodeId>; 4],
    /// The lengths in use for `Way::Mixed` and `Way::Tail` from here: the head of a list through `Shape::next`.
    pub(super) shapes: u32,
    /// The length of the longest literal segment below, so that longer ones are not hashed.
    pub(super) longest_literal: u32,
    pub(super) has_literals: bool,
}

/// The lengths of the known text at the start and the end of a way from a node.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) way: Way,
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) next: u32,
}

/// A key of the hash table with its target. Its text is `Tree::text[at..at + length]`.
#[derive(Debug)]
struct Entry {
    node: NodeId,
    way: Way,
    /// The length of the start; the rest of the text is the end.
    start: u32,
    at: u32,
    length: u32,
    target: Target,
}

/// Patterns, indexed for search.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    shapes: Vec<Shape>,
    entries: Vec<Entry>,
    /// Open addressing with linear probing: indexes into `entries`; a power of two, at most half full.
    slots: Vec<u32>,
    text: Vec<u8>,
    /// For each route: the next one in its list.
    next_route: Vec<u32>,
    /// For the head of each list: its last route. Used only while building.
    last_route: Vec<u32>,
}

/// A key for a lookup: a way from one node, with borrowed text.
pub(super) struct Key<'a> {
    pub(super) node: NodeId,
    pub(super) way: Way,
    pub(super) start: &'a [u8],
    pub(super) end: &'a [u8],
}

impl Key<'_> {
    fn hash(&self) -> u64 {
        let seed = u64::from(self.node.0.get()) << 8 | self.way as u64;
        let hash = hash_bytes(mix(seed), self.start);
        if self.way == Way::Literal {
            hash
        } else {
            hash_bytes(hash, self.end)
        }
    }
}

impl Tree {
    /// Builds the tree of `patterns`, given with their route numbers in ascending order. Linear in their text.
    ///
    /// # Errors
    /// [`TooManyRoutes`] if a count or a route number does not fit in 32 bits.
    pub fn build<'a>(patterns: impl IntoIterator<Item = (usize, &'a Pattern)>) -> Result<Self, TooManyRoutes> {
        let mut tree = Self {
            nodes: Vec::new(),
            shapes: Vec::new(),
            entries: Vec::new(),
            slots: vec![NONE; 16],
            text: Vec::new(),
            next_route: Vec::new(),
            last_route: Vec::new(),
        };
        tree.new_node(NONE)?;
        for (route, pattern) in patterns {
            let route = count(route)?;
            tree.next_route.resize(route as usize + 1, NONE);
            tree.last_route.resize(route as usize + 1, NONE);
            tree.add(route, pattern)?;
        }
        tree.last_route = Vec::new();
        tree.nodes.shrink_to_fit();
        tree.entries.shrink_to_fit();
        tree.text.shrink_to_fit();
        Ok(tree)
    }

    /// Starts a search for the routes that may match the path `text`.
    #[must_use]
    pub fn search<'a>(&'a self, text: &'a [u8]) -> Search<'a> {
        // Without a leading slash, nothing matches.
        Search::new(self, text, (text.first() == Some(&b'/')).then_some(1))
    }

    /// Starts a search for the hosts that may match `text`, which is lowercase and without slashes.
    #[must_use]
    pub fn search_host<'a>(&'a self, text: &'a [u8]) -> Search<'a> {
        Search::new(self, text, Some(0))
    }

    /// The node with a number.
    pub(super) fn node(&self, id: NodeId) -> &Node {
        self.nodes.get(id.index()).expect(NODE_EXISTS)
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(id.index()).expect(NODE_EXISTS)
    }

    /// The shapes in a list, from its head on.
    pub(super) fn shapes_from(&self, head: u32) -> impl Iterator<Item = &Shape> {
        let mut at = head;
        std::iter::from_fn(move || {
            if at == NONE {
                return None;
            }
            let shape = self
                .shapes
                .get(at as usize)
                .expect("lists link shapes that were pushed");
            at = shape.next;
            Some(shape)
        })
    }

    /// The route after `route` in its list, or `NONE`.
    pub(super) fn route_after(&self, route: u32) -> u32 {
        *self.next_route.get(route as usize).expect(ROUTE_EXISTS)
    }

    fn add(&mut self, route: u32, pattern: &Pattern) -> Result<(), TooManyRoutes> {
        let elements = pattern.elements();
        let mut node = NodeId::ROOT;
        // Routes are added in ascending order, so only the first one changes this.
        let root = self.node_mut(node);
        root.first = root.first.min(route);
        if pattern.is_host() && pattern.as_literal().is_none() {
            let start = literal(elements.first());
            let end = literal(elements.last());
            return self.add_tail(
                Key {
                    node,
                    way: Way::Tail,
                    start,
                    end,
                },
                route,
            );
        }
        for segment in Segments::of(elements, pattern.is_host()) {
            let (way, start, end) = match segment {
                Segment::Parameter(kind) => {
                    node = self.parameter_child(node, kind, route)?;
                    continue;
                }
                Segment::Tail { start } => {
                    let end = literal(elements.last());
                    return self.add_tail(
                        Key {
                            node,
                            way: Way::Tail,
                            start,
                            end,
                        },
                        route,
                    );
                }
                Segment::Literal(text) => (Way::Literal, text, &b""[..]),
                Segment::Mixed { start, end } => (Way::Mixed, start, end),
            };
            node = self.child(Key { node, way, start, end }, route)?;
        }
        let head = self.append(self.node(node).routes, route);
        self.node_mut(node).routes = head;
        Ok(())
    }

    fn new_node(&mut self, first: u32) -> Result<NodeId, TooManyRoutes> {
        let number = count(self.nodes.len() + 1)?;
        self.nodes.push(Node {
            first,
            routes: NONE,
            parameters: [None; 4],
            shapes: NONE,
            longest_literal: 0,
            has_literals: false,
        });
        NonZeroU32::new(number).map(NodeId).ok_or(TooManyRoutes)
    }

    fn parameter_child(&mut self, node: NodeId, kind: Kind, route: u32) -> Result<NodeId, TooManyRoutes> {
        let slot = SEGMENT_KINDS
            .iter()
            .position(|known| *known == kind)
            .expect("parameters of other kinds are tails");
        if let Some(child) = self.node(node).parameters[slot] {
            return Ok(child);
        }
        let child = self.new_node(route)?;
        self.node_mut(node).parameters[slot] = Some(child);
        Ok(child)
    }

    fn child(&mut self, key: Key<'_>, route: u32) -> Result<NodeId, TooManyRoutes> {
        if let Some(Target::Node(child)) = self.lookup(&key) {
            return Ok(child);
        }
        let child = self.new_node(route)?;
        self.insert(&key, Target::Node(child))?;
        Ok(child)
    }

    fn add_tail(&mut self, key: Key<'_>, route: u32) -> Result<(), TooManyRoutes> {
        if let Some(Target::Routes(head)) = self.lookup(&key) {
            self.append(head, route);
            return Ok(());
        }
        self.append(NONE, route);
        self.insert(&key, Target::Routes(route))
    }

    /// Puts a route at the end of the list that starts at `head`, and returns the head.
    fn append(&mut self, head: u32, route: u32) -> u32 {
        let is_first = head == NONE;
        let head = if is_first { route } else { head };
        let last = self.last_route.get_mut(head as usize).expect(ROUTE_EXISTS);
        if !is_first {
            *self.next_route.get_mut(*last as usize).expect(ROUTE_EXISTS) = route;
        }
        *last = route;
        head
    }

    pub(super) fn lookup(&self, key: &Key<'_>) -> Option<Target> {
        let mask = self.slots.len() - 1;
        let mut slot = key.hash() as usize & mask;
        loop {
            scan::count(1);
            let number = *self.slots.get(slot).expect("the mask keeps it below the length");
            if number == NONE {
                return None;
            }
            let entry = self.entries.get(number as usize).expect("slots number entries");
            if self.is_key(entry, key) {
                return Some(entry.target);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// The text of the key of an entry: its start, followed by its end.
    fn text_of(&self, entry: &Entry) -> &[u8] {
        let text = self.text.get(entry.at as usize..);
        text.and_then(|text| text.get(..entry.length as usize))
            .expect("an entry's text was appended before the entry")
    }

    fn is_key(&self, entry: &Entry, key: &Key<'_>) -> bool {
        let length = key.start.len() + key.end.len();
        if entry.node != key.node || entry.way != key.way || entry.length as usize != length {
            return false;
        }
        let text = self.text_of(entry);
        if key.end.is_empty() {
            return entry.start as usize == length && text == key.start;
        }
        entry.start as usize == key.start.len() && text.starts_with(key.start) && text.ends_with(key.end)
    }

    /// Adds a key that is not there yet.
    fn insert(&mut self, key: &Key<'_>, target: Target) -> Result<(), TooManyRoutes> {
        let entry = Entry {
            node: key.node,
            way: key.way,
            start: count(key.start.len())?,
            at: count(self.text.len())?,
            length: count(key.start.len() + key.end.len())?,
            target,
        };
        self.text.extend_from_slice(key.start);
        self.text.extend_from_slice(key.end);
        self.note(key, entry.start)?;
        let number = count(self.entries.len())?;
        self.entries.push(entry);
        if self.entries.len() * 2 > self.slots.len() {
            self.grow();
        } else {
            place(&mut self.slots, key.hash(), number);
        }
        Ok(())
    }

    /// Records in the node of the key which lookups are needed.
    fn note(&mut self, key: &Key<'_>, start: u32) -> Result<(), TooManyRoutes> {
        let node = self.node_mut(key.node);
        if key.way == Way::Literal {
            node.has_literals = true;
            node.longest_literal = node.longest_literal.max(start);
            return Ok(());
        }
        let head = node.shapes;
        let end = count(key.end.len())?;
        let is_known = |shape: &Shape| (shape.way, shape.start, shape.end) == (key.way, start, end);
        if self.shapes_from(head).any(is_known) {
            return Ok(());
        }
        let number = count(self.shapes.len())?;
        self.shapes.push(Shape {
            way: key.way,
            start,
            end,
            next: head,
        });
        self.node_mut(key.node).shapes = number;
        Ok(())
    }

    fn grow(&mut self) {
        let mut slots = vec![NONE; self.slots.len() * 2];
        for (number, entry) in (0..).zip(&self.entries) {
            let (start, end) = self.text_of(entry).split_at(entry.start as usize);
            let key = Key {
                node: entry.node,
                way: entry.way,
                start,
                end,
            };
            place(&mut slots, key.hash(), number);
        }
        self.slots = slots;
    }
}

/// The text of a literal element, otherwise empty.
fn literal(element: Option<&Element>) -> &[u8] {
    match element {
        Some(Element::Literal(text)) => text,
        _ => b"",
    }
}

fn place(slots: &mut [u32], hash: u64, number: u32) {
    let mask = slots.len() - 1;
    let mut at = hash as usize & mask;
    loop {
        let slot = slots.get_mut(at).expect("the mask keeps it below the length");
        if *slot == NONE {
            *slot = number;
            return;
        }
        at = (at + 1) & mask;
    }
}

/// Converts to a 32-bit number that is not [`NONE`].
fn count(number: usize) -> Result<u32, TooManyRoutes> {
    u32::try_from(number)
        .ok()
        .filter(|number| *number != NONE)
        .ok_or(TooManyRoutes)
}

/// A hash for keys that only the developer chooses. Clients never insert keys, so it need not resist crafted ones.
fn hash_bytes(seed: u64, text: &[u8]) -> u64 {
    scan::count(text.len());
    let mut hash = seed ^ text.len() as u64;
    let (words, rest) = text.as_chunks::<8>();
    for word in words {
        hash = mix(hash ^ u64::from_le_bytes(*word));
    }
    // The last eight bytes again, instead of a loop over the rest.
    let last = match text.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last),
        None => rest.iter().fold(0, |last, byte| last << 8 | u64::from(*byte)),
    };
    mix(hash ^ last)
}

/// Multiplies to twice the width and combines the halves.
fn mix(value: u64) -> u64 {
    let product = u128::from(value ^ 0x2d35_8dcc_aa6c_78a5) * 0x9e37_79b9_7f4a_7c15;
    (product >> 64) as u64 ^ product as u64
}
