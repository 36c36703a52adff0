//! SFTP, version 3, as `sftp-server.exe` of Win32-OpenSSH answers it
//! (`draft-ietf-secsh-filexfer-02`, with OpenSSH's own extensions).
//!
//! Links are declined: nothing on this machine needs one, and one that led out of its folder
//! would be a hole.

mod attributes;

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::Utc;
use russh_sftp::{
    de,
    extensions::Statvfs,
    protocol::{
        self, Attrs, Data, ExtendedReply, FileAttributes, Handle, Name, OpenFlags, Packet, Status,
        StatusCode, Version,
    },
    server::{self, Config, StatusReply},
};
use serde::Deserialize;
use tokio::io::DuplexStream;

use crate::machine::{Model, disk::WindowsPath, identity::USER};

/// The longest packet that is taken, as OpenSSH's server.
const LONGEST_PACKET: u32 = 256 * 1024;
/// Most bytes of a file in one answer.
const LONGEST_READ: usize = 255 * 1024;
/// Files and folders open at once on one channel.
const HANDLES: usize = 128;
/// Names in one answer to `READDIR`.
const NAMES: usize = 100;

/// Answers SFTP on a stream until it ends.
pub(super) async fn serve(model: Arc<Model>, stream: DuplexStream) {
    let files = Files {
        home: WindowsPath::absolute(&format!("C:\\Users\\{USER}")),
        model,
        open: HashMap::new(),
        handles_given: 0,
    };
    server::run_with_config(
        stream,
        files,
        Config {
            max_client_packet_len: LONGEST_PACKET,
        },
    )
    .await;
}

/// One channel's open files.
struct Files {
    model: Arc<Model>,
    home: Option<WindowsPath>,
    open: HashMap<String, Open>,
    handles_given: u64,
}

enum Open {
    File { file: Arc<File>, append: bool },
    Folder(std::vec::IntoIter<protocol::File>),
}

type Answer<T> = Result<T, StatusReply>;

/// OpenSSH's words for a status.
fn status_text(code: StatusCode) -> &'static str {
    match code {
        StatusCode::Ok => "Success",
        StatusCode::Eof => "End of file",
        StatusCode::NoSuchFile => "No such file",
        StatusCode::PermissionDenied => "Permission denied",
        StatusCode::BadMessage => "Bad message",
        StatusCode::OpUnsupported => "Operation unsupported",
        _ => "Failure",
    }
}

fn refuse(code: StatusCode) -> StatusReply {
    code.with_message(status_text(code)).with_language_tag("")
}

fn failed(error: &io::Error) -> StatusReply {
    refuse(match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => StatusCode::NoSuchFile,
        io::ErrorKind::PermissionDenied | io::ErrorKind::IsADirectory => {
            StatusCode::PermissionDenied
        }
        io::ErrorKind::Unsupported => StatusCode::OpUnsupported,
        _ => StatusCode::Failure,
    })
}

fn done(id: u32) -> Status {
    Status {
        id,
        status_code: StatusCode::Ok,
        error_message: status_text(StatusCode::Ok).to_owned(),
        language_tag: String::new(),
    }
}

/// Does file work off the async threads.
async fn work<T: Send + 'static>(
    act: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Answer<T> {
    tokio::task::spawn_blocking(act)
        .await
        .map_err(|_| refuse(StatusCode::Failure))?
        .map_err(|e| failed(&e))
}

/// A file that may be written; Windows refuses one that is marked read-only, whoever asks.
fn writable(real: &Path) -> io::Result<()> {
    match std::fs::metadata(real) {
        Ok(there) if there.is_dir() || there.permissions().readonly() => {
            Err(io::ErrorKind::PermissionDenied.into())
        }
        _ => Ok(()),
    }
}

/// What an OpenSSH extension carries: one path, or two.
#[derive(Deserialize)]
struct OnePath {
    path: String,
}

#[derive(Deserialize)]
struct TwoPaths {
    old: String,
    new: String,
}

fn read_body<T: for<'de> Deserialize<'de>>(data: Vec<u8>) -> Answer<T> {
    de::from_bytes(&mut data.into()).map_err(|_| refuse(StatusCode::BadMessage))
}

impl Files {
    fn path(&self, text: &str) -> Answer<WindowsPath> {
        let home = self
            .home
            .as_ref()
            .ok_or_else(|| refuse(StatusCode::Failure))?;
        WindowsPath::of_sftp(text, home).ok_or_else(|| refuse(StatusCode::NoSuchFile))
    }

