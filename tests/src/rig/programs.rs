//! Where the programs of this tree and of this machine are.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a folder of the repository")
        .to_owned()
}

/// A program that this workspace builds, such as `berth`. Cargo tells its path only to the package that owns
/// it, so it is taken from the folder of the running test: both come from one build.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn built(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a running program has a path");
    let folder = test
        .ancestors()
        .nth(2)
        .expect("a test lies in `deps`, below the programs");
    let program = folder.join(name);
    assert!(
        program.exists(),
        "`{}` is not there: build everything first, with `cargo build --workspace --all-targets`",
        program.display()
    );
    program
}

/// A program of the machine, looked for in `PATH` and where servers are kept.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The folder of Microsoft's parsers and drivers, beside the repository or where `BERTH_TOOLS` says.
#[must_use]
pub fn tools() -> Option<PathBuf> {
    let folder = env::var_os("BERTH_TOOLS")
        .map_or_else(|| root().join("../shared/tools/dotnet"), PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// What `make test` fetched: `.cache/NAME`.
#[must_use]
pub fn fetched(name: &str) -> Option<PathBuf> {
    let path = root().join(".cache").join(name);
    path.exists().then_some(path)
}

/// Runs a short command to its end and answers its standard output without the last line break.
///
/// # Panics
/// When it fails; the message has what it printed.
pub fn run(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?} did not start: {e}"));
    assert!(
        status.success(),
        "{command:?} ended with {status}:\n{}{}",
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr)
    );
    String::from_utf8_lossy(&stdout).trim_end().to_owned()
}
