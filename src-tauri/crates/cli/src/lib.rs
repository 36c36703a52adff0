//! The `berth` command: arguments in, table of commands called, words out.
//!
//! A library with a thin `main`, because the app's binary answers to the same name.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod args;
mod commands;
mod questions;
mod render;
mod session;

use std::process::ExitCode;

use clap::Parser;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    // Before anything opens a TLS connection: one provider for the whole process.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let arguments = match args::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(e) => {
            let _ = e.print();
            // 0 for help, 2 for usage; a command under `run` may end with 2 itself.
            let of_run = std::env::args_os()
                .skip(1)
                .find(|a| !a.to_string_lossy().starts_with('-'))
                .is_some_and(|a| a == "run");
            return match u8::try_from(e.exit_code()) {
                Ok(0) => ExitCode::SUCCESS,
                Ok(_) if of_run => ExitCode::from(commands::OWN_FAILURE),
                Ok(code) => ExitCode::from(code),
                Err(_) => ExitCode::FAILURE,
            };
        }
    };
    // One thread: an answer passes through several tasks, and to wake another thread for each takes longer than what they
    // do. Whatever blocks or computes has threads of its own.
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(e) => {
            render::error(
                &berth_core::Error::failed("Berth cannot start its threads").because(e.to_string()),
            );
            return ExitCode::from(1);
        }
    };
    let code = match runtime.block_on(Box::pin(commands::run(arguments))) {
        Ok(code) => code,
        Err(e) => {
            render::error(&e);
            e.code().exit()
        }
    };
    // A read of standard input may still be waiting on its thread.
    runtime.shutdown_background();
    ExitCode::from(code)
}
