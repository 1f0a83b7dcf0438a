//! One case, tried with a program.

use crate::{
    case::{self, Case, CaseFile, End, Sent, Via},
    observation::{Event, Observation, Step},
    octets::Octets,
    packet::packet,
    program::Program,
    quiet,
};
use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use std::{
    ffi::OsString,
    fs::{self, File},
    net::{Ipv4Addr, UdpSocket},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{PoisonError, RwLock},
    thread,
    time::Duration,
};
use zephyr_testkit::process;

/// The name by which the program is called.
const PROGRAM_NAME: &str = "zwgc";
/// The command that sends notices by way of a server: what the cases were recorded with.
const ZWRITE: &str = "/usr/bin/zwrite";
const ZWRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest time that a case may wait after a notice, in seconds.
const MAX_WAIT: f64 = 60.0;
/// Bits of a file's mode that are its permissions.
const PERMISSIONS: u32 = 0o7777;

/// What is around the cases.
#[derive(Debug)]
pub struct World {
    /// The client.
    pub program: PathBuf,
    /// The folder for the home directories of cases.
    pub homes: PathBuf,
    /// The folder with the home directories of users with tickets, which are in `ccache` there.
    pub users: PathBuf,
    /// `KRB5_CONFIG`.
    pub krb5_config: OsString,
    servers: Vec<u32>,
    /// Taken for writing by who has notices sent that reach all clients.
    delivery: RwLock<()>,
}

impl World {
    /// The world of a machine on which all servers run already, and nothing else does.
    ///
    /// # Errors
    ///
    /// When the machine does not say what runs on it.
    pub fn new(program: PathBuf, homes: PathBuf, users: PathBuf, krb5_config: OsString) -> Result<Self> {
        let servers = quiet::neighbours()?;
        Ok(Self { program, homes, users, krb5_config, servers, delivery: RwLock::default() })
    }

    /// Runs the program as the case says.
    ///
    /// # Errors
    ///
    /// When that is not possible, or the program does not come to rest.
    pub fn observe(&self, file: &CaseFile) -> Result<Observation> {
        let home = self.home(file);
        let case = file.case(&home)?;
        let is_alone = case.is_passed_by_server();
        let _alone = is_alone.then(|| self.delivery.write().unwrap_or_else(PoisonError::into_inner));
        let _together = (!is_alone).then(|| self.delivery.read().unwrap_or_else(PoisonError::into_inner));
        file.furnish(&case, &home)?;
        Trial { world: self, case: &case, home: &home }.run()
    }

    /// The home directory of this case.
    pub fn home(&self, file: &CaseFile) -> PathBuf {
        self.homes.join(&file.stem)
    }

    fn with_tickets_of(&self, command: &mut Command, user: &str) {
        let cache = self.users.join(user).join("ccache");
        command.env("KRB5_CONFIG", &self.krb5_config).env("KRB5CCNAME", format!("FILE:{}", cache.display()));
    }
}

struct Trial<'a> {
    world: &'a World,
    case: &'a Case,
    home: &'a Path,
}

impl Trial<'_> {
    fn run(&self) -> Result<Observation> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mut program = self.start()?;
        let mut steps = Vec::new();
        program.settle(&self.world.servers)?;
        steps.push(step(Event::Startup, &mut program));
        for (number, sent) in self.case.notices.iter().enumerate() {
            if program.has_ended()? {
                break;
            }
            self.send(sent, number, &socket, &mut program).with_context(|| format!("notice {number}"))?;
            steps.push(step(Event::Notice(number), &mut program));
        }
        program.wait_for_end((self.case.end == End::Term).then_some(Signal::SIGTERM))?;
        steps.push(step(Event::Exit, &mut program));
        let mut observation = Observation { steps, exit_status: program.exit_status(), ..Observation::default() };
        self.collect(&mut observation)?;
        Ok(observation)
    }

    fn start(&self) -> Result<Program> {
        let mut command = Command::new(&self.world.program);
        command.arg0(PROGRAM_NAME).args(&self.case.args).current_dir(self.home);
        command.env_clear().env("WGFILE", self.home.join("wg")).envs(&self.case.env);
        self.world.with_tickets_of(&mut command, self.case.user.split('@').next().unwrap_or_default());
        command.stdin(match &self.case.stdin_file {
            Some(name) => Stdio::from(File::open(case::path_in(self.home, name)?)?),
            None => Stdio::null(),
        });
        let port_file = self.case.env.get("WGFILE").map_or_else(|| self.home.join("wg"), PathBuf::from);
        Program::start(command, self.home.join(port_file))
    }

    /// Sends one, and waits until the program has handled it.
    fn send(&self, sent: &Sent, number: usize, socket: &UdpSocket, program: &mut Program) -> Result<()> {
        case::write_all(self.home, &sent.write_file)?;
        let before = program.rest();
        match sent.via {
            Some(Via::Zwrite) => self.zwrite(sent)?,
            None => drop(socket.send_to(&packet(sent, number)?, (Ipv4Addr::LOCALHOST, program.port()?))?),
        }
        program.settle_after(before.as_ref(), &self.world.servers)?;
        if sent.wait > 0.0 {
            thread::sleep(Duration::try_from_secs_f64(sent.wait.min(MAX_WAIT))?);
            program.settle(&self.world.servers)?;
        }
        Ok(())
    }

    fn zwrite(&self, sent: &Sent) -> Result<()> {
        let user = sent.sender_user.as_deref().context("no user who sends it")?;
        let Some((_, arguments)) = sent.argv.split_first() else { bail!("no command that sends it") };
        let mut command = Command::new(ZWRITE);
        let home = self.world.users.join(user);
        command.args(arguments).current_dir(&home).env_clear().env("HOME", &home).env("USER", user);
        command.env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8").env("WGFILE", home.join("wg"));
        self.world.with_tickets_of(&mut command, user);
        process::run(command, ZWRITE_TIMEOUT)?.success().map(drop)
    }

    /// Reads the files that the program has left.
    fn collect(&self, observation: &mut Observation) -> Result<()> {
        for name in &self.case.collect {
            let path = case::path_in(self.home, name)?;
            let mode = fs::metadata(&path).ok().map(|metadata| metadata.permissions().mode() & PERMISSIONS);
            observation.files.insert(name.clone(), fs::read(&path).ok().map(Octets));
            observation.modes.insert(name.clone(), mode.map(|mode| format!("{mode:o}")));
        }
        Ok(())
    }
}

fn step(event: Event, program: &mut Program) -> Step {
    let (stdout, stderr) = program.take_output();
    Step { event, stdout, stderr }
}
