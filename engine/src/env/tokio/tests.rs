//! Ports that everybody on the machine can reach: who may connect, and what strangers can do.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "strangers are real sockets, in real time")]

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use object_store::memory::InMemory;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UnixListener};

use super::super::{Address, Env, Frame, NetError, Port, Secret};
use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn env(secret: &Secret) -> Env {
    let memory = || Arc::new(InMemory::new());
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let world = TokioWorld::new(anywhere, secret.clone(), memory(), memory(), std::env::temp_dir(), |_| {});
    Env::real("tm-1".into(), 1, 0, world)
}

fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("it hangs") });
}

async fn listener(env: &Env) -> (Listener, Address) {
    let listener = env.listen(Port::Data).await.unwrap();
    let address = listener.address();
    (listener, address)
}

/// Accepts connections for ever and sends the first frame of each back.
async fn echo(mut listener: Listener) {
    loop {
        let mut connection = listener.accept().await.unwrap();
        let frame = connection.receiver.receive().await.unwrap();
        connection.sender.send(frame).await.unwrap();
    }
}

/// Checks that a process of the run can connect.
async fn works(env: &Env, address: &Address) {
    let mut connection = env.connect(address, PATIENCE).await.unwrap();
    let frame = Frame { head: Bytes::from_static(b"head"), body: Bytes::from(vec![5; 3 << 20]) };
    connection.sender.send(frame.clone()).await.unwrap();
    assert_eq!(connection.receiver.receive().await, Ok(frame));
}

#[test]
fn processes_of_one_run_reach_each_other_and_those_of_another_do_not() {
    block_on(async {
        let secret = Secret::random().unwrap();
        let (near, stranger) = (env(&secret), env(&Secret::random().unwrap()));
        let (listener, address) = listener(&env(&secret)).await;
        tokio::spawn(echo(listener));
        works(&near, &address).await;
        assert_eq!(stranger.connect(&address, PATIENCE).await.err(), Some(NetError::Stranger));
        works(&near, &address).await;
    });
}

#[test]
fn a_port_that_somebody_else_took_is_not_trusted() {
    block_on(async {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address(taken.local_addr().unwrap().to_string());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = taken.accept().await.unwrap();
                // Bytes that look like an answer, and then nothing more.
                let answer = [&64_u32.to_le_bytes()[..], &[0], &[9; 64]].concat();
                stream.write_all(&answer).await.unwrap();
                tokio::spawn(async move { stream.read_to_end(&mut Vec::new()).await });
            }
        });
        let refused = env(&Secret::random().unwrap()).connect(&address, PATIENCE).await.err();
        assert_eq!(refused, Some(NetError::Stranger));
    });
}

/// A stranger stands where a process of the run was expected, and relays every message to the right process.
#[test]
fn somebody_who_passes_words_on_to_the_right_process_is_not_trusted() {
    block_on(async {
        let secret = Secret::random().unwrap();
        let (listener, honest) = listener(&env(&secret)).await;
        tokio::spawn(echo(listener));
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address(taken.local_addr().unwrap().to_string());
        tokio::spawn(async move {
            let (mut near, _) = taken.accept().await.unwrap();
            let mut far = TcpStream::connect(&honest.0).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        });
        assert_eq!(env(&secret).connect(&address, PATIENCE).await.err(), Some(NetError::Stranger));
    });
}

#[test]
fn many_who_only_wait_keep_nobody_out() {
    block_on(async {
        let secret = Secret::random().unwrap();
        let near = env(&secret);
        let (listener, address) = listener(&near).await;
        tokio::spawn(echo(listener));
        let mut waiting = Vec::new();
        for _ in 0..300 {
            waiting.push(TcpStream::connect(&address.0).await.unwrap());
        }
        let began = Instant::now();
        works(&near, &address).await;
        assert!(began.elapsed() < GREETING_TIMEOUT, "it waited for others: {:?}", began.elapsed());
        // All but the newest connections were dropped.
        let mut gone = 0;
        for stream in &mut waiting[..300 - GREETING_MAX] {
            gone += usize::from(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
        }
        assert_eq!(gone, 300 - GREETING_MAX);
    });
}

#[test]
fn a_long_frame_that_was_only_announced_takes_no_memory_and_is_refused() {
    block_on(async {
        let secret = Secret::random().unwrap();
        let near = env(&secret);
        let (listener, address) = listener(&near).await;
        tokio::spawn(echo(listener));
        for announced in [65_u32, FRAME_BYTES_MAX, u32::MAX] {
            let mut stream = TcpStream::connect(&address.0).await.unwrap();
            stream.write_all(&[&announced.to_le_bytes()[..], &[0]].concat()).await.unwrap();
            assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)), "AUTH-2: {announced}");
        }
        works(&near, &address).await;
    });
}

