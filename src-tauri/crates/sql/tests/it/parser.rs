//! Every statement passes Microsoft's own T-SQL parser, in every version from 2014 to 2025.

use std::{path::PathBuf, process::Command};

use berth_sql::{batches, statements};

fn sqlclient() -> Option<PathBuf> {
    let folder = std::env::var_os("BERTH_TOOLS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/tools/dotnet"),
        PathBuf::from,
    );
    let tool = folder.join("sqlclient");
    if tool.is_file() {
        return Some(tool);
    }
    eprintln!(
        "SKIPPED: no `{}`, so no statement was parsed",
        tool.display()
    );
    None
}

#[test]
fn every_statement_parses_in_every_version() {
    let Some(tool) = sqlclient() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (name, text) in statements::all_for_check() {
        assert_eq!(batches(&text).len(), 1, "`{name}` is sent in one go");
        let file = dir.path().join(format!("{name}.sql"));
        std::fs::write(&file, text).unwrap();
        files.push(file);
    }
    assert!(
        files.len() >= 10,
        "the list of statements must not have become empty"
    );
    let output = Command::new(&tool)
        .arg("check")
        .args(&files)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );

    let bad = dir.path().join("bad.sql");
    std::fs::write(&bad, "ALTER LOGIN sa WITH PASSWORD = it's").unwrap();
    let refused = Command::new(&tool).arg("check").arg(&bad).output().unwrap();
    assert!(
        !refused.status.success(),
        "a parser that takes anything shows nothing"
    );
}
