//! The SSH agent: which keys it has, and who signs a request to sign in.

use std::{path::Path, sync::Arc, time::Duration};

use berth_core::{Error, Result};
use russh::{
    AgentAuthError, Signer,
    client::Handle,
    keys::{
        self, HashAlg, PrivateKey, PublicKey,
        agent::{AgentIdentity, client::AgentClient},
        signature::Signer as _,
        ssh_encoding::Encode,
        ssh_key::{self, private::KeypairData},
    },
};
use tokio::{net::UnixStream, time::timeout};

use crate::client::Watcher;

/// For the agent to list its keys.
const ANSWER: Duration = Duration::from_secs(5);

pub(crate) type Agent = AgentClient<UnixStream>;

/// Opens the agent and asks what it has.
pub(crate) async fn open(
    socket: &Path,
    handle: &Handle<Watcher>,
) -> Result<(Agent, Vec<AgentIdentity>)> {
    let failed = |why: String| {
        Error::failed(format!(
            "The SSH agent at `{}` does not answer",
            socket.display()
        ))
        .because(why)
    };
    let ask = async {
        let mut agent = Agent::connect_uds(socket)
            .await
            .map_err(|e| failed(e.to_string()))?;
        // Keys that are bound to one destination are only shown on a bound connection.
        // Agents that do not know this extension refuse it, which does no harm.
        if let Some(binding) = handle.agent_session_binding() {
            match agent.bind_session(binding, false).await {
                Ok(()) | Err(keys::Error::AgentFailure) => {}
                Err(e) => return Err(failed(e.to_string())),
            }
        }
        let identities = agent
            .request_identities()
            .await
            .map_err(|e| failed(e.to_string()))?;
        Ok((agent, identities))
    };
    timeout(ANSWER, ask)
        .await
        .map_err(|_| failed(format!("no answer within {} s", ANSWER.as_secs())))?
}

/// Who signs.
pub(crate) enum Hand<'a> {
    /// The agent, with this key or certificate of its own.
    Agent(&'a mut Agent, Box<AgentIdentity>),
    /// A key that was read from a file.
    Key(Arc<PrivateKey>),
    /// Nobody: only whether the server would take the key is of interest.
    Nobody,
}

impl Signer for Hand<'_> {
    type Error = AgentAuthError;

    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        match self {
            // The certificate of a file is signed for by the plain key that the agent has.
            Self::Agent(agent, identity) => Ok(agent.sign_request(identity, hash, to_sign).await?),
            Self::Key(key) => {
                signed(key, hash, to_sign).map_err(|e| AgentAuthError::Key(keys::Error::SshKey(e)))
            }
            Self::Nobody => Err(AgentAuthError::Key(keys::Error::AgentFailure)),
        }
    }
}

/// `data` with the signature over it behind it (RFC 4252 7).
fn signed(key: &PrivateKey, hash: Option<HashAlg>, mut data: Vec<u8>) -> ssh_key::Result<Vec<u8>> {
    let signature = match key.key_data() {
        // Without a hash this would be SHA-1.
        KeypairData::Rsa(pair) => (pair, hash).try_sign(&data)?,
        other => other.try_sign(&data)?,
    };
    signature.encode_prefixed(&mut data)?;
    Ok(data)
}

/// What the agent calls a key, for people.
pub(crate) fn label(identity: &AgentIdentity) -> String {
    let (what, comment) = match identity {
        AgentIdentity::PublicKey { comment, .. } => ("agent", comment),
        AgentIdentity::Certificate { comment, .. } => ("agent certificate", comment),
    };
    if comment.is_empty() {
        what.to_owned()
    } else {
        format!("{what} ({})", comment.escape_debug())
    }
}

pub(crate) fn public(identity: &AgentIdentity) -> PublicKey {
    identity.public_key().into_owned()
}
