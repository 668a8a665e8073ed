use super::*;

fn document(text: &str) -> Result<Document<'_>, XmlError> {
    Document::parse(text.as_bytes(), &Limits::default())
}

#[test]
fn reads_names_attributes_and_texts() {
    let text = "<?xml version=\"1.0\" encoding=\"utf-8\"?><!-- c --><a xmlns='urn:d' xmlns:p='urn:p' p:x='1' x=\" &lt;&#13;\n\t\"><p:b/>t&amp;<![CDATA[<&]]>\r\nu</a>";
    let document = document(text).unwrap();
    let root = document.root();
    assert!(root.is("urn:d", "a"));
    assert_eq!(root.attribute("x"), Some(" <\r  "));
    assert_eq!(root.attribute_ns("urn:p", "x"), Some("1"));
    assert!(
        root.child("urn:p", "b").is_some_and(|b| b.content_range().is_empty() && b.parent() == Some(root))
    );
    assert_eq!(root.text(), "t&<&\nu");
    assert_eq!(document.encoding(), Some("utf-8"));
    assert_eq!(&text[root.range()], &text[text.find("<a").unwrap()..]);
}
