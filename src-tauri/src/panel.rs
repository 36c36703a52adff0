//! Shows a secret for a few seconds in a panel of the system, which no page can read.

use std::time::Duration;

use berth_core::{Error, Result, Secret};

/// How long it is shown.
const SHOWN: Duration = Duration::from_secs(10);

/// Shows `secret` under `title` until somebody closes the panel, or the time is up.
///
/// # Errors
/// Where the system has no panel to show it in.
#[cfg(target_os = "linux")]
pub(crate) fn show(app: &tauri::AppHandle, title: String, secret: Secret) -> Result<()> {
    use berth_core::secret::ExposeSecret;
    use gtk::prelude::*;

    app.run_on_main_thread(move || {
        let panel = gtk::MessageDialog::new(
            None::<&gtk::Window>,
            gtk::DialogFlags::empty(),
            gtk::MessageType::Other,
            gtk::ButtonsType::Close,
            &title,
        );
        panel.set_title(&title);
        panel.set_secondary_text(Some(secret.expose_secret()));
        panel.set_keep_above(true);
        panel.connect_response(|panel, _| panel.close());
        let ends = panel.downgrade();
        gtk::glib::timeout_add_local_once(SHOWN, move || {
            if let Some(panel) = ends.upgrade() {
                panel.close();
            }
        });
        panel.show_all();
    })
    .map_err(|e| Error::failed("No panel can be shown").because(e.to_string()))
}

/// Shows `secret` under `title` until somebody closes the panel, or the time is up.
///
/// By the system's own script program: its script comes by standard input, so that the secret is in no argument.
///
/// # Errors
/// Where the system has no panel to show it in.
#[cfg(not(target_os = "linux"))]
pub(crate) fn show(_app: &tauri::AppHandle, title: String, secret: Secret) -> Result<()> {
    use berth_core::secret::ExposeSecret;
    use std::{
        io::Write,
        process::{Command, Stdio},
    };

    let failed = |e: std::io::Error| Error::failed("No panel can be shown").because(e.to_string());
    let mut child = Command::new("/usr/bin/osascript")
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        input
            .write_all(script(&title, secret.expose_secret()).as_bytes())
            .map_err(failed)?;
    }
    // Reaped when it ends; it ends by itself.
    std::thread::spawn(move || child.wait());
    Ok(())
}

/// An AppleScript that shows `text` and gives up after [`SHOWN`].
#[cfg(any(test, not(target_os = "linux")))]
fn script(title: &str, text: &str) -> String {
    let quoted = |text: &str| {
        format!(
            "\"{}\"",
            text.replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n")
                .replace('\r', "\\r")
                .replace('\t', "\\t")
        )
    };
    format!(
        "display dialog {} with title {} buttons {{\"Done\"}} default button 1 giving up after {}\n",
        quoted(text),
        quoted(title),
        SHOWN.as_secs()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_stays_a_text_in_the_script() {
        assert_eq!(
            script("orders", "a\"; do shell script \"id\" --\\\n"),
            "display dialog \"a\\\"; do shell script \\\"id\\\" --\\\\\\n\" with title \"orders\" buttons {\"Done\"} default button 1 giving up after 10\n",
            "a password must not become a command"
        );
    }
}
