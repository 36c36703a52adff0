//! Names the app's own commands to Tauri, and asks for a build anew when the window's files change.

fn main() {
    // Where nobody has built the window yet, the app still compiles, around an empty page.
    let window = std::path::Path::new("../ui/dist");
    if !window.exists() {
        let _ = std::fs::create_dir_all(window);
    }
    println!("cargo:rerun-if-changed=../ui/dist");
    // Named here, a command is closed to every window until a capability opens it.
    let commands = &[
        "open_page",
        "frame",
        "taken",
        "show_string",
        "hand_over",
        "at_login",
    ];
    let attributes = tauri_build::Attributes::new()
        .app_manifest(tauri_build::AppManifest::new().commands(commands));
    if let Err(e) = tauri_build::try_build(attributes) {
        println!("cargo:warning={e:#}");
        std::process::exit(1);
    }
}
