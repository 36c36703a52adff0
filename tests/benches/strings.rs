//! Writing one instance's connection strings in every format, as the window's list of them does: it has to be done in less than a
//! millisecond.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends where it cannot measure"
)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use berth_core::{
    Secret,
    connection::{Parts, formats},
};

/// Samples, each of every format.
const SAMPLES: usize = 5000;

fn main() {
    // As long as a password may be, and of what grammars have to quote.
    let password = Secret::from("\"}'$<%\\ ;=".repeat(12));
    let mut parts = Parts::new("127.0.0.1", 14330, "orders_app", password);
    parts.database = Some("orders".into());
    parts.app = Some("bench".into());
    let mut refused = 0;
    let mut times: Vec<Duration> = (0..SAMPLES)
        .map(|_| {
            refused = 0;
            let began = Instant::now();
            for format in formats() {
                match format.write(black_box(&parts)) {
                    Ok(text) => {
                        black_box((text.reveal(), text.pieces(), text.explain()));
                    }
                    Err(_) => refused += 1,
                }
            }
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    let at = |part: usize| times[SAMPLES * part / 100].as_secs_f64() * 1e6;
    println!(
        "\nall {} formats of one instance ({refused} of them refuse this password), with their explanations; {SAMPLES} samples\n\
         median {:.0} µs, 10 % to 90 %: {:.0} to {:.0} µs; to be: under 1000 µs",
        formats().len(),
        at(50),
        at(10),
        at(90)
    );
}
