//! The documents of the global configuration: anchor (`trust.md` 1.1), shared parameters version 6 (2.1) and private
//! parameters version 3 (2.2).

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::keys::Identity;
use super::management::{self, RegisteredServer, Registrations};
use super::pki::{CERTIFICATE_PROFILE, Pki};
use super::plan::{MEMBER_CLASS, Plan, ports};
use crate::message::ClientId;
use crate::time::UnixTime;

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
const NAMESPACES: &str =
    "xmlns:id=\"http://x-road.eu/xsd/identifiers\" xmlns:xroad=\"http://x-road.eu/xsd/xroad.xsd\"";
/// Name of the time-stamping service, in shared parameters.
pub const TSA_NAME: &str = "Sandbox TSA";

/// The anchor that every security server starts from.
pub fn anchor(plan: &Plan, pki: &Pki, now: UnixTime) -> String {
    let url = format!("{}/internalconf", plan.service_url(ports::SOURCE));
    let (certificate, instance) = (BASE64.encode(pki.source.certificate().der()), &plan.instance);
    format!(
        "{HEAD}<xroad:configurationAnchor {NAMESPACES}>
    <generatedAt>{now}</generatedAt>
    <instanceIdentifier>{instance}</instanceIdentifier>
    <source>
        <downloadURL>{url}</downloadURL>
        <verificationCert>{certificate}</verificationCert>
    </source>
</xroad:configurationAnchor>
"
    )
}

/// The anchor of this instance as private parameters of another one hold it.
pub fn federation_anchor(plan: &Plan, pki: &Pki) -> String {
    format!(
        "<configurationAnchor><instanceIdentifier>{}</instanceIdentifier><source><downloadURL>{}/externalconf\
         </downloadURL><verificationCert>{}</verificationCert></source></configurationAnchor>",
        plan.instance,
        plan.service_url(ports::SOURCE),
        BASE64.encode(pki.source.certificate().der()),
    )
}

/// Shared parameters, version 6, of what a sandbox begins with.
pub fn shared(plan: &Plan, pki: &Pki) -> String {
    shared_of(plan, pki, &Registrations::of(plan, pki, false))
}

/// Shared parameters, version 6, of what is registered.
pub fn shared_of(plan: &Plan, pki: &Pki, registrations: &Registrations) -> String {
    let certificate = |identity: &Identity| BASE64.encode(identity.certificate().der());
    let (source, instance) = (certificate(&pki.source), &plan.instance);
    let mut out = format!(
        "{HEAD}<xroad:conf {NAMESPACES}>
    <instanceIdentifier>{instance}</instanceIdentifier>
    <source>
        <address>{source_address}</address>
        <internalVerificationCert>{source}</internalVerificationCert>
        <externalVerificationCert>{source}</externalVerificationCert>
    </source>
    <approvedCA>
        <name>Sandbox CA</name>
        <authenticationOnly>false</authenticationOnly>
        <topCA>
            <cert>{ca}</cert>
            <ocsp>
                <url>{ocsp_url}</url>
                <cert>{ocsp}</cert>
                <costType>FREE</costType>
            </ocsp>
        </topCA>
        <certificateProfileInfo>{CERTIFICATE_PROFILE}</certificateProfileInfo>
        <defaultCsrFormat>DER</defaultCsrFormat>
    </approvedCA>
    <approvedTSA>
        <name>{TSA_NAME}</name>
        <url>{tsa_url}</url>
        <cert>{tsa}</cert>
        <costType>FREE</costType>
    </approvedTSA>
",
        source_address = plan.service(ports::SOURCE),
        ca = certificate(&pki.ca),
        ocsp_url = plan.service_url(ports::OCSP),
        ocsp = certificate(&pki.ocsp),
        tsa_url = plan.service_url(ports::TSA),
        tsa = certificate(&pki.tsa),
    );
    let text = |text: &str| crate::xml::escape_text(text).into_owned();
    for (index, (code, name)) in registrations.members.iter().enumerate() {
        let (code, name) = (text(code), text(name));
        let _ = write!(
            out,
            "    <member id=\"m{index}\">
        <memberClass><code>{MEMBER_CLASS}</code><description>Government</description></memberClass>
        <memberCode>{code}</memberCode>
        <name>{name}</name>
"
        );
        for (index, (member, subsystem, name)) in registrations.subsystems.iter().enumerate() {
            if text(member) != code {
                continue;
            }
            let subsystem = text(subsystem);
            let _ = writeln!(out, "        <subsystem id=\"s{index}\">");
            let _ = writeln!(out, "            <subsystemCode>{subsystem}</subsystemCode>");
            if let Some(name) = name {
                let _ = writeln!(out, "            <subsystemName>{}</subsystemName>", text(name));
            }
            out.push_str("        </subsystem>\n");
        }
        out.push_str("    </member>\n");
    }
    registrations.servers.iter().for_each(|server| security_server(&mut out, registrations, server));
    out.push_str(
        "    <globalGroup>
        <groupCode>security-server-owners</groupCode>
        <description>Security server owners</description>
",
    );
    for server in &registrations.servers {
        let _ = writeln!(
            out,
            "        <groupMember id:objectType=\"MEMBER\"><id:xRoadInstance>{instance}</id:xRoadInstance>\
             <id:memberClass>{MEMBER_CLASS}</id:memberClass><id:memberCode>{}</id:memberCode></groupMember>",
            text(&server.owner),
        );
    }
    let _ = write!(
        out,
        "    </globalGroup>
    <globalSettings>
        <memberClass><code>{MEMBER_CLASS}</code><description>Government</description></memberClass>
        <ocspFreshnessSeconds>3600</ocspFreshnessSeconds>
    </globalSettings>
</xroad:conf>
"
    );
    out
}

