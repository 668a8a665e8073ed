//! The documents of the global configuration: anchor (`trust.md` 1.1), shared parameters version 6 (2.1) and private
//! parameters version 3 (2.2).

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::keys::Identity;
use super::pki::{CERTIFICATE_PROFILE, Pki};
use super::plan::{MEMBER_CLASS, Plan, ports};
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

/// Shared parameters, version 6.
pub fn shared(plan: &Plan, pki: &Pki) -> String {
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
    for (index, server) in plan.servers.iter().enumerate() {
        let _ = write!(
            out,
            "    <member id=\"m{index}\">
        <memberClass><code>{MEMBER_CLASS}</code><description>Government</description></memberClass>
        <memberCode>{}</memberCode>
        <name>{}</name>
        <subsystem id=\"s{index}\">
            <subsystemCode>{}</subsystemCode>
            <subsystemName>The {1} {2}</subsystemName>
        </subsystem>
    </member>
",
            server.member_code,
            server.member_name(),
            server.subsystem_code,
        );
    }
    for (index, (server, identities)) in plan.servers.iter().zip(&pki.servers).enumerate() {
        let _ = write!(
            out,
            "    <securityServer>
        <owner>m{index}</owner>
        <serverCode>{}</serverCode>
        <address>{}</address>
        <authCertHash>{}</authCertHash>
        <client>s{index}</client>
    </securityServer>
",
            server.code,
            server.address,
            BASE64.encode(identities.authentication.certificate().sha256()),
        );
    }
    out.push_str(
        "    <globalGroup>
        <groupCode>security-server-owners</groupCode>
        <description>Security server owners</description>
",
    );
    for server in &plan.servers {
        let _ = writeln!(
            out,
            "        <groupMember id:objectType=\"MEMBER\"><id:xRoadInstance>{instance}</id:xRoadInstance>\
             <id:memberClass>{MEMBER_CLASS}</id:memberClass><id:memberCode>{}</id:memberCode></groupMember>",
            server.member_code,
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

/// Private parameters, version 3. The schema wants a management service even where nobody manages.
pub fn private(plan: &Plan, timestamping_interval_secs: u32) -> String {
    let (member_code, instance) = (&plan.consumer().member_code, &plan.instance);
    format!(
        "{HEAD}<xroad:conf {NAMESPACES}>
    <instanceIdentifier>{instance}</instanceIdentifier>
    <managementService>
        <authCertRegServiceAddress>https://{}:4001/managementservice/</authCertRegServiceAddress>
        <managementRequestServiceProviderId id:objectType=\"SUBSYSTEM\">
            <id:xRoadInstance>{instance}</id:xRoadInstance>
            <id:memberClass>{MEMBER_CLASS}</id:memberClass>
            <id:memberCode>{member_code}</id:memberCode>
            <id:subsystemCode>management</id:subsystemCode>
        </managementRequestServiceProviderId>
    </managementService>
    <timeStampingIntervalSeconds>{timestamping_interval_secs}</timeStampingIntervalSeconds>
</xroad:conf>
",
        plan.services_address
    )
}
