//! Hosts, settings and history in versioned files; credentials in the keychain.
//!
//! Everything here may block on a disk or on a dialog of the keychain: async callers use
//! `spawn_blocking`. The host is the truth about instances; these files are preferences
//! and a cache.
//!
//! ```
//! use berth_store::{Folder, HostRecord, Hosts};
//! # let temp = tempfile::tempdir()?;
//! let folder = Folder::new(temp.path().join("berth"));
//! folder.update(|hosts: &mut Hosts| {
//!     hosts.put(HostRecord { name: "winhost".into(), address: "ssh://dev@winhost".into(), ..Default::default() });
//!     Ok(())
//! })?;
//! assert_eq!(folder.read::<Hosts>()?.get("winhost").map(|h| h.address.as_str()), Some("ssh://dev@winhost"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod credentials;
mod folder;
mod history;
mod keychain;
mod records;

pub use credentials::{Credentials, Memory, host_account, instance_account};
pub use folder::{Content, Folder};
pub use history::{History, OperationRecord, StepRecord};
pub use keychain::Keychain;
pub use records::{HostRecord, Hosts, InstanceRecord, Instances, RouteRecord, Settings, Unknown};
