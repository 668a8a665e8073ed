//! SOAP requests of the consumer.

/// What the example service says to a call without its parameter.
pub const NO_SIZE: &str = "e:Client";

/// An envelope to `service` (code and version) of `provider` (member code and subsystem); `header` is added to the
/// header as it stands.
pub fn envelope(provider: (&str, &str), service: (&str, &str), header: &str) -> String {
    let client = |(member, subsystem): (&str, &str)| {
        format!(
            "<id:xRoadInstance>SANDBOX</id:xRoadInstance><id:memberClass>GOV</id:memberClass>\
             <id:memberCode>{member}</id:memberCode><id:subsystemCode>{subsystem}</id:subsystemCode>"
        )
    };
    format!(
        "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:x=\"http://x-road.eu/xsd/xroad.xsd\" \
         xmlns:id=\"http://x-road.eu/xsd/identifiers\"><e:Header><x:client id:objectType=\"SUBSYSTEM\">{}</x:client>\
         <x:service id:objectType=\"SERVICE\">{}<id:serviceCode>{}</id:serviceCode>\
         <id:serviceVersion>{}</id:serviceVersion></x:service>{header}<x:id>m-1</x:id>\
         <x:protocolVersion>4.0</x:protocolVersion></e:Header><e:Body><{}/></e:Body></e:Envelope>",
        client(("100", "consumer")),
        client(provider),
        service.0,
        service.1,
        service.0,
    )
}

/// A POST of `body` with header lines `extra`.
pub fn post(content_type: &str, extra: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST / HTTP/1.1\r\nHost: ss\r\nContent-Type: {content_type}\r\n{extra}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// A plain SOAP call of a service of the provider.
pub fn call(code: &str) -> Vec<u8> {
    post("text/xml; charset=UTF-8", "", envelope(("200", "provider"), (code, "v1"), "").as_bytes())
}
