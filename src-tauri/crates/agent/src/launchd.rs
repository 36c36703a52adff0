//! `berth agent install`: a LaunchAgent, so that strings work after login with nothing opened.

use std::{fs, path::PathBuf, process::Command};

use berth_core::{Error, Result};

use crate::Paths;

const LABEL: &str = "dev.berth.agent";

/// The property list that launchd reads (`man launchd.plist`). `KeepAlive` is false: the agent ends
/// when nothing needs it, and the next client starts it.
#[must_use]
pub fn plist(program: &str, paths: &Paths) -> String {
    let escape = |text: &str| {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
    };
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>Label</key><string>{LABEL}</string>
	<key>ProgramArguments</key>
	<array><string>{}</string><string>agent</string><string>serve</string></array>
	<key>EnvironmentVariables</key>
	<dict><key>BERTH_HOME</key><string>{}</string></dict>
	<key>RunAtLoad</key><true/>
	<key>KeepAlive</key><false/>
	<key>ProcessType</key><string>Background</string>
</dict>
</plist>
"#,
        escape(program),
        escape(&paths.folder().to_string_lossy()),
    )
}

/// Writes the LaunchAgent and loads it.
///
/// # Errors
/// Not on a Mac, or where launchd refuses.
pub fn install(paths: &Paths) -> Result<PathBuf> {
    let file = file()?;
    let program = std::env::current_exe()
        .map_err(|e| Error::failed("Berth cannot find its own program").because(e.to_string()))?;
    let failed = |e: std::io::Error| {
        Error::failed(format!("`{}` cannot be written", file.display())).because(e.to_string())
    };
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(&file, plist(&program.to_string_lossy(), paths)).map_err(failed)?;
    // An older one may be loaded; that it is not is no failure.
    let _ = launchctl(&["bootout", &format!("{}/{LABEL}", domain())]);
    launchctl(&["bootstrap", &domain(), &file.to_string_lossy()])?;
    Ok(file)
}

/// Unloads and removes it. Says whether it was there.
///
/// # Errors
/// Not on a Mac, or where the file cannot be removed.
pub fn uninstall() -> Result<bool> {
    let file = file()?;
    let _ = launchctl(&["bootout", &format!("{}/{LABEL}", domain())]);
    match fs::remove_file(&file) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(
            Error::failed(format!("`{}` cannot be removed", file.display())).because(e.to_string()),
        ),
    }
}

/// Whether the agent starts at login; `None` where the system has no such thing.
#[must_use]
pub fn installed() -> Option<bool> {
    file().ok().map(|file| file.exists())
}

fn file() -> Result<PathBuf> {
    if !cfg!(target_os = "macos") {
        return Err(Error::failed("Only a Mac starts Berth's agent at login")
            .hint("Elsewhere any `berth` command starts it when it is needed"));
    }
    std::env::home_dir()
        .map(|home| home.join(format!("Library/LaunchAgents/{LABEL}.plist")))
        .ok_or_else(|| Error::failed("There is no home folder"))
}

fn domain() -> String {
    format!("gui/{}", rustix::process::getuid().as_raw())
}

fn launchctl(arguments: &[&str]) -> Result<()> {
    let failed = |why: String| {
        Error::failed(format!(
            "`launchctl {}` failed",
            arguments.first().unwrap_or(&"")
        ))
        .because(why)
    };
    let output = Command::new("/bin/launchctl")
        .args(arguments)
        .output()
        .map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(failed(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_property_list_survives_odd_paths() {
        let text = plist(
            "/Applications/A & B.app/berth",
            &Paths::at("/Users/<x>/Berth"),
        );
        assert!(
            text.contains("A &amp; B.app") && text.contains("/Users/&lt;x&gt;/Berth"),
            "launchd reads nothing of a broken file"
        );
        assert!(!text.contains("<x>"));
    }
}
