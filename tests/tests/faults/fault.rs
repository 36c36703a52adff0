//! The faults of the matrix.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Command,
    Agent,
    Both,
    Engine,
    Container,
    Twice,
    Host,
    Image,
    FullHost,
    FullHere,
    Keychain,
    Ahead,
    Back,
    Hundred,
}

impl Fault {
    /// In every phase.
    pub(crate) const ALL: [Self; 6] = [
        Self::Command,
        Self::Agent,
        Self::Both,
        Self::Engine,
        Self::Container,
        Self::Twice,
    ];
    /// In one phase of each operation.
    pub(crate) const ONCE: [Self; 8] = [
        Self::Host,
        Self::Image,
        Self::FullHost,
        Self::FullHere,
        Self::Keychain,
        Self::Ahead,
        Self::Back,
        Self::Hundred,
    ];

    /// Whether the clock of this machine is set by it.
    pub(crate) fn is_of_the_clock(self) -> bool {
        matches!(self, Self::Ahead | Self::Back)
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Command => "the command is killed",
            Self::Agent => "the agent is killed",
            Self::Both => "command and agent are killed",
            Self::Engine => "the engine restarts",
            Self::Container => "the container is killed from outside",
            Self::Twice => "the same is asked for twice at once",
            Self::Host => "the host is gone, and comes back when the command has ended",
            Self::Image => "the image is removed meanwhile",
            Self::FullHost => "the host's disk is full",
            Self::FullHere => "the disk here is full",
            Self::Keychain => "the keychain is locked meanwhile",
            Self::Ahead => "the clock here jumps a day ahead",
            Self::Back => "the clock here jumps a day back",
            Self::Hundred => "the same is asked for a hundred times at once",
        }
    }
}
