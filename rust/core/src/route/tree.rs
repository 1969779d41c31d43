//! Many patterns, searched by the text: candidates in declaration order, one at a time.
//!
//! A trie over the segments of a path. A node's way on is a literal segment (one lookup in a hash table, however many
//! siblings there are), a whole-segment parameter, or what begins and ends with known text (`/{a}-{b}.json`, and tails:
//! all that follows a `{x:path}` or a custom convertor), again one lookup for each pair of lengths in use. The search is
//! best first: every node knows the smallest route below it, so what comes out is in declaration order, and what lies
//! behind the first accepted route is never looked at.
//!
//! A candidate is not yet a match: [`Pattern::find`](super::Pattern::find) has the last word.

use std::error::Error;
use std::fmt;

use super::segments::{Segment, Segments};
use super::{Element, Kind, Pattern, Search};
use crate::scan;

/// No route, no node, no entry.
pub(super) const NONE: u32 = u32::MAX;

/// Whole-segment kinds in the order of [`Node::parameters`].
pub(super) const SEGMENT_KINDS: [Kind; 4] = [Kind::Str, Kind::Int, Kind::Float, Kind::Uuid];

/// More routes (or more text in them) than 32-bit numbers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TooManyRoutes;

impl TooManyRoutes {
    /// A name for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        "too_many_routes"
    }
}

impl fmt::Display for TooManyRoutes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("too many routes for one table")
    }
}

impl Error for TooManyRoutes {}

/// What a key of the hash table leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A literal segment: to a node.
    Literal,
    /// A segment with this start and end: to a node.
    Mixed,
    /// All of the rest with this start and end: to a list of routes.
    Tail,
}

#[derive(Debug)]
pub(super) struct Node {
    /// The smallest route in this node and below it.
    pub(super) first: u32,
    /// The routes that end here: the head of a list through `Tree::next_route`.
    pub(super) routes: u32,
    /// Children by whole-segment kind.
    pub(super) parameters: [u32; 4],
    /// The lengths in use for `Way::Mixed` and `Way::Tail` from here: the head of a list through `Shape::next`.
    pub(super) shapes: u32,
    /// The longest literal segment below, so that a longer one is not even hashed.
    pub(super) longest_literal: u32,
    pub(super) has_literals: bool,
}

/// One pair of lengths of known text at the start and the end of what follows a node.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) way: Way,
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) next: u32,
}

/// A key of the hash table with what it leads to. Its text is `Tree::text[at..at + length]`.
#[derive(Debug)]
struct Entry {
    node: u32,
    way: Way,
    /// How much of the text is the start; the rest is the end.
    start: u32,
    at: u32,
    length: u32,
    target: u32,
}

/// Patterns, ready to be searched.
#[derive(Debug)]
pub struct Tree {
    pub(super) nodes: Vec<Node>,
    pub(super) shapes: Vec<Shape>,
    entries: Vec<Entry>,
    /// Open addressing with linear probing: indexes into `entries`; a power of two, at most half full.
    slots: Vec<u32>,
    text: Vec<u8>,
    /// By route: the next one in its list.
    pub(super) next_route: Vec<u32>,
    /// By the head of a list: its last route. Only while building.
    last_route: Vec<u32>,
}

/// A way from one node, as the pattern that is being added spells it.
pub(super) struct Key<'a> {
    pub(super) node: u32,
    pub(super) way: Way,
    pub(super) start: &'a [u8],
    pub(super) end: &'a [u8],
}

