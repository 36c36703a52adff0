//! `berth practice serve`

use berth_agent::Paths;
use berth_core::{Result, secret::ExposeSecret};
use berth_practice::{Practice, Settings};

use crate::{args::Practice as Command, render::out, session::interrupted};

pub(crate) async fn run(command: Command) -> Result<u8> {
    let Command::Serve {
        dir,
        ssh_port,
        tls_port,
        machine,
        fault,
    } = command;
    let dir = match dir {
        Some(dir) => dir,
        // Not the one that the agent's own practice host lives in: two processes must not share a machine.
        None => Paths::of_this_user()?.folder().join("practice-alone"),
    };
    let settings = Settings {
        dir,
        ssh_port,
        tls_port,
        machine: machine.parse()?,
        faults: fault.iter().map(|f| f.parse()).collect::<Result<_>>()?,
    };
    let practice = Practice::start(settings).await?;
    let at = practice.ssh_address();
    out(
        "The practice host answers as a Windows Server container host. It is not Windows, and not SQL Server.",
    );
    out(format!(
        "  ssh -p {} -i {} {}@{}",
        at.port(),
        practice.client_key_path().display(),
        practice.user(),
        at.ip()
    ));
    out(format!("  host key   {}", practice.fingerprint()));
    out(format!(
        "  password   {}",
        practice.password().expose_secret()
    ));
    if let Some((at, folder)) = practice.tls() {
        out(format!(
            "  DOCKER_CERT_PATH={} docker --tlsverify -H tcp://{at}",
            folder.display()
        ));
    }
    out("Ctrl-C ends it.");
    interrupted().await;
    practice.stop().await;
    Ok(0)
}
