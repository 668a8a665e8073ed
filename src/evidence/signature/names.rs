//! Namespaces and fixed identifiers of the signature profile (`signature.md` 0 and 1.1).

pub(super) const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
pub(super) const XADES: &str = "http://uri.etsi.org/01903/v1.3.2#";

/// Beginning of the namespace of XAdES in any of its versions.
pub(super) const XADES_ANY: &str = "http://uri.etsi.org/01903/";

/// Type of the reference to the signed properties.
pub(super) const SIGNED_PROPERTIES_TYPE: &str = "http://uri.etsi.org/01903#SignedProperties";

/// The declarations of the root element, sorted as canonical XML sorts them.
pub(super) const ROOT_NAMESPACES: &str = concat!(
    " xmlns:asic=\"http://uri.etsi.org/02918/v1.2.1#\"",
    " xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"",
    " xmlns:xades=\"http://uri.etsi.org/01903/v1.3.2#\"",
    " xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"",
);

/// Content of SignaturePolicyId up to the algorithm of its hash, which is always SHA-512.
pub(super) const POLICY_ID: &str = concat!(
    "<xades:SigPolicyId><xades:Identifier Qualifier=\"OIDAsURN\">urn:oid:1.3.6.1.4.1.3516.16.2</xades:Identifier>",
    "<xades:Description>Profile for High Performance Digital Signatures (version 1.2)</xades:Description>",
    "</xades:SigPolicyId><xades:SigPolicyHash>",
);

/// The rest of SignaturePolicyId, from the value of its hash on.
pub(super) const POLICY_HASH: &str = concat!(
    "<ds:DigestValue>BuO0EDNfkxSVlUbxCzmQPzX1AUF1/xx9ytWHk3/6SAOePxQiniEfDYk+90QeYb3lWpV3Izhuz9fKaYyE+lTcXw==",
    "</ds:DigestValue></xades:SigPolicyHash><xades:SigPolicyQualifiers><xades:SigPolicyQualifier>",
    "<xades:SPURI>https://repo.cyber.ee/dsig-profile-1.2.pdf</xades:SPURI></xades:SigPolicyQualifier>",
    "</xades:SigPolicyQualifiers>",
);
