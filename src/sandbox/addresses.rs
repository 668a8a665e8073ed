//! Free loopback addresses. Global configuration carries no ports, so every security server needs an address of its own.
//!
//! A block 127.a.b.0/24 is claimed by really listening on the services' ports of its first address; what is left to
//! probe are the ports of the security servers, which other processes bind a moment later.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use super::error::SandboxError;
use super::plan::{Plan, ports};

/// Blocks tried before giving up.
const ATTEMPTS_MAX: u64 = 64;

/// A claimed block and the listeners that claim it, in the order of [`ports::SERVICES`].
pub struct Claim {
    /// Second and third byte of the block.
    pub block: (u8, u8),
    /// One listener per service port.
    pub listeners: Vec<TcpListener>,
}

/// Claims a block for a sandbox in `directory`: the kept one, or else the first free one in an order that depends on
/// the directory and the process, so that sandboxes started together do not meet.
///
/// # Errors
/// [`SandboxError::Addresses`] when the kept block is in use or no free one is found.
pub fn claim(directory: &Path, kept: Option<(u8, u8)>, servers: usize) -> Result<Claim, SandboxError> {
    if let Some(block) = kept {
        return try_block(block, servers).map_err(|reason| {
            SandboxError::Addresses(format!("the kept sandbox cannot have its addresses back: {reason}"))
        });
    }
    let seed = format!("{}\0{}", directory.display(), std::process::id());
    let mut reason = String::new();
    for attempt in 0..ATTEMPTS_MAX {
        let digest = crate::crypto::sha256(format!("{seed}\0{attempt}").as_bytes());
        // 127.0 is where everybody else lives; 127.255 ends in the broadcast address.
        let block = (1 + digest[0] % 254, digest[1]);
        match try_block(block, servers) {
            Ok(claim) => return Ok(claim),
            Err(why) => reason = why,
        }
    }
    Err(SandboxError::Addresses(format!("no free loopback addresses after {ATTEMPTS_MAX} tries: {reason}")))
}

fn try_block(block: (u8, u8), servers: usize) -> Result<Claim, String> {
    let plan = Plan::new(servers, block);
    let mut listeners = Vec::with_capacity(ports::SERVICES.len());
    for port in ports::SERVICES {
        let listener = bind(plan.services_address, port)?;
        listener.set_nonblocking(true).map_err(|e| e.to_string())?;
        listeners.push(listener);
    }
    for server in &plan.servers {
        for port in ports::SECURITY_SERVER {
            bind(server.address, port)?;
        }
    }
    Ok(Claim { block, listeners })
}

fn bind(address: Ipv4Addr, port: u16) -> Result<TcpListener, String> {
    TcpListener::bind((address, port)).map_err(|e| match e.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("{address}:{port} is in use (perhaps by a listener on all addresses)")
        }
        _ => format!("{address}:{port}: {e}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sandboxes_get_different_blocks_and_a_kept_block_in_use_is_refused() {
        let first = claim(Path::new("one"), None, 2).unwrap();
        let second = claim(Path::new("one"), None, 2).unwrap();
        assert_ne!(first.block, second.block);
        assert!(matches!(claim(Path::new("one"), Some(first.block), 2), Err(SandboxError::Addresses(_))));
        let block = first.block;
        drop(first);
        assert_eq!(claim(Path::new("one"), Some(block), 2).unwrap().block, block);
    }
}
