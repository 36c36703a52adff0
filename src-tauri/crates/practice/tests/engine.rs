//! The engine's door, tried with raw requests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test fails by panicking"
)]

mod support;

use serde_json::{Value, json};
use support::{Host, spec, until};

fn message(answer: &Value) -> &str {
    answer["message"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_answers_as_a_windows_engine() {
    let host = Host::new().await;
    let (_, info) = host.request("GET", "/v1.41/info", None).await;
    assert_eq!(info["OSType"], "windows");
    assert_eq!(info["OSVersion"], "10.0.20348");
    assert_eq!(info["Isolation"], "process");
    assert_eq!(info["Driver"], "windowsfilter");
    let (_, version) = host.request("GET", "/version", None).await;
    assert_eq!(
        (&version["Os"], &version["ApiVersion"]),
        (&json!("windows"), &json!("1.41"))
    );
    let (status, why) = host.request("GET", "/v1.43/info", None).await;
    assert_eq!(
        (status, message(&why)),
        (
            400,
            "client version 1.43 is too new. Maximum supported API version is 1.41"
        )
    );
    let (status, why) = host.request("POST", "/build?version=2", None).await;
    assert_eq!(status, 501, "{why}");
    assert!(message(&why).contains("not implemented by the practice host"));
    assert_eq!(host.request("GET", "/nonsense", None).await.0, 404);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_lives_and_its_data_outlives_it() {
    let host = Host::new().await;
    let id = host.up("one").await;
    host.wait_for_log("one", "berth: ready").await;
    let seen = host.inspect("one").await;
    let address = seen["NetworkSettings"]["Networks"]["nat"]["IPAddress"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(address.starts_with("172.28."), "{address}");
    assert_eq!(
        seen["HostConfig"]["RestartPolicy"]["Name"],
        "unless-stopped"
    );
    assert_eq!(seen["Mounts"][0]["Name"], "one");
    assert_eq!(
        host.request("POST", "/containers/one/start", None).await.0,
        304,
        "it runs already"
    );

    let (status, why) = host
        .request("POST", "/containers/create?name=one", Some(spec("one")))
        .await;
    assert_eq!(status, 409);
    assert_eq!(
        message(&why),
        format!(
            "Conflict. The container name \"/one\" is already in use by container \"{id}\". You have to remove (or rename) that container to be able to reuse that name."
        )
    );
    let (status, why) = host.request("DELETE", "/volumes/one", None).await;
    assert_eq!(
        (status, message(&why)),
        (
            409,
            format!("remove one: volume is in use - [{id}]").as_str()
        )
    );
    assert_eq!(
        host.request("DELETE", "/containers/one", None).await.0,
        409,
        "it runs"
    );

    assert_eq!(
        host.request("POST", "/containers/one/stop?t=20", None)
            .await
            .0,
        204
    );
    let seen = host.inspect("one").await;
    assert_eq!(seen["State"]["Status"], "exited");
    assert_eq!(seen["State"]["ExitCode"], 0x4001_0004_u32);
    assert_eq!(seen["NetworkSettings"]["Networks"]["nat"]["IPAddress"], "");
    assert_eq!(host.request("DELETE", "/containers/one", None).await.0, 204);

    host.up("one").await;
    host.wait_for_log("one", "berth: ready").await;
    assert!(
        !host.log("one").await.contains("seeding"),
        "the volume's databases were there already"
    );
    assert_ne!(
        host.inspect("one").await["NetworkSettings"]["Networks"]["nat"]["IPAddress"],
        address,
        "a Windows container has another address each time"
    );
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reboot_brings_back_what_ran_and_nothing_else() {
    let host = Host::new().await;
    host.up("runs").await;
    host.up("stopped").await;
    host.wait_for_log("runs", "berth: ready").await;
    host.request("POST", "/containers/stopped/stop", None).await;
    let mut once = spec("once");
    once["HostConfig"]["RestartPolicy"] = json!({ "Name": "no" });
    host.request("POST", "/containers/create?name=once", Some(once))
        .await;
    host.request("POST", "/containers/once/start", None).await;
    let labels = host.inspect("runs").await["Config"]["Labels"].clone();

    let host = host.reboot().await;
    let state = async |name: &str| {
        host.inspect(name).await["State"]["Status"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(state("runs").await, "running");
    assert_eq!(state("stopped").await, "exited", "somebody stopped it");
    assert_eq!(state("once").await, "exited", "it has no restart policy");
    assert_eq!(host.inspect("runs").await["Config"]["Labels"], labels);
    assert!(
        host.log("runs")
            .await
            .matches("starting MSSQLSERVER")
            .count()
            >= 1,
        "its log is kept"
    );
    until("the engine inside", async || {
        (host.log("runs").await.matches("berth: ready").count() == 2).then_some(())
    })
    .await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_windows_refuses_is_refused() {
    let host = Host::new().await;
    let create = async |change: Value| {
        let mut asked = spec("xx");
        for (key, value) in change.as_object().unwrap() {
            if matches!(key.as_str(), "Image" | "Cmd") {
                asked[key] = value.clone();
            } else {
                asked["HostConfig"][key] = value.clone();
            }
        }
        let (status, answer) = host
            .request("POST", "/containers/create?name=refused", Some(asked))
            .await;
        (status, message(&answer).to_owned())
    };
    let cases = [
        (
            json!({ "MemorySwap": 1 }),
            400,
            "invalid option: Windows does not support MemorySwap",
        ),
        (
            json!({ "PidsLimit": 5 }),
            400,
            "invalid option: Windows does not support PidsLimit",
        ),
        (json!({ "Privileged": true }), 400, "privileged"),
        (
            json!({ "PortBindings": { "1433/tcp": [{ "HostIp": "127.0.0.1", "HostPort": "1433" }] } }),
            400,
            "Windows does not support host IP addresses in NAT settings",
        ),
        (
            json!({ "Mounts": [{ "Type": "bind", "Source": "D:\\none", "Target": "C:\\data" }] }),
            400,
            "invalid mount config for type \"bind\": bind source path does not exist: D:\\none",
        ),
        (
            json!({ "Mounts": [{ "Type": "volume", "Source": "v", "Target": "C:\\" }] }),
            400,
            "destination path cannot be `c:` or `c:\\`",
        ),
        (
            json!({ "Mounts": [{ "Type": "tmpfs", "Target": "C:\\data" }] }),
            400,
            "windows does not support tmpfs",
        ),
        (
            json!({ "NanoCpus": 900_000_000_000_u64 }),
            400,
            "as there are only 4 CPUs available",
        ),
        (
            json!({ "NetworkMode": "host" }),
            404,
            "network host not found",
        ),
        (
            json!({ "RestartPolicy": { "Name": "sometimes" } }),
            400,
            "invalid restart policy",
        ),
        (
            json!({ "Cmd": ["cmd", "/C", "dir"] }),
            501,
            "not implemented by the practice host",
        ),
        (
            json!({ "Image": "berth/sql:2014" }),
            404,
            "No such image: berth/sql:2014",
        ),
    ];
    for (change, status, text) in cases {
        let (got, said) = create(change.clone()).await;
        assert_eq!(got, status, "{change}: {said}");
        assert!(said.contains(text), "{change}: {said}");
    }
    let (_, all) = host.request("GET", "/containers/json?all=1", None).await;
    assert_eq!(all, json!([]), "what was refused left nothing behind");
    // What clients send for "not given" is no refusal.
    assert_eq!(
        create(json!({ "MemorySwappiness": -1, "PidsLimit": null, "OomKillDisable": false }))
            .await
            .0,
        201
    );
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_licence_it_ends_with_64_and_is_restarted_by_its_policy() {
    let host = Host::new().await;
    let mut asked = spec("eula");
    asked["Env"] = json!([]);
    asked["HostConfig"]["RestartPolicy"] = json!({ "Name": "on-failure", "MaximumRetryCount": 2 });
    host.request("POST", "/containers/create?name=eula", Some(asked))
        .await;
    host.request("POST", "/containers/eula/start", None).await;
    until("the end of the retries", async || {
        let seen = host.inspect("eula").await;
        (seen["State"]["Status"] == "exited" && seen["RestartCount"] == 2).then_some(())
    })
    .await;
    assert_eq!(host.inspect("eula").await["State"]["ExitCode"], 64);
    assert_eq!(
        host.log("eula")
            .await
            .matches("ERROR EULA not accepted: set ACCEPT_EULA=Y")
            .count(),
        3
    );
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_volume_serves_one_running_container() {
    let host = Host::new().await;
    host.up("first").await;
    host.wait_for_log("first", "berth: ready").await;
    let mut asked = spec("first");
    asked["HostConfig"]["RestartPolicy"] = json!({ "Name": "no" });
    host.request("POST", "/containers/create?name=second", Some(asked))
        .await;
    host.request("POST", "/containers/second/start", None).await;
    let (_, ended) = host.request("POST", "/containers/second/wait", None).await;
    assert_eq!(ended["StatusCode"], 67);
    assert!(
        host.log("second").await.contains("OS error: 32"),
        "the files are taken"
    );
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_are_filtered_by_label_and_name() {
    let host = Host::new().await;
    for name in ["aa", "bb"] {
        host.request(
            "POST",
            &format!("/containers/create?name={name}"),
            Some(spec(name)),
        )
        .await;
    }
    let names = async |filters: Value| {
        let text: String = filters
            .to_string()
            .bytes()
            .map(|b| format!("%{b:02X}"))
            .collect();
        let (status, list) = host
            .request(
                "GET",
                &format!("/containers/json?all=1&filters={text}"),
                None,
            )
            .await;
        assert_eq!(status, 200, "{list}");
        list.as_array()
            .unwrap()
            .iter()
            .map(|c| c["Names"][0].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(json!({ "label": ["dev.berth.id=bb"] })).await,
        ["/bb"]
    );
    assert_eq!(
        names(json!({ "label": { "dev.berth.id": true } })).await,
        ["/bb", "/aa"],
        "newest first"
    );
    assert_eq!(names(json!({ "name": ["aa"] })).await, ["/aa"]);
    assert_eq!(
        names(json!({ "status": ["running"] })).await,
        Vec::<String>::new()
    );
    let (status, why) = host
        .request(
            "GET",
            "/containers/json?filters=%7B%22wrong%22%3A%5B%22x%22%5D%7D",
            None,
        )
        .await;
    assert_eq!((status, message(&why)), (400, "Invalid filter 'wrong'"));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_end_as_on_a_windows_engine() {
    let host = Host::new().await;
    let path = "/images/create?fromImage=mcr.microsoft.com%2Fmssql%2Fserver&tag=2022-latest";
    let (status, _, text) = host.raw("POST", path, None).await;
    assert_eq!(status, 200, "the error comes inside the stream");
    assert!(
        text.contains(
            "no matching manifest for windows/amd64 10.0.20348 in the manifest list entries"
        ),
        "{text}"
    );
    let (status, why) = host
        .request("POST", "/images/create?fromImage=who/knows&tag=1", None)
        .await;
    assert_eq!(status, 404);
    assert!(
        message(&why).starts_with("pull access denied for who/knows, repository does not exist"),
        "{why}"
    );
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_is_finished_when_the_client_hangs_up() {
    let host = Host::new().await;
    for round in 0..15 {
        let name = format!("begun{round}");
        let path = format!("/containers/create?name={name}");
        assert_eq!(host.request("POST", &path, Some(spec(&name))).await.0, 201);
        let mut stream = tokio::net::TcpStream::connect(host.engine).await.unwrap();
        let start = format!(
            "POST /containers/{name}/start HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n"
        );
        tokio::io::AsyncWriteExt::write_all(&mut stream, start.as_bytes())
            .await
            .unwrap();
        // Hung up at a different moment in each round.
        tokio::time::sleep(std::time::Duration::from_millis(round)).await;
        drop(stream);
    }
    for round in 0..15 {
        let name = format!("begun{round}");
        host.wait_for_log(&name, "berth: ready").await;
        assert_eq!(
            host.request("POST", &format!("/containers/{name}/stop?t=20"), None)
                .await
                .0,
            204,
            "one that says it runs can be stopped"
        );
    }
    host.stop().await;
}
