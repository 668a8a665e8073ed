//! Hash chain and result documents, checked as strictly as their schema would and bounded.

use super::super::base64;
use super::{ChainError, NAMESPACE};
use crate::crypto::DigestAlgorithm;
use crate::limits::{HASH_CHAIN_BYTES_MAX, HASH_CHAIN_ITEMS_MAX, HASH_CHAIN_STEPS_MAX};
use crate::xml::{C14n, Document, Limits, Node};

const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
const DEPTH_MAX: usize = 6;
const TRANSFORMS_MAX: usize = 5;

/// A hash chain document.
pub(super) struct Chain<'a> {
    pub(super) steps: Vec<Step<'a>>,
}

pub(super) struct Step<'a> {
    pub(super) id: &'a str,
    pub(super) items: Vec<Item<'a>>,
}

/// An item with its method: its own, else the default of the chain.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct Item<'a> {
    pub(super) method: DigestAlgorithm,
    pub(super) kind: ItemKind<'a>,
}

#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) enum ItemKind<'a> {
    HashValue(Vec<u8>),
    StepRef(&'a str),
    DataRef { uri: &'a str, transforms: Vec<C14n>, value: Vec<u8> },
}

/// A hash chain result document.
pub(super) struct ChainResult {
    pub(super) uri: String,
    pub(super) method: DigestAlgorithm,
    pub(super) value: Vec<u8>,
}

type Read<T> = Result<T, ChainError>;

fn malformed<T>(what: &'static str) -> Read<T> {
    Err(ChainError::Malformed(what))
}

pub(super) fn parse(bytes: &[u8]) -> Read<Document<'_>> {
    let limits = Limits { max_bytes: HASH_CHAIN_BYTES_MAX, max_depth: DEPTH_MAX, ..Limits::default() };
    Document::parse(bytes, &limits).map_err(|_| ChainError::Malformed("not acceptable XML"))
}

impl ChainResult {
    pub(super) fn read(bytes: &[u8], allow_sha1: bool) -> Read<Self> {
        let document = parse(bytes)?;
        let root = document.root();
        if !root.is(NAMESPACE, "HashChainResult") {
            return malformed("not a hash chain result");
        }
        let uri =
            only_attribute(root, "URI")?.ok_or(ChainError::Malformed("a result without URI"))?.to_owned();
        let mut children = elements(root)?;
        let (method, value) = (children.next(), children.next());
        let (Some(method), Some(value), None) = (method, value, children.next()) else {
            return malformed("a result has a digest method and a digest value");
        };
        Ok(Self {
            uri,
            method: digest_method(method, DS, "DigestMethod", allow_sha1)?,
            value: digest_value(value)?,
        })
    }
}

impl<'a> Chain<'a> {
    pub(super) fn read(document: &'a Document<'a>, allow_sha1: bool) -> Read<Self> {
        let root = document.root();
        if !root.is(NAMESPACE, "HashChain") {
            return malformed("not a hash chain");
        }
        no_attributes(root)?;
        let mut default = None;
        let mut steps: Vec<Step<'_>> = Vec::with_capacity(8);
        let mut items = 0;
        for (at, element) in elements(root)?.enumerate() {
            if at == 0 && element.is(NAMESPACE, "DefaultDigestMethod") {
                default = Some(digest_method(element, NAMESPACE, "DefaultDigestMethod", allow_sha1)?);
                continue;
            }
            let step = Step::read(element, default, allow_sha1)?;
            items += step.items.len();
            if steps.len() == HASH_CHAIN_STEPS_MAX || items > HASH_CHAIN_ITEMS_MAX {
                return malformed("too many steps");
            }
            if steps.iter().any(|other| !step.id.is_empty() && other.id == step.id) {
                return malformed("two steps with one id");
            }
            steps.push(step);
        }
        Ok(Self { steps })
    }

    pub(super) fn step(&self, id: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.id == id)
    }
}

impl<'a> Step<'a> {
    fn read(element: Node<'a>, default: Option<DigestAlgorithm>, allow_sha1: bool) -> Read<Self> {
        if !element.is(NAMESPACE, "HashStep") {
            return malformed("not a hash step");
        }
        let id = only_attribute(element, "id")?.unwrap_or_default();
        let items = elements(element)?.map(|item| Item::read(item, default, allow_sha1));
        Ok(Self { id, items: items.collect::<Read<_>>()? })
    }
}

