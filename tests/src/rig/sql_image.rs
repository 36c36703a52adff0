//! The practice host's SQL engine as a Linux image `FROM scratch`, under the official image's name too, so
//! that a Linux host of the rig has it without a registry.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::Command,
};

use super::programs;

/// The official image's name, which `berth up` asks for on a Linux host.
pub const OFFICIAL: &str = "mcr.microsoft.com/mssql/server:2022-latest";

/// What `docker import` must add so that the image starts as the official one does.
pub const CHANGES: &[&str] = &[
    "ENTRYPOINT [\"/opt/mssql/bin/sqlservr\"]",
    "USER 10001",
    "EXPOSE 1433",
    "ENV PATH=/opt/mssql/bin",
];

/// The image's files as one tar archive, for `docker import`. Packed once for each build of the engine and
/// kept beside it; tests that ask at the same time wait for the first.
///
/// # Panics
/// When the engine was not built or cannot be packed.
#[must_use]
pub fn archive() -> PathBuf {
    let built = programs::built("practice-sqlservr");
    let folder = built.with_file_name("rig");
    fs::create_dir_all(&folder).expect("the target folder can be written");
    let lock =
        File::create(folder.join("sql-image.lock")).expect("the target folder can be written");
    lock.lock().expect("a lock can be had");
    let archive = folder.join("sql-image.tar");
    let made = |path: &Path| fs::metadata(path).and_then(|about| about.modified()).ok();
    let fixed = folder.join("sqlservr");
    // Where only some tests are run nobody linked it again: then the other one, with its libraries.
    let program = if made(&fixed) >= made(&built) {
        fixed
    } else {
        built
    };
    if made(&archive) < made(&program) {
        let fresh = folder.join("sql-image.new");
        pack(&program, &fresh);
        fs::rename(&fresh, &archive).expect("a file can be renamed in its folder");
    }
    archive
}

fn pack(program: &Path, archive: &Path) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let slim = folder.path().join("sqlservr");
    programs::run(Command::new("strip").arg("-o").arg(&slim).arg(program));

    let out = BufWriter::new(File::create(archive).expect("the target folder can be written"));
    let mut tar = tar::Builder::new(out);
    tar.follow_symlinks(true);
    for (path, mode, user) in [
        ("tmp", 0o1777, 0),
        ("var/opt/mssql", 0o770, 10001),
        ("opt/mssql/bin", 0o755, 0),
        ("etc", 0o755, 0),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(mode);
        header.set_uid(user);
        header.set_gid(0);
        header.set_size(0);
        tar.append_data(&mut header, path, std::io::empty())
            .expect("the archive can be written");
    }
    let mut file = |path: &str, bytes: &[u8], mode: u32| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, path, bytes)
            .expect("the archive can be written");
    };
    file(
        "etc/passwd",
        b"root:x:0:0:root:/:/\nmssql:x:10001:0::/var/opt/mssql:/\n",
        0o644,
    );
    file("etc/group", b"root:x:0:\n", 0o644);
    file(
        "opt/mssql/bin/sqlservr",
        &fs::read(&slim).expect("strip wrote it"),
        0o755,
    );
    // None for what `tests/prepare/sql-image.sh` linked.
    for library in libraries(program) {
        let bytes = fs::read(&library).expect("the loader found it there");
        file(library.trim_start_matches('/'), &bytes, 0o755);
    }
    tar.into_inner()
        .and_then(|mut out| out.flush())
        .expect("the archive can be written");
}

/// What the loader would load, the loader itself included; nothing for a static program.
fn libraries(program: &Path) -> Vec<String> {
    let output = Command::new("ldd")
        .arg(program)
        .output()
        .expect("a Linux with a C library has ldd");
    String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(str::to_owned)
        .collect()
}