    /// Runs `act` with where the path really is.
    async fn at<T: Send + 'static>(
        &self,
        text: &str,
        act: impl FnOnce(&Model, PathBuf) -> io::Result<T> + Send + 'static,
    ) -> Answer<T> {
        let (path, model) = (self.path(text)?, Arc::clone(&self.model));
        work(move || {
            let real = model.real_path(&path).ok_or(io::ErrorKind::NotFound)?;
            act(&model, real)
        })
        .await
    }

    /// The same for what changes: what only the engine makes and removes is refused.
    async fn change_at<T: Send + 'static>(
        &self,
        text: &str,
        act: impl FnOnce(&Model, PathBuf) -> io::Result<T> + Send + 'static,
    ) -> Answer<T> {
        let path = self.path(text)?;
        if path.is_root() || path.is_engines() {
            return Err(refuse(StatusCode::PermissionDenied));
        }
        self.at(text, act).await
    }

    fn keep(&mut self, id: u32, open: Open) -> Answer<Handle> {
        if self.open.len() >= HANDLES {
            return Err(refuse(StatusCode::Failure));
        }
        self.handles_given += 1;
        let handle = format!("{:08x}", self.handles_given);
        self.open.insert(handle.clone(), open);
        Ok(Handle { id, handle })
    }

    /// The open file of a handle, and whether it is only added to.
    fn file(&self, handle: &str) -> Answer<(Arc<File>, bool)> {
        match self.open.get(handle) {
            Some(Open::File { file, append }) => Ok((Arc::clone(file), *append)),
            // Windows' server says so of a handle that is none, too.
            _ => Err(refuse(StatusCode::Failure)),
        }
    }

    async fn attributes(&self, id: u32, path: &str) -> Answer<Attrs> {
        let attrs = if self.path(path)?.is_above_drives() {
            attributes::of_no_file()
        } else {
            self.at(path, |_, real| {
                Ok(attributes::of(&std::fs::metadata(real)?))
            })
            .await?
        };
        Ok(Attrs { id, attrs })
    }

    /// Renames; over what is there only where `over` says so.
    async fn rename_to(&self, old: &str, new: &str, over: bool) -> Answer<()> {
        let target = self.path(new)?;
        if target.is_root() || target.is_engines() {
            return Err(refuse(StatusCode::PermissionDenied));
        }
        self.change_at(old, move |model, from| {
            let to = model.real_path(&target).ok_or(io::ErrorKind::NotFound)?;
            std::fs::metadata(&from)?;
            // Another case of the same name is the same file.
            let same = to == from;
            let to = match target.name() {
                Some(name) if same => to.with_file_name(name),
                _ => to,
            };
            if !same && to.exists() && (!over || to.is_dir()) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            writable_or_folder(&from)?;
            std::fs::rename(from, to)
        })
        .await
    }

    fn disk_space(&self, id: u32, path: &WindowsPath) -> Answer<Packet> {
        const BLOCK: u64 = 4096;
        if path.is_above_drives() {
            return Err(refuse(StatusCode::Failure));
        }
        let facts = self.model.facts();
        let blocks = |mb: u64| mb * 1024 * 1024 / BLOCK;
        let free = blocks(facts.free_disk_mb);
        let data = russh_sftp::ser::to_bytes(&Statvfs {
            block_size: BLOCK,
            fragment_size: BLOCK,
            blocks: blocks(facts.disk_mb),
            blocks_free: free,
            blocks_avail: free,
            inodes: 0,
            inodes_free: 0,
            inodes_avail: 0,
            fs_id: 0,
            flags: 0,
            name_max: 255,
        })
        .map_err(|_| refuse(StatusCode::Failure))?;
        Ok(Packet::ExtendedReply(ExtendedReply {
            id,
            data: data.to_vec(),
        }))
    }
}

/// A folder is moved whatever its marks are.
fn writable_or_folder(real: &Path) -> io::Result<()> {
    if real.is_dir() {
        Ok(())
    } else {
        writable(real)
    }
}

impl server::Handler for Files {
    type Error = StatusReply;

    fn unimplemented(&self) -> Self::Error {
        refuse(StatusCode::OpUnsupported)
    }

