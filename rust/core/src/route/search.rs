//! The search of a tree: best first, so that routes come out in declaration order.

use std::collections::BinaryHeap;

use super::Tree;
use super::tree::{Key, NONE, Node, SEGMENT_KINDS, Way};
use crate::scan;

/// The offset of a search that has passed the last segment.
const PAST_END: usize = usize::MAX;

/// Branches a search holds before it allocates.
const INLINE_BRANCHES: usize = 4;

/// A search under way: an iterator over route numbers, ascending.
#[derive(Debug)]
pub struct Search<'a> {
    tree: &'a Tree,
    text: &'a [u8],
    queue: Queue,
    steps: usize,
}

impl<'a> Search<'a> {
    /// A search from offset `at` of the text on; `None` finds nothing.
    pub(super) fn new(tree: &'a Tree, text: &'a [u8], at: Option<usize>) -> Self {
        let mut search = Self {
            tree,
            text,
            queue: Queue::default(),
            steps: 0,
        };
        if let Some(at) = at {
            search.queue_node(0, at);
        }
        search
    }

    /// What the search has cost so far: branches followed and lookups made.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Queues every way on from node `number` that the text at `at` allows.
    fn expand(&mut self, number: u32, at: usize) {
        let tree = self.tree;
        let Some(node) = tree.nodes.get(number as usize) else {
            return;
        };
        if at == PAST_END {
            self.queue_list(node.routes);
            return;
        }
        let rest = self.text.get(at..).unwrap_or_default();
        let (segment, next) = match scan::find(b'/', rest) {
            Some(slash) => (rest.get(..slash).unwrap_or_default(), at + slash + 1),
            None => (rest, PAST_END),
        };
        if node.has_literals && segment.len() <= node.longest_literal as usize {
            self.follow(
                Key {
                    node: number,
                    way: Way::Literal,
                    start: segment,
                    end: b"",
                },
                next,
            );
        }
        for (kind, child) in SEGMENT_KINDS.iter().zip(node.parameters) {
            if child != NONE && kind.accepts(segment) {
                self.queue_node(child, next);
            }
        }
        let mut at_shape = node.shapes;
        while let Some(shape) = tree.shapes.get(at_shape as usize) {
            let text = if shape.way == Way::Tail { rest } else { segment };
            if let Some((start, end)) = ends(text, shape.start as usize, shape.end as usize) {
                self.follow(
                    Key {
                        node: number,
                        way: shape.way,
                        start,
                        end,
                    },
                    next,
                );
            }
            at_shape = shape.next;
        }
    }

    fn follow(&mut self, key: Key<'a>, next: usize) {
        self.steps += 1;
        match self.tree.lookup(&key) {
            Some(head) if key.way == Way::Tail => self.queue_list(head),
            Some(child) => self.queue_node(child, next),
            None => {}
        }
    }

    fn queue_node(&mut self, node: u32, at: usize) {
        if let Some(Node { first, .. }) = self.tree.nodes.get(node as usize) {
            self.queue.push(Branch {
                first: *first,
                node,
                at,
            });
        }
    }

    fn queue_list(&mut self, head: u32) {
        if head != NONE {
            self.queue.push(Branch {
                first: head,
                node: NONE,
                at: 0,
            });
        }
    }
}

impl Iterator for Search<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        loop {
            let branch = self.queue.pop()?;
            self.steps += 1;
            if branch.node != NONE {
                self.expand(branch.node, branch.at);
                continue;
            }
            let next = self.tree.next_route.get(branch.first as usize).copied().unwrap_or(NONE);
            self.queue_list(next);
            return Some(branch.first as usize);
        }
    }
}

/// A place where a search can go on: a node, or (`node` is `NONE`) the list of routes that starts at `first`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Branch {
    /// No route of this branch is smaller.
    first: u32,
    node: u32,
    at: usize,
}

impl Ord for Branch {
    /// The greatest, which a heap gives first, is the one with the smallest route.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.first.cmp(&self.first)
    }
}

impl PartialOrd for Branch {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Branches, smallest route first: a short sorted array, and a heap for what does not fit.
#[derive(Debug, Default)]
struct Queue {
    /// Descending, so that the smallest is the last.
    few: [Branch; INLINE_BRANCHES],
    length: usize,
    more: BinaryHeap<Branch>,
}

impl Queue {
    fn push(&mut self, branch: Branch) {
        if self.length == INLINE_BRANCHES {
            self.more.push(branch);
            return;
        }
        let mut place = self.length;
        while let Some(before) = place.checked_sub(1) {
            match self.few.get(before) {
                Some(other) if other.first < branch.first => self.few.copy_within(before..=before, place),
                _ => break,
            }
            place = before;
        }
        if let Some(slot) = self.few.get_mut(place) {
            *slot = branch;
        }
        self.length += 1;
    }

    fn pop(&mut self) -> Option<Branch> {
        let last = self.length.checked_sub(1).and_then(|last| self.few.get(last));
        match (last, self.more.peek()) {
            (Some(branch), Some(other)) if other.first < branch.first => self.more.pop(),
            (Some(branch), _) => {
                self.length -= 1;
                Some(*branch)
            }
            (None, _) => self.more.pop(),
        }
    }
}

/// The first `start` and the last `end` bytes of `text`, unless they overlap.
fn ends(text: &[u8], start: usize, end: usize) -> Option<(&[u8], &[u8])> {
    let (start, rest) = text.split_at_checked(start)?;
    let end = rest.get(rest.len().checked_sub(end)?..)?;
    Some((start, end))
}