fn security_server(out: &mut String, registrations: &Registrations, server: &RegisteredServer) {
    let text = |text: &str| crate::xml::escape_text(text).into_owned();
    let member = |code: &String| registrations.members.iter().position(|(other, _)| other == code);
    let subsystem = |of: &String, code: &String| {
        registrations.subsystems.iter().position(|(m, s, _)| (m, s) == (of, code))
    };
    let _ = write!(
        out,
        "    <securityServer>
        <owner>m{}</owner>
        <serverCode>{}</serverCode>
        <address>{}</address>
",
        member(&server.owner).unwrap_or_default(),
        text(&server.code),
        text(&server.address),
    );
    for hash in &server.certificates {
        let _ = writeln!(out, "        <authCertHash>{}</authCertHash>", BASE64.encode(hash));
    }
    for (of, code, on) in &server.clients {
        let id = match code {
            Some(code) => subsystem(of, code).map(|index| format!("s{index}")),
            None => member(of).map(|index| format!("m{index}")),
        };
        if let Some(id) = id.filter(|_| *on) {
            let _ = writeln!(out, "        <client>{id}</client>");
        }
    }
    match &server.maintenance {
        Some(Some(message)) => {
            let message = text(message);
            let _ =
                writeln!(out, "        <inMaintenanceMode><message>{message}</message></inMaintenanceMode>");
        }
        Some(None) => out.push_str("        <inMaintenanceMode/>\n"),
        None => {}
    }
    out.push_str("    </securityServer>\n");
}

/// Who provides the management services.
pub fn management_provider(plan: &Plan) -> ClientId {
    let code = &plan.consumer().member_code;
    let id = ClientId::new(&plan.instance, MEMBER_CLASS, code, Some(management::SUBSYSTEM));
    // None of these is blank.
    id.unwrap_or_else(|error| unreachable!("{error}"))
}

/// Private parameters, version 3. The schema wants a management service even where nobody manages.
pub fn private(plan: &Plan, pki: &Pki, timestamping_interval_secs: u32) -> String {
    let (member_code, instance) = (&plan.consumer().member_code, &plan.instance);
    let registration = plan.service(ports::REGISTRATION);
    let certificate = BASE64.encode(pki.source.certificate().der());
    let subsystem = management::SUBSYSTEM;
    format!(
        "{HEAD}<xroad:conf {NAMESPACES}>
    <instanceIdentifier>{instance}</instanceIdentifier>
    <managementService>
        <authCertRegServiceAddress>https://{registration}/managementservice/</authCertRegServiceAddress>
        <authCertRegServiceCert>{certificate}</authCertRegServiceCert>
        <managementRequestServiceProviderId id:objectType=\"SUBSYSTEM\">
            <id:xRoadInstance>{instance}</id:xRoadInstance>
            <id:memberClass>{MEMBER_CLASS}</id:memberClass>
            <id:memberCode>{member_code}</id:memberCode>
            <id:subsystemCode>{subsystem}</id:subsystemCode>
        </managementRequestServiceProviderId>
    </managementService>
    <timeStampingIntervalSeconds>{timestamping_interval_secs}</timeStampingIntervalSeconds>
</xroad:conf>
"
    )
}
