use super::*;

fn document(text: &str) -> Result<Document<'_>, XmlError> {
    Document::parse(text.as_bytes(), &Limits::default())
}

fn canonical(text: &str, local: &str, method: C14n, prefixes: &[&str]) -> String {
    let document = document(text).unwrap();
    let node = document.root().descendants().find(|n| n.local() == local).unwrap();
    String::from_utf8(canonicalize(node, method, prefixes)).unwrap()
}

#[test]
fn reads_names_attributes_and_texts() {
    let text = concat!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><!-- c --><a xmlns='urn:d' xmlns:p='urn:p' p:x='1' ",
        "x=\" &lt;&#13;\n\t\"><p:b/>t&amp;<![CDATA[<&]]>\r\nu</a>\n<?pi?>"
    );
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
    assert_eq!(&text[root.range()], &text[text.find("<a").unwrap()..text.find("\n<?pi").unwrap()]);
    assert_eq!(document.top().children().count(), 3);
}

#[test]
fn refuses_what_is_not_well_formed() {
    for text in [
        "",
        " ",
        "<a>",
        "<a/><b/>",
        "<a></b>",
        "<a></a b>",
        "<a b=1/>",
        "<a b='1'c='2'/>",
        "<a b='<'/>",
        "<a b='1' b='2'/>",
        "<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>",
        "<p:a/>",
        "<a p:b=''/>",
        "<a:b:c xmlns:a='u'/>",
        "<:a/>",
        "<a:/>",
        "<1/>",
        "< a/>",
        "<a>&b;</a>",
        "<a>&amp</a>",
        "<a>& </a>",
        "<a>&#0;</a>",
        "<a>&#xD800;</a>",
        "<a>&#xFFFE;</a>",
        "<a>&#X41;</a>",
        "<a>&#+65;</a>",
        "<a>&#;</a>",
        "<a>]]></a>",
        "<a>\u{1}</a>",
        "<a>\u{FFFF}</a>",
        "<a b='\u{8}'/>",
        "<a><!-- -- --></a>",
        "<a><!-- --->\n</a>",
        "<a><!--\u{2}--></a>",
        "<a><?xml version='1.0'?></a>",
        " <?xml version='1.0'?><a/>",
        "<?xml version='1.1'?><a/>",
        "<?xml encoding='UTF-8'?><a/>",
        "<?xml version='1.0' standalone='maybe'?><a/>",
        "<?xml version='1.0' encoding='é'?><a/>",
        "<a/>text",
        "text<a/>",
        "<a/><![CDATA[]]>",
        "<a><![CDATA[</a>",
        "<a xmlns:xmlns='u'/>",
        "<a xmlns:p=''/>",
        "<a xmlns:xml='u'/>",
        "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
        "<xmlns:a/>",
        "<a><?b?c?></a",
    ] {
        assert!(matches!(document(text), Err(XmlError::Malformed { .. })), "{text}");
    }
}

#[test]
fn accepts_what_only_looks_wrong() {
    for text in [
        "\u{FEFF}<a/>",
        "<a>]]&gt;]] ></a>",
        "<a b='>' c='\"' d=\"'\"/>",
        "<a\n\tb = 'c' ></a\r\n>",
        "<é ü='\u{FF}'>\u{FFFD}\u{EFFF}</é>",
        "<a xmlns='u'><b xmlns=''/></a>",
        "<a><!----><?p?><?p  q?></a>",
        "<a xml:lang='et' xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
        "<a>&#x10FFFF;&#00065;</a>",
    ] {
        assert!(document(text).is_ok(), "{text}");
    }
}

#[test]
fn refuses_a_document_type_and_foreign_encodings() {
    assert!(matches!(document("<!DOCTYPE a><a/>"), Err(XmlError::Doctype { at: 0 })));
    assert_eq!(document("<?xml version='1.0' encoding='ISO-8859-1'?><a/>").unwrap_err(), XmlError::Encoding);
    let latin1 = Document::parse(b"<a>\xE9</a>", &Limits::default()).unwrap_err();
    assert_eq!(latin1, XmlError::NotUtf8 { at: 3 });
    let declared = b"<?xml version='1.0' encoding='ISO-8859-1'?><a/>";
    assert!(Document::parse_transcoded(declared, &Limits::default()).is_ok());
}

#[test]
fn bounds_depth_attributes_nodes_and_bytes() {
    let deep = "<a>".repeat(1_000_000);
    assert!(matches!(document(&deep), Err(XmlError::TooDeep { .. })));
    let many: String = (0..100).map(|i| format!(" a{i}=''")).collect();
    assert_eq!(document(&format!("<a{many}/>")).unwrap_err(), XmlError::TooLarge { what: "attributes" });
    let few = Limits { max_nodes: 3, ..Limits::default() };
    assert!(Document::parse(b"<a>b<c/></a>", &few).is_ok());
    assert!(Document::parse(b"<a>b<c/>d</a>", &few).is_err());
    assert!(Document::parse(b"<a/>", &Limits::bytes(3)).is_err());
    let name = "u".repeat(2000);
    assert!(document(&format!("<a xmlns='{name}'/>")).is_err());
}

