//! Reading requests for monitoring data, as strictly as their schema.

use std::collections::BTreeSet;

use crate::message::{ClientId, IDENTIFIERS_NAMESPACE, SOAP_NAMESPACE, SoapMessage};
use crate::xml::{Document, Limits, Node};

/// What getSecurityServerOperationalData asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationalRequest {
    /// Prefix of the request's element.
    pub prefix: String,
    /// First second.
    pub from: i64,
    /// Last second.
    pub to: i64,
    /// The provider whose services count.
    pub provider: Option<ClientId>,
    /// Fields that are wanted; empty for all.
    pub fields: BTreeSet<String>,
}

/// What getSecurityServerHealthData asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthRequest {
    /// Prefix of the request's element.
    pub prefix: String,
    /// The provider whose services count.
    pub provider: Option<ClientId>,
}

/// Prefix of the request's element, and the fields of its outputSpec; `None` without one.
pub type OutputRequest = (String, Option<BTreeSet<String>>);

/// Reads an operational data request. Error: a line of text.
pub fn operational(request: &SoapMessage, namespace: &str) -> Result<OperationalRequest, String> {
    with_element(request, namespace, |element| {
        let [criteria, output] = children(element, namespace, ["searchCriteria", "outputSpec"])?;
        let criteria = criteria.ok_or("searchCriteria is missing")?;
        let [from, to, client] = children(criteria, namespace, ["recordsFrom", "recordsTo", "client"])?;
        Ok(OperationalRequest {
            prefix: element.prefix().to_owned(),
            from: long("recordsFrom", from)?,
            to: long("recordsTo", to)?,
            provider: client.map(client_id).transpose()?,
            fields: output.map(|output| fields(output, namespace)).transpose()?.unwrap_or_default(),
        })
    })
}

/// Reads a health data request. Error: a line of text.
pub fn health(request: &SoapMessage, namespace: &str) -> Result<HealthRequest, String> {
    with_element(request, namespace, |element| {
        let [criteria] = children(element, namespace, ["filterCriteria"])?;
        let client = match criteria {
            Some(criteria) => {
                let [client] = children(criteria, namespace, ["client"])?;
                Some(client.ok_or("filterCriteria has no client")?)
            }
            None => None,
        };
        Ok(HealthRequest {
            prefix: element.prefix().to_owned(),
            provider: client.map(client_id).transpose()?,
        })
    })
}

/// Reads a request that has an optional outputSpec and nothing else. Error: a line of text.
pub fn output(request: &SoapMessage, namespace: &str) -> Result<OutputRequest, String> {
    with_element(request, namespace, |element| {
        let [output] = children(element, namespace, ["outputSpec"])?;
        let fields = output.map(|output| fields(output, namespace)).transpose()?;
        Ok((element.prefix().to_owned(), fields))
    })
}

fn with_element<T>(
    request: &SoapMessage,
    namespace: &str,
    read: impl FnOnce(Node<'_>) -> Result<T, String>,
) -> Result<T, String> {
    let document = Document::parse(request.text(), &Limits::default()).map_err(|error| error.to_string())?;
    let body = document.root().child(SOAP_NAMESPACE, "Body").ok_or("the request has no body")?;
    let element = body.elements().next().ok_or("the request has an empty body")?;
    let name = request.header().service.service_code();
    if !element.is(namespace, name) {
        return Err(format!("the body does not hold {name} of namespace {namespace}"));
    }
    read(element)
}

/// The children with these names, each at most once, in this order and no others.
fn children<'d, const N: usize>(
    of: Node<'d>,
    namespace: &str,
    names: [&str; N],
) -> Result<[Option<Node<'d>>; N], String> {
    let mut found = [None; N];
    let mut next = 0;
    for child in of.elements() {
        let at = names.iter().position(|name| child.is(namespace, name)).filter(|at| *at >= next);
        let at = at.ok_or_else(|| format!("element {} is not expected in {}", child.local(), of.local()))?;
        if let Some(place) = found.get_mut(at) {
            *place = Some(child);
        }
        next = at + 1;
    }
    Ok(found)
}

fn long(name: &str, node: Option<Node<'_>>) -> Result<i64, String> {
    let text = node.ok_or_else(|| format!("{name} is missing"))?.text();
    text.trim().parse().map_err(|_| format!("{name} is not a number of seconds"))
}

fn fields(output: Node<'_>, namespace: &str) -> Result<BTreeSet<String>, String> {
    let field = |node: Node<'_>| match node.is(namespace, "outputField") {
        true => Ok(node.text().into_owned()),
        false => Err(format!("element {} is not expected in outputSpec", node.local())),
    };
    output.elements().map(field).collect()
}

fn client_id(node: Node<'_>) -> Result<ClientId, String> {
    let names = ["xRoadInstance", "memberClass", "memberCode", "subsystemCode"];
    let parts = children(node, IDENTIFIERS_NAMESPACE, names)?;
    let [instance, class, code, subsystem] = parts.map(|part| part.map(|part| part.text().into_owned()));
    let (Some(instance), Some(class), Some(code)) = (instance, class, code) else {
        return Err("the client identifier is incomplete".into());
    };
    ClientId::new(&instance, &class, &code, subsystem.as_deref()).map_err(|error| error.to_string())
}
