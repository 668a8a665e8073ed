use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use super::{XML_NAMESPACE, XMLNS_NAMESPACE};

/// Index of a namespace binding. Two bindings may have equal names; compare by [`Scope::same`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NamespaceId(u32);

impl NamespaceId {
    /// No namespace.
    pub(super) const NONE: Self = Self(0);
    /// The namespace of the prefix `xml`.
    pub(super) const XML: Self = Self(1);
    const UNBOUND: Self = Self(u32::MAX);
}

#[derive(Debug)]
struct Binding<'a> {
    uri: Cow<'a, str>,
    // Equal names have equal hashes: a long name is compared to the end only when it is the same one.
    hash: u64,
}

// Above this many different prefixes they are found by hash; below, looking along the list is quicker.
const LISTED_PREFIXES_MAX: usize = 12;

/// The namespaces in scope while a document is read: constant time per name, however many are declared.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    bindings: Vec<Binding<'a>>,
    prefixes: Vec<(&'a str, NamespaceId)>,
    index: HashMap<&'a str, u32>,
    // (slot of the prefix, what it was bound to outside), undone when the element ends.
    undo: Vec<(u32, NamespaceId)>,
    hasher: RandomState,
}

impl<'a> Scope<'a> {
    pub(super) fn new() -> Self {
        let binding = |uri: &'static str| Binding { uri: Cow::Borrowed(uri), hash: 0 };
        let mut scope = Self {
            bindings: Vec::with_capacity(16),
            prefixes: Vec::with_capacity(LISTED_PREFIXES_MAX),
            index: HashMap::default(),
            undo: Vec::with_capacity(16),
            hasher: RandomState::new(),
        };
        scope.bindings.extend([binding(""), binding(XML_NAMESPACE)]);
        for binding in &mut scope.bindings {
            binding.hash = scope.hasher.hash_one(&*binding.uri);
        }
        scope.prefixes.extend([("", NamespaceId::NONE), ("xml", NamespaceId::XML)]);
        scope
    }

    /// A mark to come back to with [`Scope::leave`].
    pub(super) fn mark(&self) -> usize {
        self.undo.len()
    }

    /// Binds a prefix (empty: the default namespace) until the mark before it is left.
    pub(super) fn declare(&mut self, prefix: &'a str, uri: Cow<'a, str>) {
        let id = NamespaceId(u32::try_from(self.bindings.len()).unwrap_or(u32::MAX));
        let hash = self.hasher.hash_one(&*uri);
        self.bindings.push(Binding { uri, hash });
        let slot = self.slot(prefix).unwrap_or_else(|| self.add_prefix(prefix));
        if let Some(entry) = self.prefixes.get_mut(slot) {
            self.undo.push((slot as u32, entry.1));
            entry.1 = id;
        }
    }

    /// Forgets what was declared since `mark`; with `keep`, the bindings themselves stay addressable.
    pub(super) fn leave(&mut self, mark: usize, keep: bool) {
        while self.undo.len() > mark {
            let Some((slot, outer)) = self.undo.pop() else { return };
            if let Some(entry) = self.prefixes.get_mut(slot as usize) {
                entry.1 = outer;
            }
            if !keep {
                self.bindings.pop();
            }
        }
    }

    /// What a prefix is bound to; the empty prefix always resolves.
    pub(super) fn resolve(&self, prefix: &str) -> Option<NamespaceId> {
        let (_, id) = *self.prefixes.get(self.slot(prefix)?)?;
        (id != NamespaceId::UNBOUND).then_some(id)
    }

    pub(super) fn uri(&self, id: NamespaceId) -> &str {
        self.bindings.get(id.0 as usize).map_or("", |b| &*b.uri)
    }

    pub(super) fn same(&self, left: NamespaceId, right: NamespaceId) -> bool {
        if left == right {
            return true;
        }
        match (self.bindings.get(left.0 as usize), self.bindings.get(right.0 as usize)) {
            (Some(l), Some(r)) => l.hash == r.hash && l.uri == r.uri,
            _ => false,
        }
    }

    fn slot(&self, prefix: &str) -> Option<usize> {
        if self.index.is_empty() {
            self.prefixes.iter().position(|(name, _)| *name == prefix)
        } else {
            self.index.get(prefix).map(|slot| *slot as usize)
        }
    }

    fn add_prefix(&mut self, prefix: &'a str) -> usize {
        let slot = self.prefixes.len();
        self.prefixes.push((prefix, NamespaceId::UNBOUND));
        if !self.index.is_empty() {
            self.index.insert(prefix, slot as u32);
        } else if self.prefixes.len() > LISTED_PREFIXES_MAX {
            self.index.extend(self.prefixes.iter().zip(0..).map(|((name, _), slot)| (*name, slot)));
        }
        slot
    }

    /// The bindings, for a document that keeps them.
    pub(super) fn into_uris(self) -> Vec<Cow<'a, str>> {
        self.bindings.into_iter().map(|b| b.uri).collect()
    }
}

impl NamespaceId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Whether a declaration `xmlns:prefix="uri"` (empty prefix: `xmlns="uri"`) breaks Namespaces in XML 1.0.
pub(super) fn forbidden_declaration(prefix: &str, uri: &str) -> bool {
    match prefix {
        "xml" => uri != XML_NAMESPACE,
        "xmlns" => true,
        "" => uri == XML_NAMESPACE || uri == XMLNS_NAMESPACE,
        _ => uri.is_empty() || uri == XML_NAMESPACE || uri == XMLNS_NAMESPACE,
    }
}