impl Key<'_> {
    fn hash(&self) -> u64 {
        let seed = u64::from(self.node) << 8 | self.way as u64;
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
    /// [`TooManyRoutes`] where a count or a route number does not fit in 32 bits.
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
    pub fn search<'a>(&'a self, text: &'a [u8]) -> Search<'a> {
        // A path starts with a slash, or nothing matches.
        Search::new(self, text, (text.first() == Some(&b'/')).then_some(1))
    }

    /// Starts a search for the hosts that may match `text`, which is lowercase and without slashes.
    pub fn search_host<'a>(&'a self, text: &'a [u8]) -> Search<'a> {
        Search::new(self, text, Some(0))
    }

    fn add(&mut self, route: u32, pattern: &Pattern) -> Result<(), TooManyRoutes> {
        let elements = pattern.elements();
        let mut node = 0;
        self.lower(node, route);
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
        let head = self.nodes.get(node as usize).map_or(NONE, |node| node.routes);
        let head = self.append(head, route);
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.routes = head;
        }
        Ok(())
    }

    /// Routes come in ascending order, so only the first one counts.
    fn lower(&mut self, node: u32, route: u32) {
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.first = node.first.min(route);
        }
    }

    fn new_node(&mut self, first: u32) -> Result<u32, TooManyRoutes> {
        let number = count(self.nodes.len())?;
        self.nodes.push(Node {
            first,
            routes: NONE,
            parameters: [NONE; 4],
            shapes: NONE,
            longest_literal: 0,
            has_literals: false,
        });
        Ok(number)
    }

    fn parameter_child(&mut self, node: u32, kind: Kind, route: u32) -> Result<u32, TooManyRoutes> {
        let slot = SEGMENT_KINDS
            .iter()
            .position(|known| *known == kind)
            .unwrap_or_default();
        let known = self.nodes.get(node as usize).and_then(|node| node.parameters.get(slot));
        if let Some(&child) = known.filter(|child| **child != NONE) {
            return Ok(child);
        }
        let child = self.new_node(route)?;
        if let Some(slot) = self
            .nodes
            .get_mut(node as usize)
            .and_then(|node| node.parameters.get_mut(slot))
        {
            *slot = child;
        }
        Ok(child)
    }

    fn child(&mut self, key: Key<'_>, route: u32) -> Result<u32, TooManyRoutes> {
        if let Some(child) = self.lookup(&key) {
            return Ok(child);
        }
        let child = self.new_node(route)?;
        self.insert(&key, child)?;
        Ok(child)
    }

    fn add_tail(&mut self, key: Key<'_>, route: u32) -> Result<(), TooManyRoutes> {
        match self.lookup(&key) {
            Some(head) => {
                self.append(head, route);
                Ok(())
            }
            None => {
                self.append(NONE, route);
                self.insert(&key, route)
            }
        }
    }

    /// Puts a route at the end of the list that starts at `head`, and gives the head back.
    fn append(&mut self, head: u32, route: u32) -> u32 {
        let head = if head == NONE { route } else { head };
        let last = self.last_route.get(head as usize).copied().unwrap_or(NONE);
        if let Some(next) = self.next_route.get_mut(last as usize) {
            *next = route;
        }
        if let Some(last) = self.last_route.get_mut(head as usize) {
            *last = route;
        }
        head
    }

    pub(super) fn lookup(&self, key: &Key<'_>) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut slot = key.hash() as usize & mask;
        loop {
            scan::count(1);
            let entry = self.entries.get(*self.slots.get(slot)? as usize)?;
            if self.is_key(entry, key) {
                return Some(entry.target);
            }
            slot = (slot + 1) & mask;
        }
    }

    fn is_key(&self, entry: &Entry, key: &Key<'_>) -> bool {
        let length = key.start.len() + key.end.len();
        if entry.node != key.node || entry.way != key.way || entry.length as usize != length {
            return false;
        }
        let text = self
            .text
            .get(entry.at as usize..)
            .and_then(|text| text.get(..length))
            .unwrap_or_default();
        if key.end.is_empty() {
            return entry.start as usize == length && text == key.start;
        }
        entry.start as usize == key.start.len() && text.starts_with(key.start) && text.ends_with(key.end)
    }

    /// Adds a key that is not there yet.
    fn insert(&mut self, key: &Key<'_>, target: u32) -> Result<(), TooManyRoutes> {
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

    /// Tells the key's node what to look up.
    fn note(&mut self, key: &Key<'_>, start: u32) -> Result<(), TooManyRoutes> {
        let Some(node) = self.nodes.get_mut(key.node as usize) else {
            return Ok(());
        };
        if key.way == Way::Literal {
            node.has_literals = true;
            node.longest_literal = node.longest_literal.max(start);
            return Ok(());
        }
        let end = count(key.end.len())?;
        let mut at = node.shapes;
        while let Some(shape) = self.shapes.get(at as usize) {
            if (shape.way, shape.start, shape.end) == (key.way, start, end) {
                return Ok(());
            }
            at = shape.next;
        }
        let number = count(self.shapes.len())?;
        self.shapes.push(Shape {
            way: key.way,
            start,
            end,
            next: node.shapes,
        });
        node.shapes = number;
        Ok(())
    }

    fn grow(&mut self) {
        let mut slots = vec![NONE; self.slots.len() * 2];
        for (number, entry) in (0..).zip(&self.entries) {
            let text = self
                .text
                .get(entry.at as usize..)
                .and_then(|text| text.get(..entry.length as usize));
            let Some((start, end)) = text.and_then(|text| text.split_at_checked(entry.start as usize)) else {
                continue;
            };
            place(
                &mut slots,
                Key {
                    node: entry.node,
                    way: entry.way,
                    start,
                    end,
                }
                .hash(),
                number,
            );
        }
        self.slots = slots;
    }
}

/// The text of an element that has one.
fn literal(element: Option<&Element>) -> &[u8] {
    match element {
        Some(Element::Literal(text)) => text,
        _ => b"",
    }
}

fn place(slots: &mut [u32], hash: u64, number: u32) {
    let mask = slots.len() - 1;
    let mut at = hash as usize & mask;
    while let Some(slot) = slots.get_mut(at) {
        if *slot == NONE {
            *slot = number;
            return;
        }
        at = (at + 1) & mask;
    }
}

/// As a 32-bit number that is not [`NONE`].
fn count(number: usize) -> Result<u32, TooManyRoutes> {
    u32::try_from(number)
        .ok()
        .filter(|number| *number != NONE)
        .ok_or(TooManyRoutes)
}

/// A hash for keys that only the developer chooses (clients look up, they never insert): no defence against crafted keys.
fn hash_bytes(seed: u64, text: &[u8]) -> u64 {
    scan::count(text.len());
    let mut hash = seed ^ text.len() as u64;
    let (words, rest) = text.as_chunks::<8>();
    for word in words {
        hash = mix(hash ^ u64::from_le_bytes(*word));
    }
    // The last eight bytes once more, in place of a loop over those that are left.
    let last = match text.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last),
        None => rest.iter().fold(0, |last, byte| last << 8 | u64::from(*byte)),
    };
    mix(hash ^ last)
}

/// Multiplies to twice the width and folds the halves together.
fn mix(value: u64) -> u64 {
    let product = u128::from(value ^ 0x2d35_8dcc_aa6c_78a5) * 0x9e37_79b9_7f4a_7c15;
    (product >> 64) as u64 ^ product as u64
}