impl<'a> Item<'a> {
    fn read(item: Node<'a>, default: Option<DigestAlgorithm>, allow_sha1: bool) -> Read<Self> {
        let mut children = elements(item)?.peekable();
        let own = match children.peek() {
            Some(first) if first.is(DS, "DigestMethod") => {
                let method = digest_method(*first, DS, "DigestMethod", allow_sha1)?;
                children.next();
                Some(method)
            }
            _ => None,
        };
        let method = own.or(default).ok_or(ChainError::Malformed("an item without digest method"))?;
        let uri = || -> Read<&'a str> {
            let uri = only_attribute(item, "URI")?.ok_or(ChainError::Malformed("a reference without URI"))?;
            Ok(uri)
        };
        let kind = if item.is(NAMESPACE, "HashValue") {
            no_attributes(item)?;
            ItemKind::HashValue(digest_value(children.next().ok_or(MISSING_VALUE)?)?)
        } else if item.is(NAMESPACE, "StepRef") {
            ItemKind::StepRef(uri()?)
        } else if item.is(NAMESPACE, "DataRef") {
            let mut transforms = Vec::new();
            if let Some(element) = children.next_if(|child| child.is(DS, "Transforms")) {
                transforms = read_transforms(element)?;
            }
            ItemKind::DataRef {
                uri: uri()?,
                transforms,
                value: digest_value(children.next().ok_or(MISSING_VALUE)?)?,
            }
        } else {
            return malformed("an unknown item of a hash step");
        };
        if children.next().is_some() {
            return malformed("an unknown element in an item");
        }
        Ok(Self { method, kind })
    }
}

const MISSING_VALUE: ChainError = ChainError::Malformed("an item without digest value");

fn read_transforms(element: Node<'_>) -> Read<Vec<C14n>> {
    no_attributes(element)?;
    let mut transforms = Vec::new();
    for transform in elements(element)? {
        let known = transform.is(DS, "Transform") && elements(transform)?.next().is_none();
        let method = only_attribute(transform, "Algorithm")?.filter(|_| known).and_then(C14n::from_uri);
        transforms.push(method.ok_or(ChainError::Malformed("an unknown transform"))?);
    }
    if transforms.is_empty() || transforms.len() > TRANSFORMS_MAX {
        return malformed("no or too many transforms");
    }
    Ok(transforms)
}

fn digest_method(element: Node<'_>, namespace: &str, local: &str, allow_sha1: bool) -> Read<DigestAlgorithm> {
    if !element.is(namespace, local) || element.children().next().is_some() {
        return malformed("a digest method expected");
    }
    let uri = only_attribute(element, "Algorithm")?.unwrap_or_default();
    match DigestAlgorithm::from_uri(uri) {
        Some(DigestAlgorithm::Sha1) if !allow_sha1 => malformed("SHA-1 is not accepted"),
        None | Some(DigestAlgorithm::Sha224) => malformed("an unknown digest method"),
        Some(algorithm) => Ok(algorithm),
    }
}

fn digest_value(element: Node<'_>) -> Read<Vec<u8>> {
    if !element.is(DS, "DigestValue") || element.elements().next().is_some() {
        return malformed("a digest value expected");
    }
    no_attributes(element)?;
    base64::decode(&element.text()).ok_or(ChainError::Malformed("a digest value that is not base64"))
}

// The child elements of an element that may contain nothing else but white space and comments.
fn elements<'d>(parent: Node<'d>) -> Read<impl Iterator<Item = Node<'d>>> {
    let stray = |node: Node| node.is_text() && !node.text().trim_ascii().is_empty();
    if parent.children().any(stray) {
        return malformed("text between elements");
    }
    Ok(parent.elements())
}

fn only_attribute<'d>(element: Node<'d>, local: &str) -> Read<Option<&'d str>> {
    let mut attributes = element.attributes();
    match (attributes.next(), attributes.next()) {
        (None, _) => Ok(None),
        (Some(attribute), None) if attribute.namespace.is_empty() && attribute.local == local => {
            Ok(Some(attribute.value))
        }
        _ => malformed("an unknown attribute"),
    }
}

fn no_attributes(element: Node<'_>) -> Read<()> {
    if element.attributes().next().is_some() { malformed("an unknown attribute") } else { Ok(()) }
}
