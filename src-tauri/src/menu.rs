//! The app's own menus. What they do is done by the page, which knows it by the palette's ids, so that a menu, the
//! palette and a key can never mean different things. Keys are the page's, too, where it knows more: ⌘C in a field copies
//! what is selected there.

use tauri::{
    AppHandle, Wry,
    menu::{AboutMetadata, Menu, MenuBuilder, MenuItemBuilder, SubmenuBuilder},
};

/// An item: the palette's id, its title, its key.
const FILE: [(&str, &str, Option<&str>); 3] = [
    ("new", "New Instance…", Some("CmdOrCtrl+N")),
    ("add-host", "Add Host…", None),
    ("settings", "Settings…", Some("CmdOrCtrl+,")),
];
const INSTANCE: [(&str, &str, Option<&str>); 9] = [
    ("copy", "Copy Connection String", None),
    ("copy-password", "Copy Password", None),
    ("pick-format", "Choose Format", None),
    ("start", "Start", None),
    ("stop", "Stop", None),
    ("restart", "Restart", None),
    ("change", "Change…", None),
    ("reset-password", "New Password…", None),
    ("remove", "Remove…", None),
];
const VIEW: [(&str, &str, Option<&str>); 5] = [
    ("palette", "Commands…", Some("CmdOrCtrl+K")),
    ("find", "Filter", Some("CmdOrCtrl+F")),
    ("refresh", "Refresh", Some("CmdOrCtrl+R")),
    ("activity", "Activity", None),
    ("data", "Kept Data", None),
];

/// Whether the page does what this item says.
pub(crate) fn is_pages(id: &str) -> bool {
    FILE.iter()
        .chain(&INSTANCE)
        .chain(&VIEW)
        .any(|(item, ..)| *item == id)
}

/// The menus of the app.
pub(crate) fn build(app: &AppHandle) -> tauri::Result<Menu<Wry>> {
    let about = AboutMetadata {
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        license: Some("MIT".to_owned()),
        ..AboutMetadata::default()
    };
    let berth = SubmenuBuilder::new(app, "Berth")
        .about(Some(about))
        .separator()
        .hide()
        .hide_others()
        .show_all()
        .separator()
        .item(
            &MenuItemBuilder::with_id("quit", "Quit Berth, Keep Connections")
                .accelerator("CmdOrCtrl+Q")
                .build(app)?,
        )
        .item(
            &MenuItemBuilder::with_id("quit-close", "Quit and Close Connections")
                .accelerator("CmdOrCtrl+Alt+Q")
                .build(app)?,
        )
        .build()?;
    let section = |title: &str, items: &[(&str, &str, Option<&str>)]| {
        let mut menu = SubmenuBuilder::new(app, title);
        for (id, title, key) in items {
            let mut item = MenuItemBuilder::with_id(*id, title);
            if let Some(key) = key {
                item = item.accelerator(key);
            }
            menu = menu.item(&item.build(app)?);
        }
        tauri::Result::Ok(menu)
    };
    // Without these, a Mac's fields know neither copy nor paste.
    let edit = SubmenuBuilder::new(app, "Edit")
        .undo()
        .redo()
        .separator()
        .cut()
        .copy()
        .paste()
        .select_all()
        .build()?;
    MenuBuilder::new(app)
        .item(&berth)
        .item(&section("File", &FILE)?.separator().close_window().build()?)
        .item(&edit)
        .item(&section("Instance", &INSTANCE)?.build()?)
        .item(&section("View", &VIEW)?.separator().fullscreen().build()?)
        .item(&SubmenuBuilder::new(app, "Window").minimize().build()?)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_there_once_and_known() {
        let mut ids: Vec<_> = FILE
            .iter()
            .chain(&INSTANCE)
            .chain(&VIEW)
            .map(|i| i.0)
            .collect();
        assert!(ids.iter().all(|id| is_pages(id)));
        assert!(!is_pages("quit"), "that is the app's own");
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(
            ids.len(),
            count,
            "the second of two equal ids would do what the first does"
        );
    }
}
