use super::*;
use crate::crypto::{Digest, DigestAlgorithm};

const SHA512: DigestAlgorithm = DigestAlgorithm::Sha512;
const CHAIN: &str = "/sig-hashchain.xml";

fn digest(text: &str) -> Digest {
    SHA512.digest(text.as_bytes())
}

fn verify(result: &[u8], chain: &[u8], inputs: &[ChainInput]) -> Result<Vec<CoveredPart>, ChainError> {
    let chains = [(CHAIN, chain)];
    verify_chain(&ChainRequest { result, chains: &chains, inputs, allow_absent: false, allow_sha1: false })
}

fn message(digest: &Digest) -> ChainInput<'_> {
    let value = InputValue::Digest(digest.algorithm(), digest.as_ref());
    ChainInput { uri: "/message.xml", value }
}

#[test]
fn every_leaf_of_every_small_tree_verifies_and_covers_its_parts_only() {
    for count in 2..40usize {
        let leaf = |at: usize| match at % 3 {
            0 => Leaf::Parts(vec![digest(&format!("m{at}")), digest("a"), digest("b")]),
            _ => Leaf::Single(digest(&format!("m{at}"))),
        };
        let tree = HashTree::new((0..count).map(leaf).collect()).unwrap();
        let result = tree.result_xml(CHAIN);
        for at in 0..count {
            let chain = tree.chain_xml(at, "/message.xml");
            let own = digest(&format!("m{at}"));
            let (a, b) = (digest("a"), digest("b"));
            let attachment =
                |uri, d: &Digest| ChainInput { uri, ..message(&own) }.with(d.as_ref().to_vec().leak());
            let mut inputs = vec![message(&own)];
            if at % 3 == 0 {
                inputs.extend([attachment("/attachment1", &a), attachment("/attachment2", &b)]);
            }
            assert_eq!(verify(&result, &chain, &inputs).unwrap().len(), inputs.len());
            let other = digest("other");
            inputs[0] = message(&other);
            assert_eq!(verify(&result, &chain, &inputs).unwrap_err(), ChainError::Root);
        }
    }
}

impl<'a> ChainInput<'a> {
    fn with(mut self, value: &'a [u8]) -> Self {
        self.value = InputValue::Digest(SHA512, value);
        self
    }
}

#[test]
fn trap_signature_15_an_odd_node_moves_up_and_parts_add_a_step() {
    let (a, b, c) = (digest("a"), digest("b"), digest("c"));
    let tree = HashTree::new(vec![Leaf::Single(a), Leaf::Single(b), Leaf::Single(c)]).unwrap();
    let step = |left: &Digest, right: &Digest| {
        let mut list = DigestList::default();
        list.push(left);
        list.push(right);
        list.digest(SHA512)
    };
    assert_eq!(*tree.root(), step(&step(&a, &b), &c));
    let lone = String::from_utf8(tree.chain_xml(2, "/message.xml")).unwrap();
    assert_eq!(lone.matches("<ns2:HashStep").count(), 1);
    let parts = HashTree::new(vec![Leaf::Parts(vec![a, b])]).unwrap();
    assert_eq!(*parts.root(), step(&a, &b));
    let tree = HashTree::new(vec![Leaf::Parts(vec![a, b]), Leaf::Single(c)]).unwrap();
    assert_eq!(
        String::from_utf8(tree.chain_xml(0, "/message.xml")).unwrap().matches("<ns2:HashStep").count(),
        2
    );
}

#[test]
fn no_tree_over_nothing_over_one_digest_or_over_mixed_digests() {
    assert_eq!(HashTree::new(vec![]).unwrap_err(), TreeError::Empty);
    assert_eq!(HashTree::new(vec![Leaf::Parts(vec![])]).unwrap_err(), TreeError::Empty);
    assert_eq!(HashTree::new(vec![Leaf::Single(digest("a"))]).unwrap_err(), TreeError::Lone);
    let sha256 = DigestAlgorithm::Sha256.digest(b"");
    let mixed = vec![Leaf::Single(digest("a")), Leaf::Single(sha256)];
    assert_eq!(HashTree::new(mixed).unwrap_err(), TreeError::Algorithms);
}

fn pair() -> (String, String, Digest) {
    let own = digest("m");
    let tree = HashTree::new(vec![Leaf::Single(own), Leaf::Single(digest("x"))]).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(tree.result_xml(CHAIN)), text(tree.chain_xml(0, "/message.xml")), own)
}

