//! A FIDO key in an SSH agent, as OpenSSH's server sees it: the token is played, its signatures are real.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test's own functions may fail loudly"
)]

mod support;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use berth_remote::{ExecLimits, Lane, Session, SignIn};
use russh::keys::{
    PublicKey,
    signature::Signer,
    ssh_key::{
        private::Ed25519Keypair,
        public::{KeyData, SkEd25519},
    },
};
use sha2::{Digest, Sha256};
use support::Sshd;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixListener,
};

const KIND: &[u8] = b"sk-ssh-ed25519@openssh.com";
const APPLICATION: &str = "ssh:";

fn string(bytes: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}

fn take<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let (length, rest) = bytes.split_at(4);
    let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
    let (value, rest) = rest.split_at(length);
    *bytes = rest;
    value
}

/// What a token signs (OpenSSH's PROTOCOL.u2f): the application, whether somebody touched it, a counter, the
/// message; and the signature in the form of SSH.
fn signature(token: &Ed25519Keypair, message: &[u8], touched: bool, counter: u32) -> Vec<u8> {
    let flags = u8::from(touched);
    let mut signed = Sha256::digest(APPLICATION.as_bytes()).to_vec();
    signed.push(flags);
    signed.extend_from_slice(&counter.to_be_bytes());
    signed.extend_from_slice(&Sha256::digest(message));
    let by_token = token.try_sign(&signed).unwrap();
    let mut out = string(KIND);
    out.extend(string(by_token.as_bytes()));
    out.push(flags);
    out.extend_from_slice(&counter.to_be_bytes());
    out
}

/// An agent with one key, which is in a token (draft-miller-ssh-agent: 11 asks for keys, 13 for a signature).
fn agent(socket: &std::path::Path, blob: Vec<u8>, touched: bool) -> Arc<AtomicUsize> {
    let listener = UnixListener::bind(socket).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        let token = Ed25519Keypair::from_seed(&[42; 32]);
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            while let Ok(length) = stream.read_u32().await {
                let mut frame = vec![0; length as usize];
                stream.read_exact(&mut frame).await.unwrap();
                let answer = match frame.split_first() {
                    Some((11, _)) => {
                        let mut answer = vec![12, 0, 0, 0, 1];
                        answer.extend(string(&blob));
                        answer.extend(string(b"a token"));
                        answer
                    }
                    Some((13, mut rest)) => {
                        assert_eq!(take(&mut rest), blob, "the key that was shown");
                        let message = take(&mut rest);
                        let n = count.fetch_add(1, Ordering::Relaxed);
                        let mut answer = vec![14];
                        answer.extend(string(&signature(&token, message, touched, n as u32 + 1)));
                        answer
                    }
                    _ => vec![5],
                };
                stream.write_all(&string(&answer)).await.unwrap();
            }
        }
    });
    asked
}

#[tokio::test]
async fn a_fido_key_signs_through_the_agent() {
    let Some(sshd) = Sshd::start("") else { return };
    let token = Ed25519Keypair::from_seed(&[42; 32]);
    let key = PublicKey::from(KeyData::SkEd25519(SkEd25519::new(
        token.public,
        APPLICATION.to_owned(),
    )));
    fs::write(sshd.at("authorized_keys"), key.to_openssh().unwrap()).unwrap();
    let blob = key.to_bytes().unwrap();

    let socket = sshd.at("agent");
    let asked = agent(&socket, blob.clone(), true);
    let sign_in = SignIn {
        agent: Some(socket),
        ..SignIn::default()
    };
    let session = Session::connect(&sshd.address(), &sign_in, &sshd.known(), Lane::Control)
        .await
        .unwrap_or_else(|e| panic!("{e}\n{}", sshd.log()));
    assert_eq!(session.sign_in_way(), "agent (a token)");
    let output = session
        .exec("echo on", None, ExecLimits::default())
        .await
        .unwrap();
    assert_eq!(output.stdout, b"on\n");
    assert_eq!(
        asked.load(Ordering::Relaxed),
        1,
        "each signature is a touch of somebody's finger"
    );

    let untouched = sshd.at("untouched");
    agent(&untouched, blob, false);
    let sign_in = SignIn {
        agent: Some(untouched),
        ..SignIn::default()
    };
    let e = sshd.refusal(&sign_in, &sshd.known()).await;
    assert!(
        e.to_string().contains("agent (a token)"),
        "a token that nobody touched opens nothing, so what is sent is really looked at: {e}"
    );
}
