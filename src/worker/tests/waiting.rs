//! Messages that wait for a connection of the pool.

use super::tls::{make, source, to};
use super::*;

/// A way to `address` on which the first connection goes through and no other one gets an answer.
fn one_way(address: SocketAddr) -> (SocketAddr, JoinHandle<()>) {
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let through = move |near: TcpStream| {
        let far = TcpStream::connect(address).unwrap();
        let (mut from, mut to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        let back = std::thread::spawn(move || std::io::copy(&mut &far, &mut &near));
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Both);
        let _ = back.join();
        drop(stop);
    };
    let first: Box<dyn FnOnce(TcpStream) + Send> = Box::new(move |near| {
        near.set_read_timeout(None).unwrap();
        std::thread::spawn(move || through(near));
    });
    let held: Box<dyn FnOnce(TcpStream) + Send> = Box::new(move |near| {
        let _ = stopped.recv();
        drop(near);
    });
    scripted(vec![first, held])
}

#[test]
fn who_waits_gets_the_next_idle_connection_in_turn_whatever_new_ones_take() {
    on_both(|kind| {
        let tls = TlsServer::new(source(make("server", |_| {})), ClientAuth::None);
        let (workers, address) = start(kind, Some(Arc::new(tls)), ServerTimeouts::default());
        let (way, server) = one_way(address);
        as_worker(kind, async {
            let pool = Pool::new(PoolOptions::default());
            let target = to(way, &Arc::new(TlsClient::new(None)));
            let mut first = pool.acquire(&target, PATIENCE).await.unwrap();
            let served = Rc::new(std::cell::RefCell::new(Vec::new()));
            let tasks = [1, 2, 3].map(|turn| {
                let (pool, target, served) = (Rc::clone(&pool), target.clone(), Rc::clone(&served));
                tokio::task::spawn_local(async move {
                    let mut connection = pool.acquire(&target, PATIENCE).await.unwrap();
                    assert!(connection.reused());
                    get(&mut connection, "/stream").await.unwrap();
                    served.borrow_mut().push(turn);
                    connection.release();
                })
            });
            get(&mut first, "/stream").await.unwrap();
            first.release();
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(*served.borrow(), [1, 2, 3]);
            assert_eq!(pool.idle(), 1);
        });
        server.join().unwrap();
        stop(workers);
    });
}
