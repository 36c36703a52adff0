//! The menu-bar item: every instance with its state, a click from its string.

use tauri::{
    AppHandle, Wry,
    image::Image,
    menu::{Menu, MenuBuilder, MenuItemBuilder, Submenu, SubmenuBuilder},
    tray::{TrayIcon, TrayIconBuilder},
};

use berth_core::open_in::TOOLS;

use crate::{
    app, live,
    seen::{Row, Turn},
};

/// More than these would fill the screen; the window shows all.
const SHOWN: usize = 20;

/// What the menu bar does to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Copy,
    Start,
    Stop,
}

/// What was chosen.
#[derive(Debug, PartialEq, Eq)]
enum Chosen<'a> {
    Act(Action, &'a str),
    Show(&'a str),
    OpenIn { tool: &'a str, full: &'a str },
    New,
    Open,
    Quit,
    QuitAndClose,
}

/// Ids of menu items are text; `HOST/NAME` holds no `:`.
fn chosen(id: &str) -> Option<Chosen<'_>> {
    Some(match id {
        "new" => Chosen::New,
        "open" => Chosen::Open,
        "quit" => Chosen::Quit,
        "quit-close" => Chosen::QuitAndClose,
        _ => match id.split_once(':')? {
            ("copy", full) => Chosen::Act(Action::Copy, full),
            ("start", full) => Chosen::Act(Action::Start, full),
            ("stop", full) => Chosen::Act(Action::Stop, full),
            ("show", full) => Chosen::Show(full),
            ("in", rest) => {
                let (tool, full) = rest.split_once(':')?;
                Chosen::OpenIn { tool, full }
            }
            _ => return None,
        },
    })
}

/// Puts the item into the menu bar. A Linux desktop without one is no reason not to start.
pub(crate) fn build(app: &AppHandle) -> tauri::Result<TrayIcon> {
    let icon = Image::from_bytes(include_bytes!("../../icons/menu-bar.png"))?;
    TrayIconBuilder::with_id("berth")
        .icon(icon)
        // Black and clear, so that the menu bar tints it.
        .icon_as_template(true)
        .tooltip("Berth")
        .menu(&menu(app, &[])?)
        .show_menu_on_left_click(true)
        .on_menu_event(|app, event| take(app, event.id().as_ref()))
        .build(app)
}

fn take(app: &AppHandle, id: &str) {
    match chosen(id) {
        Some(Chosen::Act(action, full)) => live::act(app, action, full.to_owned()),
        Some(Chosen::Show(full)) => {
            app::open(app);
            app::choose(app, &format!("show:{full}"));
        }
        Some(Chosen::OpenIn { tool, full }) => {
            // The window knows the login and database that were chosen there, and says what is left to do.
            app::open(app);
            app::choose(app, &format!("show:{full}"));
            app::choose(app, &format!("open:{tool}"));
        }
        Some(Chosen::New) => {
            app::open(app);
            app::choose(app, "new");
        }
        Some(Chosen::Open) => app::open(app),
        Some(Chosen::Quit) => app::quit(app, false),
        Some(Chosen::QuitAndClose) => app::quit(app, true),
        None => {}
    }
}

/// Shows these instances. Menus belong to the main thread.
pub(crate) fn show(app: &AppHandle, rows: &[Row]) {
    let (handle, rows) = (app.clone(), rows.to_vec());
    let shown = app.run_on_main_thread(move || {
        let set = menu(&handle, &rows).and_then(|menu| match handle.tray_by_id("berth") {
            Some(tray) => tray.set_menu(Some(menu)),
            None => Ok(()),
        });
        if let Err(e) = set {
            tracing::warn!("the menu bar cannot be brought up to date: {e}");
        }
    });
    if let Err(e) = shown {
        tracing::warn!("the menu bar cannot be brought up to date: {e}");
    }
}

fn menu(app: &AppHandle, rows: &[Row]) -> tauri::Result<Menu<Wry>> {
    let mut menu = MenuBuilder::new(app);
    if rows.is_empty() {
        let none = MenuItemBuilder::with_id("none", "No instances yet").enabled(false);
        menu = menu.item(&none.build(app)?);
    }
    for row in rows.iter().take(SHOWN) {
        menu = menu.item(&instance(app, row)?);
    }
    if rows.len() > SHOWN {
        let more = format!("{} more in the window", rows.len() - SHOWN);
        menu = menu.item(&MenuItemBuilder::with_id("open", more).build(app)?);
    }
    menu.separator()
        .text("new", "New Instance…")
        .text("open", "Open Berth")
        .separator()
        .text("quit", "Quit Berth, Keep Connections")
        .text("quit-close", "Quit and Close Connections")
        .build()
}

fn instance(app: &AppHandle, row: &Row) -> tauri::Result<Submenu<Wry>> {
    let mut items = SubmenuBuilder::new(app, &row.title);
    let copy = MenuItemBuilder::with_id(format!("copy:{}", row.full), "Copy Connection String");
    items = items.item(&copy.enabled(row.copies).build(app)?);
    items = match row.turn {
        Some(Turn::Start) => items.text(format!("start:{}", row.full), "Start"),
        Some(Turn::Stop) => items.text(format!("stop:{}", row.full), "Stop"),
        None => items,
    };
    if row.copies && row.turn == Some(Turn::Stop) {
        let mut tools = SubmenuBuilder::new(app, "Open in");
        for tool in TOOLS {
            tools = tools.text(format!("in:{}:{}", tool.id, row.full), tool.name);
        }
        items = items.item(&tools.build()?);
    }
    items
        .text(format!("show:{}", row.full), "Open in Berth")
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen_is_what_the_item_says() {
        assert_eq!(
            chosen("copy:winhost/orders"),
            Some(Chosen::Act(Action::Copy, "winhost/orders"))
        );
        assert_eq!(
            chosen("stop:practice/sql2022"),
            Some(Chosen::Act(Action::Stop, "practice/sql2022"))
        );
        assert_eq!(chosen("show:a/b"), Some(Chosen::Show("a/b")));
        assert_eq!(
            chosen("in:vscode:a/b"),
            Some(Chosen::OpenIn {
                tool: "vscode",
                full: "a/b"
            })
        );
        assert_eq!(chosen("quit-close"), Some(Chosen::QuitAndClose));
        assert_eq!(
            chosen("none"),
            None,
            "a line that only says something does nothing"
        );
        assert_eq!(
            chosen("remove:a/b"),
            None,
            "nothing that loses data hides in a menu"
        );
    }
}
