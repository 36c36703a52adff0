//! The app around the window: one of it, its menus, its place in the menu bar, how it ends.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use berth_agent::{Client, Paths, launchd, page::Agent};
use berth_api::{
    dto::{ConnectionShow, ErrorView},
    table,
};
use berth_core::{
    Error, Result, Secret,
    open_in::{self, Plan},
};
use tauri::{
    AppHandle, Builder, Manager, RunEvent, State, WebviewUrl, WebviewWindowBuilder, WindowEvent,
    webview::NewWindowResponse,
};
use tauri_plugin_deep_link::DeepLinkExt;
use tauri_plugin_opener::OpenerExt;
use tauri_plugin_window_state::StateFlags;

use crate::{
    link,
    live::{self, Live},
    menu,
    pages::{self, Pages},
    panel, tray,
};

/// The window's label.
pub(crate) const MAIN: &str = "main";

/// A link that came before the instances were known.
#[derive(Default)]
struct Waiting(Mutex<Option<String>>);

/// Runs the app until it is quit.
pub(crate) fn run() -> ExitCode {
    match start() {
        Ok(app) => {
            app.run(|app, event| match event {
                RunEvent::ExitRequested { api, code, .. } => {
                    // The last window closed: the app lives on in the menu bar.
                    if code.is_none() {
                        api.prevent_exit();
                    }
                }
                #[cfg(target_os = "macos")]
                RunEvent::Reopen { .. } => open(app),
                _ => {
                    let _ = app;
                }
            });
            ExitCode::SUCCESS
        }
        Err(e) => {
            tracing::error!("the app does not start: {e}");
            #[allow(
                clippy::print_stderr,
                reason = "there is no window to say it in, and somebody may have started it in a terminal"
            )]
            {
                eprintln!("error: {e}");
            }
            ExitCode::FAILURE
        }
    }
}

fn start() -> std::result::Result<tauri::App, Box<dyn std::error::Error>> {
    let paths = Paths::of_this_user()?;
    let agent = Agent::new(paths);
    let app = Builder::default()
        // First: a second start hands its words over and ends.
        .plugin(tauri_plugin_single_instance::init(|app, _, _| open(app)))
        .plugin(tauri_plugin_deep_link::init())
        .plugin(tauri_plugin_notification::init())
        .plugin(
            tauri_plugin_opener::Builder::new()
                .open_js_links_on_click(false)
                .build(),
        )
        .plugin(
            tauri_plugin_window_state::Builder::new()
                .with_state_flags(
                    StateFlags::all() & !StateFlags::VISIBLE & !StateFlags::DECORATIONS,
                )
                .build(),
        )
        .manage(Pages::new(agent.clone()))
        .manage(Live::default())
        .manage(Waiting::default())
        .invoke_handler(tauri::generate_handler![
            pages::open_page,
            pages::frame,
            pages::taken,
            show_string,
            hand_over,
            at_login,
        ])
        .menu(menu::build)
        .on_menu_event(|app, event| match event.id().as_ref() {
            "quit" => quit(app, false),
            "quit-close" => quit(app, true),
            id if menu::is_pages(id) => {
                open(app);
                choose(app, id);
            }
            _ => {}
        })
        .on_window_event(|window, event| {
            if let WindowEvent::CloseRequested { api, .. } = event {
                api.prevent_close();
                let _ = window.hide();
                say_once(
                    window.app_handle(),
                    "said-menu-bar",
                    "Berth is still here",
                    "It lives in the menu bar, and your connection strings keep working",
                );
            }
        })
        .setup(move |app| {
            window(app.handle())?;
            if let Err(e) = tray::build(app.handle()) {
                tracing::warn!("there is no menu bar to live in: {e}");
            }
            let handle = app.handle().clone();
            app.deep_link().on_open_url(move |event| {
                for url in event.urls() {
                    take_link(&handle, url.as_str());
                }
            });
            if let Ok(Some(urls)) = app.deep_link().get_current() {
                for url in urls {
                    take_link(app.handle(), url.as_str());
                }
            }
            tauri::async_runtime::spawn(live::follow(app.handle().clone(), agent.clone()));
            Ok(())
        })
        .build(tauri::generate_context!())?;
    Ok(app)
}

