//! The operations of the matrix.

use crate::fault::Fault;

/// An operation, how it is brought about, and after which words of its own the fault comes.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) line: &'static [&'static str],
    /// The instance that has to be there: none, running, stopped.
    pub(crate) before: Before,
    pub(crate) phases: &'static [&'static str],
    /// The phase in which the faults come that come only once.
    pub(crate) middle: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    Nothing,
    Running,
    Stopped,
}

pub(crate) const ALL: &[Operation] = &[
    Operation {
        name: "up",
        line: &[
            "-v",
            "up",
            "shop",
            "--accept-eula",
            "--database",
            "shop",
            "--timeout",
            "90s",
        ],
        before: Before::Nothing,
        phases: &["image", "credentials", "container", "ready", "password"],
        middle: "container",
    },
    Operation {
        name: "start",
        line: &["-v", "start", "shop", "--timeout", "90s"],
        before: Before::Stopped,
        phases: &["plan", "container", "ready"],
        middle: "container",
    },
    Operation {
        name: "stop",
        line: &["-v", "stop", "shop"],
        before: Before::Running,
        phases: &["plan", "checkpoint", "stop"],
        middle: "checkpoint",
    },
    Operation {
        name: "remove",
        line: &["-v", "remove", "shop"],
        before: Before::Running,
        phases: &["plan", "checkpoint", "remove"],
        middle: "checkpoint",
    },
    Operation {
        name: "set",
        line: &["-v", "set", "shop", "--memory", "3g", "--timeout", "90s"],
        before: Before::Running,
        phases: &["checkpoint", "stop", "container", "ready"],
        middle: "container",
    },
    Operation {
        name: "reset-password",
        line: &["-v", "reset-password", "shop"],
        before: Before::Running,
        phases: &["password", "login"],
        middle: "password",
    },
    Operation {
        name: "query",
        line: &["-v", "query", "shop", "WAITFOR DELAY '00:00:02'; SELECT 1"],
        before: Before::Running,
        phases: &[""],
        middle: "",
    },
    Operation {
        name: "logs",
        line: &["-v", "logs", "shop", "--follow"],
        before: Before::Running,
        phases: &[""],
        middle: "",
    },
    Operation {
        name: "run",
        line: &["-v", "run", "--accept-eula", "--", "sleep", "3"],
        before: Before::Nothing,
        phases: &["container", "ready", "endpoint"],
        middle: "ready",
    },
];

/// Every cell of the matrix, in the order of its page.
pub(crate) fn cells() -> impl Iterator<Item = (&'static Operation, &'static str, Fault)> {
    ALL.iter().flat_map(|operation| {
        operation
            .phases
            .iter()
            .flat_map(move |phase| Fault::ALL.map(|fault| (operation, *phase, fault)))
            .chain(Fault::ONCE.map(|fault| (operation, operation.middle, fault)))
    })
}
