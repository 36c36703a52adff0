//! What is left of a password in the process's memory when its connection strings are gone.
//!
//! As far as it can be shown: the pages that the system maps for this process are searched, after the strings of every format were
//! written, revealed and dropped. Registers and what the system swapped out are not seen.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test says what it expects by failing"
)]

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
};

use berth_core::{
    Secret,
    connection::{Parts, formats},
    secret::ExposeSecret,
};

/// The canary with every byte turned over, so that this program's own file and this test's own text do not hold it.
const TURNED: [u8; 24] = [
    0xa5, 0xae, 0xc8, 0x95, 0xbe, 0x8d, 0xcb, 0xa9, 0x98, 0x8f, 0xb3, 0xce, 0xa7, 0x95, 0xbb, 0x9b,
    0xcd, 0x8b, 0xb0, 0x89, 0xa8, 0x9d, 0x92, 0xca,
];

/// In a buffer of just its length, as every secret has to be: one that grows leaves copies behind.
fn canary() -> Secret {
    let mut text = String::with_capacity(TURNED.len());
    text.extend(TURNED.iter().map(|byte| char::from(!byte)));
    Secret::from(text)
}

/// How often the canary stands in memory that this process can write.
fn found() -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut memory = File::open("/proc/self/mem").unwrap();
    // What is read here is memory too: always the same buffer, and wiped.
    let mut page = vec![0_u8; 1 << 16];
    let mut count = 0;
    for line in maps.lines() {
        let mut words = line.split(' ');
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        if !rights.starts_with("rw") || line.ends_with("[vvar]") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let mut at = u64::from_str_radix(start, 16).unwrap();
        let end = u64::from_str_radix(end, 16).unwrap();
        while at < end {
            let length = (end - at).min(page.len() as u64) as usize;
            if memory.seek(SeekFrom::Start(at)).is_err()
                || memory.read_exact(&mut page[..length]).is_err()
            {
                break;
            }
            count += page[..length]
                .windows(TURNED.len())
                .filter(|window| {
                    window
                        .iter()
                        .zip(TURNED)
                        .all(|(byte, turned)| *byte == !turned)
                })
                .count();
            page.fill(0);
            // A little overlap, for what lies across the edge of two pieces.
            at += if length == page.len() {
                (length - TURNED.len()) as u64
            } else {
                length as u64
            };
        }
    }
    count
}

#[test]
fn nothing_of_a_password_is_left() {
    if File::open("/proc/self/mem").is_err() {
        eprintln!("SKIPPED: this process may not look at its own memory");
        return;
    }
    assert_eq!(found(), 0, "the canary is nowhere before it is made");
    let mut parts = Parts::new("127.0.0.1", 14330, "sa", canary());
    parts.database = Some("orders".into());
    assert!(
        found() >= 1,
        "a search that does not find what is there would prove nothing"
    );
    let mut written = 0;
    for format in formats() {
        let text = format.write(&parts).unwrap();
        let copy = text.clone();
        let whole = text.reveal();
        written += usize::from(whole.expose_secret().len() > 10);
        let _ = (
            copy.masked(),
            copy.pieces(),
            copy.explain(),
            format!("{copy:?}"),
        );
    }
    assert_eq!(written, formats().len());
    drop(parts);
    assert_eq!(
        found(),
        0,
        "every buffer that held the password has to be wiped: one of a format was not"
    );
}
