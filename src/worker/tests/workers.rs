//! Starting, stopping, listening.

use super::*;

fn config(kind: RuntimeKind, listeners: Vec<ListenerConfig>) -> WorkerConfig {
    WorkerConfig { workers: 2, listeners, ..WorkerConfig::new(kind) }
}

fn answers_of(entered: &Arc<Notify>, proceed: &Arc<Notify>) -> impl Fn(usize) -> Rc<Answers> + use<> {
    let (entered, proceed) = (Arc::clone(entered), Arc::clone(proceed));
    move |_| Rc::new(Answers { entered: Arc::clone(&entered), proceed: Arc::clone(&proceed) })
}

#[test]
fn a_second_server_on_the_address_is_refused_with_the_address() {
    on_both(|kind| {
        let (workers, address) = start(kind, None, ServerTimeouts::default());
        let listener = ListenerConfig::new(address, Role::InformationSystem);
        let second = run_workers(config(kind, vec![listener]), |_| Rc::new(Answers::default()));
        match second {
            Err(error @ WorkerError::PortInUse(used)) => {
                assert_eq!(used, address);
                assert_eq!(error.to_string(), format!("port in use: {address}"));
            }
            other => panic!("{other:?}"),
        }
        stop(workers);
        // Free again, also with connections of before in TIME_WAIT.
        let listener = ListenerConfig::new(address, Role::InformationSystem);
        stop(run_workers(config(kind, vec![listener]), |_| Rc::new(Answers::default())).unwrap());
    });
}

#[test]
fn an_address_of_somebody_else_is_refused() {
    let foreign: SocketAddr = "192.0.2.1:5500".parse().unwrap();
    let listener = ListenerConfig::new(foreign, Role::SecurityServer);
    let failed = run_workers(config(RuntimeKind::Epoll, vec![listener]), |_| Rc::new(Answers::default()));
    assert!(matches!(failed, Err(WorkerError::Bind { address, .. }) if address == foreign), "{failed:?}");
}