fn window(app: &AppHandle) -> tauri::Result<()> {
    let builder = WebviewWindowBuilder::new(app, MAIN, WebviewUrl::default())
        .title("Berth")
        .inner_size(1152.0, 720.0)
        .min_inner_size(860.0, 520.0)
        .disable_drag_drop_handler()
        // The page is ours and stays ours: nothing leads away from it, and nothing opens beside it.
        .on_navigation(|url| {
            matches!(url.scheme(), "tauri") || url.host_str() == Some("tauri.localhost")
        })
        .on_new_window(|_, _| NewWindowResponse::Deny);
    // The traffic lights stand over the sidebar, in a title bar of the page's own 52 points.
    #[cfg(target_os = "macos")]
    let builder = builder
        .title_bar_style(tauri::TitleBarStyle::Overlay)
        .hidden_title(true)
        .traffic_light_position(tauri::LogicalPosition::new(18.0, 20.0))
        .accept_first_mouse(true);
    builder.build()?;
    Ok(())
}

/// Brings the window to the front.
pub(crate) fn open(app: &AppHandle) {
    if let Some(window) = app.get_webview_window(MAIN) {
        let _ = window.show();
        let _ = window.unminimize();
        let _ = window.set_focus();
    }
}

/// Does in the window what a menu says.
pub(crate) fn choose(app: &AppHandle, id: &str) {
    app.state::<Pages>().choose(id);
}

fn take_link(app: &AppHandle, link: &str) {
    let Some(id) = link::instance(link) else {
        tracing::warn!("a link that is none of Berth's was left alone");
        return;
    };
    *app.state::<Waiting>()
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = Some(id.to_owned());
    open(app);
    follow_waiting_link(app);
}

/// Shows the instance of the last link, as soon as it is known.
pub(crate) fn follow_waiting_link(app: &AppHandle) {
    let waiting = app.state::<Waiting>();
    let mut waiting = waiting.0.lock().unwrap_or_else(PoisonError::into_inner);
    let named = waiting
        .as_deref()
        .and_then(|id| app.state::<Live>().seen().named(id));
    if let Some(full) = named {
        *waiting = None;
        choose(app, &format!("show:{full}"));
    }
}

/// Quits. The agent holds the ports, so strings keep working unless `close` says otherwise.
pub(crate) fn quit(app: &AppHandle, close: bool) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        if close {
            let ended = match Paths::of_this_user() {
                Ok(paths) => Client::stop(&paths, false).await,
                Err(e) => Err(e),
            };
            match ended {
                Err(e) if e.code() != berth_core::Code::NotFound => {
                    // It works on something: quitting now would break that off without a word.
                    live::notify(&app, "Berth's connections stay open", &e.to_string());
                    return;
                }
                _ => {}
            }
        } else {
            say_once(
                &app,
                "said-quit",
                "Connection strings keep working",
                "Berth has quit, its connections stay open. Quit and Close Connections ends them, too",
            );
        }
        app.exit(0);
    });
}

/// Says something one time in the life of this installation.
fn say_once(app: &AppHandle, name: &str, title: &str, body: &str) {
    let mark: Option<PathBuf> = app.path().app_config_dir().ok().map(|d| d.join(name));
    let Some(mark) = mark.filter(|mark| !mark.exists()) else {
        return;
    };
    let made = mark
        .parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(&mark, b""));
    if let Err(e) = made {
        tracing::debug!("it will be said again: {e}");
    }
    live::notify(app, title, body);
}

/// Shows a connection string in a panel of the system, for a few seconds. The page never has it.
#[tauri::command]
async fn show_string(
    app: AppHandle,
    pages: State<'_, Pages>,
    wish: ConnectionShow,
) -> std::result::Result<(), ErrorView> {
    let shown = async {
        let name = wish.name.clone();
        let secret = string(&pages.agent, &wish).await?;
        panel::show(&app, name, secret)
    };
    shown.await.map_err(|e| ErrorView::from(&e))
}

async fn string(agent: &Agent, wish: &ConnectionShow) -> Result<Secret> {
    let client = agent.client().await?;
    client
        .call::<table::ConnectionShow>(wish, std::collections::BTreeMap::new())
        .await?
        .secret
        .ok_or_else(|| Error::failed("Berth's agent gave no connection string"))
}