    async fn init(&mut self, _version: u32, _: HashMap<String, String>) -> Answer<Version> {
        let mut version = Version::new();
        for (name, number) in [
            ("posix-rename@openssh.com", "1"),
            ("statvfs@openssh.com", "2"),
            ("fstatvfs@openssh.com", "2"),
            ("fsync@openssh.com", "1"),
        ] {
            version.extensions.insert(name.into(), number.into());
        }
        Ok(version)
    }

    async fn open(
        &mut self,
        id: u32,
        filename: String,
        flags: OpenFlags,
        _attrs: FileAttributes,
    ) -> Answer<Handle> {
        if self.open.len() >= HANDLES {
            return Err(refuse(StatusCode::Failure));
        }
        let append = flags.contains(OpenFlags::APPEND);
        let writes = append || flags.contains(OpenFlags::WRITE);
        let file = self
            .at(&filename, move |model, real| {
                if writes {
                    writable(&real)?;
                    if !real.exists() && !model.has_room() {
                        return Err(io::ErrorKind::StorageFull.into());
                    }
                }
                let has = |flag| flags.contains(flag);
                let create = writes && has(OpenFlags::CREATE);
                let file = OpenOptions::new()
                    .read(has(OpenFlags::READ) || !writes)
                    .write(writes)
                    .create(create)
                    .create_new(create && has(OpenFlags::EXCLUDE))
                    .truncate(writes && has(OpenFlags::TRUNCATE))
                    .open(&real)?;
                if file.metadata()?.is_dir() {
                    return Err(io::ErrorKind::PermissionDenied.into());
                }
                Ok(file)
            })
            .await?;
        self.keep(
            id,
            Open::File {
                file: Arc::new(file),
                append,
            },
        )
    }

    async fn close(&mut self, id: u32, handle: String) -> Answer<Status> {
        match self.open.remove(&handle) {
            Some(_) => Ok(done(id)),
            None => Err(refuse(StatusCode::Failure)),
        }
    }

    async fn read(&mut self, id: u32, handle: String, offset: u64, len: u32) -> Answer<Data> {
        let (file, _) = self.file(&handle)?;
        let most = LONGEST_READ.min(len as usize);
        let data = work(move || {
            let mut file = &*file;
            file.seek(SeekFrom::Start(offset))?;
            let mut data = Vec::new();
            file.take(most as u64).read_to_end(&mut data)?;
            Ok(data)
        })
        .await?;
        if data.is_empty() && most > 0 {
            return Err(refuse(StatusCode::Eof));
        }
        Ok(Data { id, data })
    }

    async fn write(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        data: Vec<u8>,
    ) -> Answer<Status> {
        let (file, append) = self.file(&handle)?;
        let model = Arc::clone(&self.model);
        work(move || {
            if !model.faults().takes_room(data.len() as u64) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let mut file = &*file;
            file.seek(if append {
                SeekFrom::End(0)
            } else {
                SeekFrom::Start(offset)
            })?;
            file.write_all(&data)
        })
        .await?;
        Ok(done(id))
    }

    async fn lstat(&mut self, id: u32, path: String) -> Answer<Attrs> {
        self.attributes(id, &path).await
    }

    async fn stat(&mut self, id: u32, path: String) -> Answer<Attrs> {
        self.attributes(id, &path).await
    }

    async fn fstat(&mut self, id: u32, handle: String) -> Answer<Attrs> {
        let (file, _) = self.file(&handle)?;
        let attrs = work(move || Ok(attributes::of(&file.metadata()?))).await?;
        Ok(Attrs { id, attrs })
    }

    async fn setstat(&mut self, id: u32, path: String, attrs: FileAttributes) -> Answer<Status> {
        self.at(&path, move |_, real| {
            if attrs.size.is_some() {
                writable(&real)?;
            }
            let file = OpenOptions::new()
                .read(true)
                .write(attrs.size.is_some())
                .open(real)?;
            attributes::set(&file, &attrs)
        })
        .await?;
        Ok(done(id))
    }

    async fn fsetstat(&mut self, id: u32, handle: String, attrs: FileAttributes) -> Answer<Status> {
        let (file, _) = self.file(&handle)?;
        work(move || attributes::set(&file, &attrs)).await?;
        Ok(done(id))
    }