#[test]
fn every_role_has_its_address() {
    on_both(|kind| {
        let roles = [Role::InformationSystem, Role::OcspResponder];
        let listeners = roles.map(|role| ListenerConfig::new(loopback(), role)).to_vec();
        let workers = run_workers(config(kind, listeners), |_| Rc::new(Answers::default())).unwrap();
        for ((role, address), expected) in workers.addresses().iter().zip(roles) {
            assert_eq!(*role, expected);
            let answer = talk(*address, b"GET /peer HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
            assert!(answer.ends_with(&format!("0 false {expected:?}")), "{answer}");
        }
        stop(workers);
    });
}

#[test]
fn serves_a_socket_that_was_passed_in() {
    on_both(|kind| {
        let socket = Arc::new(TcpListener::bind(loopback()).unwrap());
        let address = socket.local_addr().unwrap();
        let source = ListenerSource::Inherited(vec![socket]);
        let listener = ListenerConfig { source, ..ListenerConfig::new(address, Role::Health) };
        let workers = run_workers(config(kind, vec![listener]), |_| Rc::new(Answers::default())).unwrap();
        for _ in 0..8 {
            let answer = talk(address, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
        stop(workers);
    });
}

#[test]
fn a_stop_lets_running_exchanges_finish_and_closes_idle_connections() {
    on_both(|kind| {
        let (entered, proceed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let listener = ListenerConfig::new(loopback(), Role::InformationSystem);
        let workers = run_workers(config(kind, vec![listener]), answers_of(&entered, &proceed)).unwrap();
        let address = workers.addresses()[0].1;
        let mut idle = connect(address);
        idle.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        read_until(&mut idle, "\r\n\r\n");
        let mut busy = connect(address);
        busy.write_all(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        as_worker(RuntimeKind::Epoll, entered.notified());
        workers.stop();
        assert_eq!(idle.read(&mut [0]).unwrap(), 0);
        proceed.notify_one();
        let mut answer = String::new();
        busy.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("\r\nConnection: close\r\n") && answer.ends_with("done"), "{answer}");
        workers.join();
        assert!(TcpStream::connect(address).is_err());
    });
}

#[test]
fn a_stop_cuts_what_takes_longer_than_the_drain_time() {
    on_both(|kind| {
        let (entered, proceed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let listener = ListenerConfig::new(loopback(), Role::InformationSystem);
        let config = WorkerConfig { drain: Duration::from_millis(30), ..config(kind, vec![listener]) };
        let workers = run_workers(config, answers_of(&entered, &proceed)).unwrap();
        let mut busy = connect(workers.addresses()[0].1);
        busy.write_all(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        as_worker(RuntimeKind::Epoll, entered.notified());
        stop(workers);
        let mut answer = Vec::new();
        let _ = busy.read_to_end(&mut answer);
        assert!(answer.is_empty());
    });
}

#[test]
fn the_choice_of_the_runtime_says_why() {
    let (kind, why) = choose("epoll".parse().unwrap()).unwrap();
    assert_eq!((kind, why.as_str()), (RuntimeKind::Epoll, "epoll is demanded by the configuration"));
    let (auto, why) = choose(RuntimeChoice::Auto).unwrap();
    match (auto, choose(RuntimeChoice::IoUring)) {
        (RuntimeKind::IoUring, forced) => assert!(forced.is_ok()),
        (RuntimeKind::Epoll, Err(refused)) => assert!(why.ends_with(&refused.to_string()), "{why} {refused}"),
        (RuntimeKind::Epoll, Ok(_)) => panic!("{why}"),
    }
    assert!("fast".parse::<RuntimeChoice>().is_err());
}

#[test]
fn workers_start_from_inside_another_runtime() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        for kind in [RuntimeChoice::Auto, RuntimeChoice::Epoll] {
            let (kind, _) = choose(kind).unwrap();
            stop(start(kind, None, ServerTimeouts::default()).0);
        }
    });
}

/// Sockets on one address, as units with `ReusePort=yes` hold them.
fn reuseport(count: usize) -> (Vec<Arc<TcpListener>>, SocketAddr) {
    let mut address = loopback();
    let sockets = (0..count).map(|_| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&address.into()).unwrap();
        socket.listen(64).unwrap();
        let socket = TcpListener::from(socket);
        address = socket.local_addr().unwrap();
        Arc::new(socket)
    });
    (sockets.collect(), address)
}

#[test]
fn no_socket_of_a_set_is_without_a_worker() {
    on_both(|kind| {
        for count in [1, 2, 3, 5] {
            let (sockets, address) = reuseport(count);
            let source = ListenerSource::Inherited(sockets);
            let listener = ListenerConfig { source, ..ListenerConfig::new(address, Role::Health) };
            let workers = run_workers(config(kind, vec![listener]), |_| Rc::new(Answers::default())).unwrap();
            for _ in 0..32 {
                let answer = talk(address, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
                assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            }
            assert_eq!(workers.duplicate_sockets().iter().flatten().count(), count);
            stop(workers);
        }
    });
}

#[test]
fn leaving_serves_everybody_and_says_that_connections_close() {
    on_both(|kind| {
        let (workers, address) = start(kind, None, ServerTimeouts::default());
        let request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
        let mut kept = connect(address);
        kept.write_all(request).unwrap();
        assert!(!read_until(&mut kept, "\r\n\r\n").contains("Connection: close"));
        let mut idle = connect(address);
        idle.write_all(request).unwrap();
        read_until(&mut idle, "\r\n\r\n");
        let workers = &workers;
        std::thread::scope(|scope| {
            let leaving = scope.spawn(|| workers.leave(false));
            // Answered with the word, whether it comes before or after the beginning: until then it is asked again.
            let mut told = String::new();
            while !told.contains("Connection: close") {
                kept.write_all(request).unwrap();
                told = read_until(&mut kept, "\r\n\r\n");
            }
            assert_eq!(kept.read(&mut [0]).unwrap(), 0);
            assert!(talk(address, request).contains("\r\nConnection: close\r\n"), "a new one is served");
            leaving.join().unwrap();
            // One that nobody has used is not closed before, and would still be served.
            assert!(idle.set_nonblocking(true).is_ok() && idle.read(&mut [0]).is_err());
            idle.set_nonblocking(false).unwrap();
        });
        workers.stop();
        assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn moving_leaves_new_connections_to_whoever_else_has_the_sockets() {
    on_both(|kind| {
        let (workers, address) = start(kind, None, ServerTimeouts::default());
        let sockets: Vec<_> = workers.duplicate_sockets().into_iter().flatten().map(Arc::new).collect();
        workers.leave(true);
        let mut new = connect(address);
        new.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
        stop(workers);
        let source = ListenerSource::Inherited(sockets);
        let listener = ListenerConfig { source, ..ListenerConfig::new(address, Role::Health) };
        let successor = run_workers(config(kind, vec![listener]), |_| Rc::new(Answers::default())).unwrap();
        let mut answer = String::new();
        new.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        stop(successor);
    });
}

#[test]
fn a_client_that_has_just_connected_is_served_when_a_stop_begins() {
    on_both(|kind| {
        let (workers, address) = start(kind, None, ServerTimeouts::default());
        let mut new = connect(address);
        // It was accepted: the next connection on either worker is answered.
        for _ in 0..8 {
            talk(address, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        }
        workers.stop();
        new.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        let mut answer = String::new();
        new.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
        workers.join();
    });
}

#[test]
fn sockets_that_were_duplicated_go_on_listening_for_a_successor() {
    on_both(|kind| {
        let (workers, address) = start(kind, None, ServerTimeouts::default());
        let sockets: Vec<_> = workers.duplicate_sockets().into_iter().flatten().collect();
        assert_eq!(sockets.len(), 2);
        stop(workers);
        let mut waiting = connect(address);
        waiting.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
        let source = ListenerSource::Inherited(sockets.into_iter().map(Arc::new).collect());
        let listener = ListenerConfig { source, ..ListenerConfig::new(address, Role::Health) };
        let successor = run_workers(config(kind, vec![listener]), |_| Rc::new(Answers::default())).unwrap();
        let mut answer = String::new();
        waiting.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        stop(successor);
        assert!(TcpStream::connect(address).is_err());
    });
}

#[test]
fn the_pulse_of_every_worker_goes_on() {
    on_both(|kind| {
        let beat = Duration::from_millis(5);
        let config = WorkerConfig { beat, ..config(kind, Vec::new()) };
        let workers = run_workers(config, |_| Rc::new(Answers::default())).unwrap();
        let began = std::time::Instant::now();
        while workers.pulse().read().iter().any(|beats| *beats < 3) {
            assert!(began.elapsed() < PATIENCE, "{:?}", workers.pulse());
            std::thread::yield_now();
        }
        stop(workers);
    });
}