/// Hands an instance over to another program; answers what is left to do, if anything.
#[tauri::command]
async fn hand_over(
    app: AppHandle,
    pages: State<'_, Pages>,
    tool: String,
    wish: ConnectionShow,
) -> std::result::Result<Option<String>, ErrorView> {
    let work = async {
        let client = pages.agent.client().await?;
        let view = client
            .call::<table::ConnectionShow>(&wish, std::collections::BTreeMap::new())
            .await?
            .body;
        let berth = std::env::current_exe().map_err(|e| {
            Error::failed("Berth cannot find its own program").because(e.to_string())
        })?;
        let to = open_in::To {
            host: &view.host,
            name: &view.name,
            server: &view.server,
            port: view.port,
            user: &view.user,
            database: view.database.as_deref(),
        };
        match open_in::plan(&tool, &to, &berth.to_string_lossy())? {
            Plan::Address(address) => app
                .opener()
                .open_url(address, None::<&str>)
                .map(|()| None)
                .map_err(|e| not_opened(&e.to_string())),
            Plan::Program(program, arguments) => {
                let ended = tokio::process::Command::new(program)
                    .args(arguments)
                    .stdin(std::process::Stdio::null())
                    .status();
                match tokio::time::timeout(Duration::from_secs(20), ended).await {
                    Ok(Ok(status)) if status.success() => Ok(None),
                    Ok(Ok(status)) => Err(not_opened(&status.to_string())),
                    Ok(Err(e)) => Err(not_opened(&e.to_string())),
                    Err(_) => Err(not_opened("it did not start within 20 s")),
                }
            }
            Plan::Terminal(script) => terminal(&script).await.map(|()| None),
            Plan::Paste(text) => Ok(Some(text)),
        }
    };
    work.await.map_err(|e: Error| ErrorView::from(&e))
}

/// Has Berth's agent start at login, or no longer; answers whether it does now, and nothing where the system has no such thing.
#[tauri::command]
async fn at_login(on: Option<bool>) -> std::result::Result<Option<bool>, ErrorView> {
    // It writes a file and waits for `launchctl`.
    let work = tokio::task::spawn_blocking(move || {
        match on {
            Some(true) => launchd::install(&Paths::of_this_user()?).map(|_| ())?,
            Some(false) => launchd::uninstall().map(|_| ())?,
            None => {}
        }
        Ok(launchd::installed())
    });
    work.await
        .map_err(|e| {
            Error::failed("Whether Berth starts at login is not known").because(e.to_string())
        })
        .and_then(|done| done)
        .map_err(|e: Error| ErrorView::from(&e))
}

fn not_opened(why: &str) -> Error {
    Error::failed("The program did not open")
        .because(why)
        .hint("Is it installed? The string can be copied all the same")
}

/// Runs lines in a new terminal: a file that the terminal opens, and that goes away first.
async fn terminal(script: &str) -> Result<()> {
    let failed =
        |e: std::io::Error| Error::failed("No terminal can be opened").because(e.to_string());
    let text = format!("#!/bin/sh\nrm -f -- \"$0\"\n{script}\n");
    let path = std::env::temp_dir().join(format!("berth-{}.command", std::process::id()));
    let file = path.clone();
    tokio::task::spawn_blocking(move || {
        use std::{io::Write, os::unix::fs::OpenOptionsExt};
        let _ = std::fs::remove_file(&file);
        std::fs::OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o700)
            .open(&file)
            .and_then(|mut f| f.write_all(text.as_bytes()))
    })
    .await
    .map_err(|e| Error::failed("No terminal can be opened").because(e.to_string()))?
    .map_err(failed)?;
    let mut open = if cfg!(target_os = "macos") {
        let mut open = tokio::process::Command::new("open");
        open.arg(&path);
        open
    } else {
        let mut open = tokio::process::Command::new("x-terminal-emulator");
        open.arg("-e").arg(&path);
        open
    };
    open.stdin(std::process::Stdio::null())
        .spawn()
        .map(drop)
        .map_err(failed)
}