/// Handshake messages with random edits, each over a new connection; `FLOWQUAKE_FUZZ_INPUTS` sets a higher number.
#[test]
fn mutated_greetings_neither_get_in_nor_keep_anybody_out() {
    let inputs = std::env::var("FLOWQUAKE_FUZZ_INPUTS").map_or(300, |inputs| inputs.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let secret = Secret::random().unwrap();
        let near = env(&secret);
        let (listener, address) = listener(&near).await;
        tokio::spawn(echo(listener));
        let good =
            [&40_u32.to_le_bytes()[..], &[0], b"FLQCONN1", &[3; 32], &32_u32.to_le_bytes(), &[0], &[4; 32]].concat();
        for input in 0..inputs {
            let mut words = good.clone();
            for edit in 0..=super::super::draw(0, "edits", input, 0) % 4 {
                let drawn = super::super::draw(0, "edit", input, edit);
                let at = (drawn >> 32) as usize % words.len();
                match drawn % 4 {
                    0 => words[at] = drawn as u8,
                    1 => words[at] = 0xff,
                    2 => words.truncate(at.max(1)),
                    _ => words.extend_from_within(at..),
                }
            }
            let mut stream = TcpStream::connect(&address.0).await.unwrap();
            // Writing fails if the other end has already closed.
            let _ = stream.write_all(&words).await;
            drop(stream);
        }
        works(&near, &address).await;
    });
}

#[test]
fn log_lines_tell_the_time_as_people_do() {
    assert_eq!(calendar(Time(1_796_000_000_123_456_789)).to_string(), "2026-11-30T00:53:20.123456Z");
}

/// Events arrive in the order of their emission, an emitter waits for its answer, and an observer that disconnects
/// lets all emitters go on.
#[test]
fn an_emitter_waits_for_the_answer_of_whoever_observes_it() {
    use crate::event::Event;
    use crate::ids::Attempt;

    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("observer");
        assert!(EventStream::connect(&socket).await.is_err(), "nobody listens");
        let listener = UnixListener::bind(&socket).unwrap();
        let memory = || Arc::new(InMemory::new());
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let local = folder.path().to_owned();
        let world = TokioWorld::new(anywhere, Secret::random().unwrap(), memory(), memory(), local, |_| {});
        let stream = EventStream::connect(&socket).await.unwrap();
        let env = Env::real("tm-1".into(), 3, 0, world.telling(stream));
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);

        let emits = env.clone();
        let emitted = tokio::spawn(async move {
            for attempt in 1..=3 {
                emits.emit(Event::JobRunning { attempt: Attempt(attempt) }).await;
            }
        });
        for attempt in 1..=2 {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            let record: EventRecord = serde_json::from_str(&line).unwrap();
            assert_eq!((record.node.as_str(), record.incarnation), ("tm-1", 3));
            assert_eq!(record.event, Event::JobRunning { attempt: Attempt(attempt) });
            let unasked = tokio::time::timeout(Duration::from_millis(50), stream.fill_buf()).await;
            assert!(unasked.is_err(), "STREAM-1: the next event does not come before this one is answered");
            stream.get_mut().write_all(&[0]).await.unwrap();
        }
        assert!(!emitted.is_finished(), "the third one is not answered");
        drop(stream);
        emitted.await.expect("STREAM-2: it is let go");
        env.emit(Event::JobRunning { attempt: Attempt(4) }).await;
    });
}
