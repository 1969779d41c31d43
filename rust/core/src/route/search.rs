//! The search of a tree: best first, so that routes are found in declaration order.

use std::collections::BinaryHeap;

use super::Tree;
use super::tree::{Key, NONE, NodeId, SEGMENT_KINDS, Target, Way};
use crate::scan;

/// The offset of a search that is past the last segment.
const PAST_END: usize = usize::MAX;

/// Branches that a search holds without an allocation.
const INLINE_BRANCHES: usize = 4;

/// A running search: an iterator over route numbers in ascending order.
#[derive(Debug)]
pub struct Search<'a> {
    tree: &'a Tree,
    text: &'a [u8],
    queue: Queue,
    steps: usize,
}

impl<'a> Search<'a> {
    /// A search that starts at offset `at` of the text; None finds nothing.
    pub(super) fn new(tree: &'a Tree, text: &'a [u8], at: Option<usize>) -> Self {
        let mut search = Self {
            tree,
            text,
            queue: Queue::default(),
            steps: 0,
        };
        if let Some(at) = at {
            search.queue_node(NodeId::ROOT, at);
        }
        search
    }

    /// The cost of the search so far: branches followed and lookups made.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Queues every way from node `id` that the text at `at` allows.
    fn expand(&mut self, id: NodeId, at: usize) {
        let tree = self.tree;
        let node = tree.node(id);
        if at == PAST_END {
            self.queue_list(node.routes);
            return;
        }
        let rest = self.text.get(at..).expect("a segment starts after a slash of the text");
        let (segment, next) = match scan::find(b'/', rest) {
            Some(slash) => (rest.split_at(slash).0, at + slash + 1),
            None => (rest, PAST_END),
        };
        if node.has_literals && segment.len() <= node.longest_literal as usize {
            self.follow(
                Key {
                    node: id,
                    way: Way::Literal,
                    start: segment,
                    end: b"",
                },
                next,
            );
        }
        for (kind, child) in SEGMENT_KINDS.iter().zip(node.parameters) {
            if let Some(child) = child
                && kind.accepts(segment)
            {
                self.queue_node(child, next);
            }
        }
        for shape in tree.shapes_from(node.shapes) {
            let text = if shape.way == Way::Tail { rest } else { segment };
            if let Some((start, end)) = ends(text, shape.start as usize, shape.end as usize) {
                self.follow(
                    Key {
                        node: id,
                        way: shape.way,
                        start,
                        end,
                    },
                    next,
                );
            }
        }
    }

    fn follow(&mut self, key: Key<'a>, next: usize) {
        self.steps += 1;
        match self.tree.lookup(&key) {
            Some(Target::Routes(head)) => self.queue_list(head),
            Some(Target::Node(child)) => self.queue_node(child, next),
            None => {}
        }
    }

    fn queue_node(&mut self, id: NodeId, at: usize) {
        self.queue.push(Branch {
            first: self.tree.node(id).first,
            node: Some(id),
            at,
        });
    }

    fn queue_list(&mut self, head: u32) {
        if head != NONE {
            self.queue.push(Branch {
                first: head,
                node: None,
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
            if let Some(node) = branch.node {
                self.expand(node, branch.at);
                continue;
            }
            self.queue_list(self.tree.route_after(branch.first));
            return Some(branch.first as usize);
        }
    }
}

/// A place where a search can continue: a node, or without one the list of routes that starts at `first`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Branch {
    /// No route of this branch is smaller.
    first: u32,
    node: Option<NodeId>,
    at: usize,
}

impl Ord for Branch {
    /// The greatest, which a heap returns first, is the one with the smallest route.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.first.cmp(&self.first)
    }
}

impl PartialOrd for Branch {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Branches, smallest route first: a short sorted array, and a heap for those that do not fit.
#[derive(Debug, Default)]
struct Queue {
    /// Descending, so that the smallest is the last.
    few: [Branch; INLINE_BRANCHES],
    length: usize,
    more: BinaryHeap<Branch>,
}

const IN_FEW: &str = "the length never exceeds that of the array";

impl Queue {
    fn push(&mut self, branch: Branch) {
        if self.length == INLINE_BRANCHES {
            self.more.push(branch);
            return;
        }
        let mut place = self.length;
        while let Some(before) = place.checked_sub(1) {
            let other = *self.few.get(before).expect(IN_FEW);
            if other.first >= branch.first {
                break;
            }
            *self.few.get_mut(place).expect(IN_FEW) = other;
            place = before;
        }
        *self.few.get_mut(place).expect(IN_FEW) = branch;
        self.length += 1;
    }

    fn pop(&mut self) -> Option<Branch> {
        let last = self.length.checked_sub(1).map(|last| self.few.get(last).expect(IN_FEW));
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
