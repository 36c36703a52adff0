//! Where the operations of the matrix work, and how it fails.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use berth_practice::machine::Model;
use berth_tests::rig::{Dockerd, Home, PracticeHost, programs, sql_image::OFFICIAL};
use std::sync::Arc;

use crate::fault::Fault;

/// A host of instances.
pub(crate) enum Place {
    /// Docker's engine on its socket, with the practice host's SQL engine as its image.
    Engine(Dockerd),
    /// The practice host as a Windows machine behind SSH.
    Windows(PracticeHost),
}

impl Place {
    pub(crate) fn add_to(&self, home: &Home) {
        match self {
            Self::Engine(dockerd) => {
                let _ = home
                    .berth(&["host", "add", "here", &dockerd.address()])
                    .ok();
            }
            Self::Windows(host) => {
                let _ = home.add("here", host);
            }
        }
    }

    /// Whether the fault can come here.
    pub(crate) fn knows(&self, fault: Fault) -> bool {
        // The practice host's images are there from its first start: none can be brought back.
        !(matches!(self, Self::Windows(_)) && fault == Fault::Image)
    }

    pub(crate) fn restart(&mut self) {
        match self {
            Self::Engine(dockerd) => dockerd.restart(),
            // Its engine starts and ends with the machine.
            Self::Windows(host) => host.reboot(&[]),
        }
    }

    pub(crate) fn kill_containers(&self) {
        match self {
            Self::Engine(dockerd) => {
                let running = dockerd.docker(&["ps", "-q"]);
                for id in running.lines().filter(|l| !l.is_empty()) {
                    // It may be gone by now.
                    let _ = dockerd.command().args(["kill", id]).output();
                }
            }
            Self::Windows(host) => {
                let model = host.running().model();
                for container in model.containers() {
                    let _ = host.wait(model.kill_container(&container.id));
                }
            }
        }
    }

    pub(crate) fn crash(&mut self) {
        match self {
            Self::Engine(dockerd) => dockerd.crash(),
            Self::Windows(host) => host.shut_down(),
        }
    }

    pub(crate) fn come_back(&mut self) {
        match self {
            Self::Engine(dockerd) => dockerd.start_again(),
            Self::Windows(host) => host.reboot(&[]),
        }
    }

    pub(crate) fn remove_image(&self) {
        if let Self::Engine(dockerd) = self {
            let _ = dockerd.command().args(["rmi", "-f", OFFICIAL]).output();
        }
    }

    pub(crate) fn bring_image(&self) {
        if let Self::Engine(dockerd) = self {
            dockerd.load_sql_image();
        }
    }

    /// Takes what is left of its disk; what it answers gives it back.
    pub(crate) fn fill(&self) -> Full {
        match self {
            Self::Engine(dockerd) => Full::of(&dockerd.data()),
            Self::Windows(host) => {
                let model = Arc::clone(host.running().model());
                let full = "disk-full".parse().expect("the practice host knows it");
                model.faults().set(vec![full]);
                Full::Practice(model)
            }
        }
    }

    /// Whether no container and no volume is left.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Engine(dockerd) => {
                dockerd.docker(&["ps", "-aq"]).trim().is_empty()
                    && dockerd.docker(&["volume", "ls", "-q"]).trim().is_empty()
            }
            Self::Windows(host) => {
                let model = host.running().model();
                model.containers().is_empty() && model.volumes().is_empty()
            }
        }
    }
}

/// A disk without room.
pub(crate) enum Full {
    File(PathBuf),
    Practice(Arc<Model>),
}

impl Full {
    pub(crate) fn of(folder: &Path) -> Self {
        let filler = folder.join("filler");
        let mut file = fs::File::create(&filler).unwrap();
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        Self::File(filler)
    }

    /// The same, with so many bytes left.
    pub(crate) fn but_for(folder: &Path, left: u64) -> Self {
        let full = Self::of(folder);
        if let Self::File(filler) = &full {
            let file = fs::File::options().write(true).open(filler).unwrap();
            let all = file.metadata().unwrap().len();
            file.set_len(all.saturating_sub(left)).unwrap();
        }
        full
    }

    pub(crate) fn make_room(self) {
        match self {
            Self::File(filler) => fs::remove_file(filler).unwrap(),
            Self::Practice(model) => model.faults().set(Vec::new()),
        }
    }
}

/// A disk of so many MB at a folder: small enough to fill.
pub(crate) fn small_disk(folder: &Path, mb: u32) {
    fs::create_dir_all(folder).unwrap();
    programs::run(
        Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={mb}m,mode=0700"),
                "tmpfs",
            ])
            .arg(folder),
    );
}