#[test]
fn resolves_namespaces_however_many_prefixes_there_are() {
    let declare =
        |from: usize| -> String { (from..from + 40).map(|i| format!(" xmlns:p{i}='u{i}'")).collect() };
    let text =
        format!("<a{}><b{}><p5:c p44:d=''/></b><p3:e xmlns:p3='v'/><p3:f/></a>", declare(0), declare(20));
    let document = document(&text).unwrap();
    let find = |local: &str| document.root().descendants().find(|n| n.local() == local).unwrap();
    assert!(find("c").is("u5", "c") && find("c").attribute_ns("u44", "d").is_some());
    assert!(find("e").namespace() == "v" && find("f").namespace() == "u3");
    assert!(matches!(
        Document::parse(format!("<a><b{}/><p5:c/></a>", declare(0)).as_bytes(), &Limits::default()),
        Err(XmlError::Malformed { what: "a prefix without namespace", .. })
    ));
}

#[test]
fn reports_the_end_of_an_empty_element_and_an_error_again_and_again() {
    let mut reader = Reader::new(b"<a><b/></a", &Limits::default()).unwrap();
    assert!(matches!(reader.next(), Ok(Some(Event::Start(tag))) if !tag.empty && tag.range == (0..3)));
    assert!(matches!(reader.next(), Ok(Some(Event::Start(tag))) if tag.empty && tag.local == "b"));
    assert!(matches!(reader.next(), Ok(Some(Event::End { range })) if range == (7..7)));
    let error = reader.next().unwrap_err();
    assert_eq!(reader.next().unwrap_err(), error);
}

#[test]
fn canonical_form_of_start_tags_and_characters() {
    let text = concat!(
        "<doc xmlns:z='urn:z' xmlns:unused='urn:u'><e5 b='2' a='1' z:c='3' xmlns='urn:d' xmlns:a='urn:a' a:d='4'",
        " t='&#9;&#10;&#13;&lt;&gt;&quot;'/><!--c--><?p  d ?>&#13;&gt;<![CDATA[<]]></doc>"
    );
    assert_eq!(
        canonical(text, "doc", C14n::Inclusive10, &[]),
        concat!(
            "<doc xmlns:unused=\"urn:u\" xmlns:z=\"urn:z\"><e5 xmlns=\"urn:d\" xmlns:a=\"urn:a\" a=\"1\" b=\"2\" ",
            "t=\"&#x9;&#xA;&#xD;&lt;>&quot;\" a:d=\"4\" z:c=\"3\"></e5><?p d ?>&#xD;&gt;&lt;</doc>"
        )
    );
    assert!(canonical(text, "doc", C14n::Inclusive11WithComments, &[]).contains("</e5><!--c--><?p d ?>"));
}

#[test]
fn canonical_form_of_a_subtree_has_the_namespaces_in_scope() {
    let text = concat!(
        "<r xmlns='urn:0' xmlns:a='urn:a' xmlns:b='urn:b' xml:lang='et' xml:id='i' xml:base='http://h/x/'>",
        "<m xmlns:a='urn:a2' xml:base='y/'><s xmlns='' b:k='v' xml:base='z'><a:t xmlns:b='urn:b'/></s></m></r>"
    );
    assert_eq!(
        canonical(text, "s", C14n::Inclusive10, &[]),
        concat!(
            "<s xmlns:a=\"urn:a2\" xmlns:b=\"urn:b\" xml:base=\"z\" xml:id=\"i\" xml:lang=\"et\" b:k=\"v\">",
            "<a:t></a:t></s>"
        )
    );
    assert_eq!(
        canonical(text, "s", C14n::Inclusive11, &[]),
        concat!(
            "<s xmlns:a=\"urn:a2\" xmlns:b=\"urn:b\" xml:base=\"http://h/x/y/z\" xml:lang=\"et\" b:k=\"v\">",
            "<a:t></a:t></s>"
        )
    );
    assert_eq!(
        canonical(text, "s", C14n::Exclusive, &[]),
        "<s xmlns:b=\"urn:b\" xml:base=\"z\" b:k=\"v\"><a:t xmlns:a=\"urn:a2\"></a:t></s>"
    );
    assert_eq!(
        canonical(text, "s", C14n::Exclusive, &["a", "#default"]),
        "<s xmlns:a=\"urn:a2\" xmlns:b=\"urn:b\" xml:base=\"z\" b:k=\"v\"><a:t></a:t></s>"
    );
    assert_eq!(
        canonical("<r xmlns='u'><m><s xmlns=''><t/></s></m></r>", "m", C14n::Exclusive, &[]),
        "<m xmlns=\"u\"><s xmlns=\"\"><t></t></s></m>"
    );
}

#[test]
fn canonical_form_is_bounded() {
    let text = format!("<r xmlns:a='{}'>{}</r>", "u".repeat(1000), "<a:x/>".repeat(10_000));
    let document = document(&text).unwrap();
    let refused = canonicalize_within(document.root(), C14n::Exclusive, &[], 1_000_000);
    assert!(matches!(refused, Err(XmlError::TooLarge { .. })));
    assert!(canonicalize_within(document.root(), C14n::Inclusive10, &[], 1_000_000).is_ok());
}

#[test]
fn canonical_form_of_a_whole_document_keeps_what_stands_beside_its_element() {
    let document = document("<?xml version='1.0'?>\n<!--a--> <?b?>\n<c/>\n<?d e?><!--f-->\n").unwrap();
    let octets = |method| String::from_utf8(canonicalize(document.top(), method, &[])).unwrap();
    assert_eq!(octets(C14n::Inclusive10WithComments), "<!--a-->\n<?b?>\n<c></c>\n<?d e?>\n<!--f-->");
    assert_eq!(octets(C14n::Exclusive), "<?b?>\n<c></c>\n<?d e?>");
}
