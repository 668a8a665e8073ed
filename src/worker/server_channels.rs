//! The server's end of a multiplexed connection: each channel is served as a connection is.

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;

use tokio::task::spawn_local;
use tokio::time::timeout;

use super::connection::Connection;
use super::exchange::{Handler, PeerInfo, ServerExchange};
use super::multiplex::{ChannelEnd, Session};
use super::open::OpenConnections;
use super::server::{FIRST_REQUEST, Site, requests};
use super::workers::Phase;

/// Serves all channels until the connection ends.
pub(super) async fn serve_channels<H: Handler>(site: &Rc<Site<H>>, connection: Connection, peer: PeerInfo) {
    let Some(established) = connection.into_established() else { return };
    let session = Session::server(established, site.place, site.timeouts.idle);
    let peer = Rc::new(peer);
    let served = Rc::new(Cell::new(0));
    let accepting = async {
        while let Some(channel) = session.accept().await {
            // One may always be served: connections that fill a worker would else wait for each other.
            if served.get() > 0 {
                site.open.room().await;
                site.admission.opened().await;
            }
            serve_channel(site, channel, &peer, &served);
        }
    };
    tokio::select! {
        () = accepting => {}
        () = leaving(site, &session) => {}
    }
    // What was answered last is still to be written.
    let _ = timeout(site.timeouts.write, session.gone()).await;
}

fn serve_channel<H: Handler>(
    site: &Rc<Site<H>>,
    channel: ChannelEnd,
    peer: &Rc<PeerInfo>,
    served: &Rc<Cell<usize>>,
) {
    let (connection, peer) = (Connection::of_channel(channel), Rc::clone(peer));
    let exchange = ServerExchange::new(connection, peer, site.timeouts, site.stop.clone());
    let (site, open) = (Rc::clone(site), OpenConnections::enter(&site.open));
    let served = Served::one_more(served);
    spawn_local(async move {
        requests(&site, exchange).await;
        drop((open, served));
    });
}

/// A channel that is served, as long as the value lives.
struct Served(Rc<Cell<usize>>);

impl Served {
    fn one_more(served: &Rc<Cell<usize>>) -> Self {
        served.set(served.get() + 1);
        Self(Rc::clone(served))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// Tells the client that a stop comes, and ends the connection when it does and no channel is left.
async fn leaving<H>(site: &Site<H>, session: &Session) {
    let mut stop = site.stop.clone();
    if stop.wait_for(|phase| *phase >= Phase::Leaving).await.is_err() {
        return pending().await;
    }
    session.announce_leaving();
    let _ = stop.wait_for(|phase| *phase == Phase::Draining).await;
    // A client that has just connected is going to ask.
    let _ = timeout(FIRST_REQUEST, session.first_channel()).await;
    session.none_left().await;
    session.close();
}