#[test]
fn trap_signature_16_names_and_namespaces_are_exact() {
    let (result, chain, own) = pair();
    assert!(verify(result.as_bytes(), chain.as_bytes(), &[message(&own)]).is_ok());
    let malformed = |result: &str, chain: &str| {
        let error = verify(result.as_bytes(), chain.as_bytes(), &[message(&own)]).unwrap_err();
        assert!(matches!(error, ChainError::Malformed(_)), "{error} {chain}");
    };
    for (from, to) in [
        ("<ns2:DefaultDigestMethod", "<DefaultDigestMethod"),
        ("ns2:HashChain", "HashChain"),
        (" id=", " Id="),
        ("<DigestValue>", "<DigestValue a=''>"),
        ("<ns2:HashValue>", "<ns2:HashValue>text"),
        ("<ns2:HashValue>", "<ns2:HashValue URI='x'>"),
        ("xmlenc#sha512", "xmldsig-more#md5"),
        ("xmlenc#sha512", "xmldsig-more#sha224"),
        ("STEP0", ""),
        ("<ns2:DataRef", "<ns2:OtherRef"),
        ("</ns2:HashChain>", "</ns2:HashChain><!DOCTYPE a>"),
        ("<DigestValue>", "<DigestValue>!"),
    ] {
        malformed(&result, &chain.replacen(from, to, 1));
    }
    for (from, to) in [
        ("#STEP0", ""),
        ("#STEP0", "#"),
        ("#STEP0", "#STEP1"),
        ("/sig-hashchain.xml#", "#"),
        ("    <DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha512\"/>\n", ""),
        ("HashChainResult", "HashChain"),
    ] {
        malformed(&result.replace(from, to), &chain);
    }
}

#[test]
fn refuses_a_chain_that_is_elsewhere_or_covers_other_data() {
    let (result, chain, own) = pair();
    let elsewhere = result.replace("/sig-hashchain.xml", "/other.xml");
    let error = verify(elsewhere.as_bytes(), chain.as_bytes(), &[message(&own)]).unwrap_err();
    assert_eq!(error, ChainError::Reference("/other.xml".into()));
    let attached = [message(&own), ChainInput { uri: "/attachment1", ..message(&own) }];
    let error = verify(result.as_bytes(), chain.as_bytes(), &attached).unwrap_err();
    assert_eq!(error, ChainError::Unused("/attachment1".into()));
    let error = verify(result.as_bytes(), chain.as_bytes(), &[]).unwrap_err();
    assert_eq!(error, ChainError::Reference("/message.xml".into()));
    let changed = [ChainInput { uri: "/message.xml", value: InputValue::Data(b"n") }];
    let error = verify(result.as_bytes(), chain.as_bytes(), &changed).unwrap_err();
    assert_eq!(error, ChainError::Data("/message.xml".into()));
    let same = [ChainInput { uri: "/message.xml", value: InputValue::Data(b"m") }];
    assert!(verify(result.as_bytes(), chain.as_bytes(), &same).is_ok());
    let sha256 = DigestAlgorithm::Sha256.digest(b"m");
    let error = verify(result.as_bytes(), chain.as_bytes(), &[message(&sha256)]).unwrap_err();
    assert_eq!(error, ChainError::Reference("/message.xml".into()));
}

fn chain_of(steps: &str) -> String {
    let head = "<h:HashChain xmlns:h='http://cyber.ee/hashchain' xmlns='http://www.w3.org/2000/09/xmldsig#'>";
    let method = "<h:DefaultDigestMethod Algorithm='http://www.w3.org/2001/04/xmlenc#sha512'/>";
    format!("{head}{method}{steps}</h:HashChain>")
}

#[test]
fn trap_signature_19_cycles_trees_and_long_chains_are_refused() {
    let (result, _, own) = pair();
    let data = "<h:DataRef URI='/message.xml'><DigestValue>AA==</DigestValue></h:DataRef>";
    let step = |id: &str, items: &str| format!("<h:HashStep id='{id}'>{items}</h:HashStep>");
    let to = |id: &str| format!("<h:StepRef URI='#{id}'/>");
    let long = |count: usize| -> String {
        let body = |at: usize| {
            step(&format!("STEP{at}"), &(to(&format!("STEP{}", at + 1)) + if at == 0 { data } else { "" }))
        };
        (0..count).map(body).collect::<String>() + &step(&format!("STEP{count}"), "")
    };
    for steps in [
        step("STEP0", &to("STEP0")),
        step("STEP0", &to("S1")) + &step("S1", &(to("STEP0") + data)),
        step("STEP0", &(to("S1") + &to("S1"))) + &step("S1", data),
        step("STEP0", data) + &step("S1", &to("S1")),
        step("STEP0", data) + &step("STEP0", data),
        step("STEP0", &(data.to_owned() + data)),
        step("STEP0", &to("S1")),
        long(64),
        long(2000),
    ] {
        let error = verify(result.as_bytes(), chain_of(&steps).as_bytes(), &[message(&own)]).unwrap_err();
        assert!(matches!(error, ChainError::Malformed(_)), "{error}");
    }
    let error = verify(result.as_bytes(), chain_of(&long(62)).as_bytes(), &[message(&own)]).unwrap_err();
    assert_eq!(error, ChainError::Root);
    let wide = data.repeat(5000);
    assert!(verify(result.as_bytes(), chain_of(&step("STEP0", &wide)).as_bytes(), &[message(&own)]).is_err());
}
