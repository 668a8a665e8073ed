//! Faults in place of an answer.

use super::{Answer, request, run};
use crate::draft::{self, Draft};
use crate::provider::{Hostile, Reply, Seen};
use crate::wire::End;

#[tokio::test]
async fn faults_reach_the_client_and_nothing_else_of_their_answer_does() {
    let hostile = Hostile::start().await;
    let fault = "<?xml version=\"1.0\"?><e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body>\
        <e:Fault><faultcode>server.serverproxy.test</faultcode><faultstring>t</faultstring></e:Fault></e:Body></e:Envelope>";
    let in_place = |seen: &Seen| {
        let mut draft = hostile.rest(seen);
        draft.remove(draft::SIGNATURE);
        draft.push(draft::XML, fault);
        draft.into()
    };
    let only = |_: &Seen| {
        let mut draft = Draft::answer();
        draft.push(draft::XML, fault);
        draft.into()
    };
    let plain = |_: &Seen| {
        let mut draft = Draft::answer();
        draft.set("Content-Type", Some("text/xml;charset=utf-8"));
        Reply {
            bytes: [draft.head(&format!("Content-Length: {}", fault.len())), fault.into()].concat(),
            end: End::Close,
        }
    };
    const OLD: &str = "Server.ServerProxy.AccessDenied";
    let old = |_: &Seen| {
        let mut draft = Draft::answer();
        draft.push(draft::XML, fault.replace("server.serverproxy.test", OLD));
        draft.into()
    };
    let expect = "error server.serverproxy.test";
    let cases: Vec<Answer<'_>> = vec![
        ("a fault in place of the signature".into(), expect.into(), Box::new(in_place)),
        ("a fault as the only part".into(), expect.into(), Box::new(only)),
        ("a plain fault".into(), expect.into(), Box::new(plain)),
        // As servers before 7.8 spell them: untouched.
        ("a fault in the old spelling".into(), format!("error {OLD}"), Box::new(old)),
    ];
    run(&hostile, &request(), cases).await;
}
