//! An address of this host, for `securityServerInternalIp`.

use std::net::UdpSocket;

use crate::time::UnixTime;

/// How long an address is believed, in seconds (X-Road 7.8: 10 minutes).
const BELIEVED_SECS: i64 = 600;

/// The address from which this host reaches others, looked up now and then.
#[derive(Debug, Default)]
pub struct InternalAddress {
    known: Option<(String, UnixTime)>,
}

impl InternalAddress {
    /// The address at `now`; `0.0.0.0` when there is none but loopback.
    pub fn at(&mut self, now: UnixTime) -> &str {
        let fresh = self.known.as_ref().is_some_and(|(_, at)| now < at.plus_secs(BELIEVED_SECS));
        if !fresh {
            self.known = Some((look_up().unwrap_or_else(|| "0.0.0.0".into()), now));
        }
        self.known.as_ref().map_or("0.0.0.0", |(address, _)| address)
    }
}

// The source address that the kernel would choose for addresses outside. Connecting a datagram socket sends nothing.
fn look_up() -> Option<String> {
    let of = |local: &str, remote: &str| {
        let socket = UdpSocket::bind(local).ok()?;
        socket.connect(remote).ok()?;
        let address = socket.local_addr().ok()?.ip();
        (!address.is_loopback() && !address.is_unspecified()).then(|| address.to_string())
    };
    // Addresses that are reserved for documentation.
    of("0.0.0.0:0", "192.0.2.1:9").or_else(|| of("[::]:0", "[2001:db8::1]:9"))
}
