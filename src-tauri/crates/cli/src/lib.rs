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
    // clap ends the process itself for help (0) and for usage errors (2).
    let arguments = args::Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
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
