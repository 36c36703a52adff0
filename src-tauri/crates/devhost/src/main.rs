//! Serves the window to a browser on 127.0.0.1: for development and tests, in no shipped bundle.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod serve;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use berth_agent::Paths;
use berth_core::{Error, Result};
use tokio::net::TcpListener;

const USAGE: &str = "usage: berth-devhost [--ui FOLDER] [--port N] [--berth PROGRAM]
  --ui FOLDER      the built window; ui/dist of this tree if it is not given
  --port N         on 127.0.0.1; any free one if it is not given
  --berth PROGRAM  what is started as the agent; the `berth` beside this program if it is not given";

struct Arguments {
    ui: PathBuf,
    port: u16,
    berth: Option<PathBuf>,
}

fn read(mut words: impl Iterator<Item = String>) -> Result<Arguments> {
    let mut arguments = Arguments {
        ui: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../ui/dist"),
        port: 0,
        berth: std::env::current_exe()
            .ok()
            .map(|me| me.with_file_name("berth"))
            .filter(|berth| berth.is_file()),
    };
    while let Some(word) = words.next() {
        let value = words
            .next()
            .ok_or_else(|| Error::usage(format!("`{word}` wants a value")).hint(USAGE))?;
        match word.as_str() {
            "--ui" => arguments.ui = value.into(),
            "--berth" => arguments.berth = Some(value.into()),
            "--port" => {
                arguments.port = value
                    .parse()
                    .map_err(|_| Error::usage(format!("`{value}` is no port")).hint(USAGE))?;
            }
            _ => return Err(Error::usage(format!("`{word}` is no option")).hint(USAGE)),
        }
    }
    Ok(arguments)
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            let mut text = format!("error: {e}\n");
            if let Some(hint) = e.what_to_do() {
                text.push_str(hint);
                text.push('\n');
            }
            let _ = std::io::stderr().write_all(text.as_bytes());
            ExitCode::from(e.code().exit())
        }
    }
}

async fn run() -> Result<()> {
    let arguments = read(std::env::args().skip(1))?;
    if !arguments.ui.join("index.html").is_file() {
        return Err(
            Error::not_found(format!("`{}` holds no window", arguments.ui.display()))
                .hint("Build it with `npm run build` in `ui`"),
        );
    }
    let berth = arguments.berth.ok_or_else(|| {
        Error::not_found("There is no `berth` beside this program to start as the agent")
            .hint("Build it with `cargo build -p berth-cli`, or name one with `--berth`")
    })?;
    let paths = Paths::of_this_user()?.served_by(berth);
    let listener = TcpListener::bind(("127.0.0.1", arguments.port))
        .await
        .map_err(|e| {
            Error::failed(format!("Port {} cannot be listened on", arguments.port))
                .because(e.to_string())
        })?;
    let site = serve::Site::new(&listener, arguments.ui, paths)?;
    // After `#`: a browser sends that part to nobody, and no log has it.
    let _ = std::io::stdout().write_all(format!("{}\n", site.address()).as_bytes());
    let _ = std::io::stdout().flush();
    tokio::select! {
        served = site.serve(listener) => served,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}
