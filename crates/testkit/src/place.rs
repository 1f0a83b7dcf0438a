//! The place where programs are started: this machine, or a namespace of the reference lab.

use std::{ffi::OsStr, process::Command};

/// A place to start programs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// This machine.
    Host,
    /// The network, mount and UTS namespaces of the process with this ID.
    Namespace(u32),
}

impl Place {
    /// A command that runs `program` here. In a namespace its working directory is the root.
    pub(crate) fn command(self, program: impl AsRef<OsStr>) -> Command {
        match self {
            Self::Host => Command::new(program),
            Self::Namespace(holder) => {
                // nsenter becomes the program, so its process ID is the program's.
                let mut command = Command::new("nsenter");
                command.arg(format!("--target={holder}")).args(["--net", "--mount", "--uts", "--"]);
                command.arg(program);
                command
            }
        }
    }
}