    async fn opendir(&mut self, id: u32, path: String) -> Answer<Handle> {
        let (path, model) = (self.path(&path)?, Arc::clone(&self.model));
        let entries = work(move || {
            let now = Utc::now();
            let mut entries = vec![];
            let this = model.real_path(&path).map(std::fs::metadata);
            let this = match this {
                Some(metadata) => attributes::of(&metadata?),
                None if path.is_above_drives() => attributes::of_no_file(),
                None => return Err(io::ErrorKind::NotFound.into()),
            };
            for name in [".", ".."] {
                entries.push(attributes::entry(name.into(), this.clone(), now));
            }
            for name in model.names_in(&path)? {
                let attributes = if path.is_above_drives() {
                    attributes::of_no_file()
                } else {
                    let real = model.real_path(&path.join(&name));
                    // What went away since is not there.
                    match real.map(std::fs::metadata) {
                        Some(Ok(metadata)) => attributes::of(&metadata),
                        _ => continue,
                    }
                };
                entries.push(attributes::entry(name, attributes, now));
            }
            Ok(entries)
        })
        .await?;
        self.keep(id, Open::Folder(entries.into_iter()))
    }

    async fn readdir(&mut self, id: u32, handle: String) -> Answer<Name> {
        let Some(Open::Folder(entries)) = self.open.get_mut(&handle) else {
            return Err(refuse(StatusCode::Failure));
        };
        let files: Vec<_> = entries.by_ref().take(NAMES).collect();
        if files.is_empty() {
            return Err(refuse(StatusCode::Eof));
        }
        Ok(Name { id, files })
    }

    async fn remove(&mut self, id: u32, filename: String) -> Answer<Status> {
        self.change_at(&filename, |_, real| {
            writable(&real)?;
            std::fs::remove_file(real)
        })
        .await?;
        Ok(done(id))
    }

    async fn mkdir(&mut self, id: u32, path: String, _attrs: FileAttributes) -> Answer<Status> {
        self.change_at(&path, |model, real| {
            if !model.has_room() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            std::fs::create_dir(real)
        })
        .await?;
        Ok(done(id))
    }

    async fn rmdir(&mut self, id: u32, path: String) -> Answer<Status> {
        self.change_at(&path, |_, real| std::fs::remove_dir(real))
            .await?;
        Ok(done(id))
    }

    async fn realpath(&mut self, id: u32, path: String) -> Answer<Name> {
        let path = self.path(&path)?.to_sftp();
        Ok(Name {
            id,
            files: vec![protocol::File {
                filename: path.clone(),
                longname: path,
                attrs: FileAttributes::empty(),
            }],
        })
    }

    async fn rename(&mut self, id: u32, old: String, new: String) -> Answer<Status> {
        self.rename_to(&old, &new, false).await?;
        Ok(done(id))
    }

    async fn readlink(&mut self, _id: u32, path: String) -> Answer<Name> {
        // There are no links here: what is there is none.
        self.at(&path, |_, real| std::fs::metadata(real).map(|_| ()))
            .await?;
        Err(refuse(StatusCode::Failure))
    }

    async fn symlink(&mut self, _id: u32, _link: String, _target: String) -> Answer<Status> {
        Err(StatusCode::OpUnsupported
            .with_message("Links are not implemented by the practice host")
            .with_language_tag(""))
    }

    async fn extended(&mut self, id: u32, request: String, data: Vec<u8>) -> Answer<Packet> {
        match request.as_str() {
            "posix-rename@openssh.com" => {
                let paths: TwoPaths = read_body(data)?;
                self.rename_to(&paths.old, &paths.new, true).await?;
                Ok(Packet::Status(done(id)))
            }
            "fsync@openssh.com" => {
                let handle: OnePath = read_body(data)?;
                let (file, _) = self.file(&handle.path)?;
                work(move || file.sync_all()).await?;
                Ok(Packet::Status(done(id)))
            }
            "statvfs@openssh.com" => {
                let body: OnePath = read_body(data)?;
                let path = self.path(&body.path)?;
                self.disk_space(id, &path)
            }
            "fstatvfs@openssh.com" => {
                let body: OnePath = read_body(data)?;
                self.file(&body.path)?;
                self.disk_space(
                    id,
                    &self
                        .home
                        .clone()
                        .ok_or_else(|| refuse(StatusCode::Failure))?,
                )
            }
            _ => Err(refuse(StatusCode::OpUnsupported)),
        }
    }
}
