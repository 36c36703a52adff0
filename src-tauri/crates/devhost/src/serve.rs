//! The window's files, and one WebSocket for its calls.
//!
//! Who may call: a page of this very origin (against pages of other sites, and names that resolve here) that knows
//! the token of this start (against other users of this machine).

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{
        Request, State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::any,
};
use berth_agent::{
    Paths,
    page::{Agent, Page},
};
use berth_core::{Error, Result};
use tokio::{net::TcpListener, time::timeout};
use tower_http::services::ServeDir;

/// The largest frame of a page in bytes: a script to run may be long.
const MAX_FRAME: usize = 4 << 20;
/// How long a page may take to say the token.
const HELLO_LIMIT: Duration = Duration::from_secs(5);

/// Nothing from elsewhere, nothing inline, nobody around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One start of the devhost.
#[derive(Clone)]
pub(crate) struct Site {
    ui: PathBuf,
    agent: Agent,
    token: Arc<str>,
    /// `127.0.0.1:PORT`, the only name that this site answers to.
    host: Arc<str>,
}

impl Site {
    pub(crate) fn new(listener: &TcpListener, ui: PathBuf, paths: Paths) -> Result<Self> {
        let address = listener
            .local_addr()
            .map_err(|e| Error::failed("The port cannot be told").because(e.to_string()))?;
        let mut random = [0_u8; 24];
        getrandom::fill(&mut random)
            .map_err(|e| Error::failed("No random numbers to be had").because(e.to_string()))?;
        Ok(Self {
            ui,
            agent: Agent::new(paths),
            token: random
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect::<String>()
                .into(),
            host: address.to_string().into(),
        })
    }

    /// Where a browser finds it, token included.
    pub(crate) fn address(&self) -> String {
        format!("http://{}/#token={}", self.host, self.token)
    }

    pub(crate) async fn serve(self, listener: TcpListener) -> Result<()> {
        let router = Router::new()
            .route("/socket", any(socket))
            .fallback_service(ServeDir::new(&self.ui))
            .layer(middleware::from_fn_with_state(self.clone(), guard))
            .with_state(self);
        axum::serve(listener, router)
            .await
            .map_err(|e| Error::failed("The window cannot be served").because(e.to_string()))
    }
}

/// Only under its own name: another one that resolves to 127.0.0.1 belongs to somebody else's page.
async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    let named = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    if named != Some(&*site.host) {
        return StatusCode::MISDIRECTED_REQUEST.into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn socket(
    State(site): State<Site>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    // A browser sets this itself; a page of another origin cannot lie about it.
    let origin = headers
        .get(header::ORIGIN)
        .and_then(|origin| origin.to_str().ok());
    if origin != Some(&format!("http://{}", site.host)) {
        return StatusCode::FORBIDDEN.into_response();
    }
    upgrade
        .max_message_size(MAX_FRAME)
        .on_upgrade(move |socket| converse(site, socket))
}

async fn converse(site: Site, mut socket: WebSocket) {
    let knows = matches!(
        timeout(HELLO_LIMIT, socket.recv()).await,
        Ok(Some(Ok(Message::Text(token)))) if same(token.as_str(), &site.token)
    );
    if !knows {
        let close = CloseFrame {
            code: close_code::POLICY,
            reason: "token".into(),
        };
        let _ = socket.send(Message::Close(Some(close))).await;
        return;
    }
    let (page, mut told) = Page::new(site.agent);
    loop {
        tokio::select! {
            came = socket.recv() => match came {
                Some(Ok(Message::Text(frame))) => {
                    if page.take(frame.as_str()).is_err() {
                        break;
                    }
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Binary(_) | Message::Close(_)) | Err(_)) | None => break,
            },
            Some(frame) = told.recv() => {
                let Ok(text) = serde_json::to_string(&frame) else { break };
                if socket.send(Message::Text(text.into())).await.is_err() {
                    break;
                }
            }
        }
    }
}

/// Takes the same time however much of it is right.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |d, (a, b)| d | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest};

    async fn site() -> (tempfile::TempDir, String, String) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("index.html"), "<p>window</p>").unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let site = Site::new(
            &listener,
            folder.path().to_owned(),
            Paths::at(folder.path().join("home")).served_by("false"),
        )
        .unwrap();
        let (host, token) = (site.host.to_string(), site.token.to_string());
        tokio::spawn(site.serve(listener));
        (folder, host, token)
    }

    async fn get(host: &str, name: &str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
        let ask = format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
        stream.write_all(ask.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn open(
        host: &str,
        origin: &str,
    ) -> tungstenite::Result<
        tokio_tungstenite::WebSocketStream<
            tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>,
        >,
    > {
        let mut request = format!("ws://{host}/socket").into_client_request()?;
        request
            .headers_mut()
            .insert("origin", origin.parse().unwrap());
        Ok(tokio_tungstenite::connect_async(request).await?.0)
    }

    #[tokio::test]
    async fn a_name_that_only_resolves_here_gets_nothing() {
        let (_folder, host, _) = site().await;
        let own = get(&host, &host).await;
        assert!(own.contains("<p>window</p>"), "{own}");
        assert!(
            own.to_lowercase()
                .contains("content-security-policy: default-src 'none'"),
            "the page must not be able to load or send anything elsewhere: {own}"
        );
        let other = get(&host, "berth.example").await;
        assert!(
            !other.contains("window"),
            "a page of another site could read ours through a name of its own: {other}"
        );
    }

    #[tokio::test]
    async fn another_origin_is_refused() {
        let (_folder, host, _) = site().await;
        for origin in ["http://berth.example", "null", "http://127.0.0.1:1"] {
            assert!(
                open(&host, origin).await.is_err(),
                "any page in the same browser could drive Berth: {origin}"
            );
        }
    }

    #[tokio::test]
    async fn without_the_token_nothing_is_answered() {
        let (_folder, host, token) = site().await;
        let call = r#"{"t":"call","id":1,"command":"agent.status","body":{}}"#;
        for (said, may) in [("wrong".to_owned(), false), (token, true)] {
            let mut socket = open(&host, &format!("http://{host}")).await.unwrap();
            socket.send(said.as_str().into()).await.unwrap();
            let _ = socket.send(call.into()).await;
            let answer = socket.next().await.unwrap().unwrap();
            assert_eq!(
                answer.is_text(),
                may,
                "another user of this machine could drive Berth: {answer:?}"
            );
        }
    }
}
