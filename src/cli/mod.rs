//! The commands. Each is parsed from the arguments, runs, and gives an exit code.
//!
//! Exit codes: 0 is success. 64 (`EX_USAGE` of `sysexits.h`) means that an argument, a setting, or a file that one of them names must
//! change. 1 means that the check failed, or that something outside prevents the command. An error is one line on standard error,
//! `wonder-signer: <what>: <cause>`.
//!
//! A new command is one variant of `Command` and one arm of its `run`.

mod address;
mod capture;
mod check;
mod configuration;
#[cfg(feature = "simulator")]
mod dev;
mod input;
mod keygen;
#[cfg(feature = "simulator")]
mod local;
#[cfg(feature = "simulator")]
mod merchant;
mod output;
mod process;
mod rotate;
mod run;
mod runtime;
#[cfg(feature = "simulator")]
mod send_webhook;
mod shell;
mod shutdown;
mod sign;
mod signals;
#[cfg(feature = "simulator")]
mod simulate;
mod supervisor;
mod target;
mod traces;
mod usage;
mod verify;
mod wait;
#[cfg(feature = "simulator")]
mod webhooks;
mod whole;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser as _;

use crate::{app::StartError, telemetry};
use output::UntilClosed;

/// Signs calls to the Wonder payment gateway.
#[derive(Debug, clap::Parser)]
#[command(name = "wonder-signer", version, arg_required_else_help = false, disable_help_subcommand = true)]
#[command(after_help = "Each command has its own --help with an example.

Example:
  wonder-signer keygen --out keys")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Run(run::RunArgs),
    #[cfg(feature = "simulator")]
    Dev(dev::DevArgs),
    #[cfg(feature = "simulator")]
    Simulate(simulate::SimulateArgs),
    Check(check::CheckArgs),
    Sign(sign::SignArgs),
    #[cfg(feature = "simulator")]
    SendWebhook(send_webhook::SendWebhookArgs),
    Verify(verify::VerifyArgs),
    Keygen(keygen::KeygenArgs),
    Wait(wait::WaitArgs),
    Rotate(rotate::RotateArgs),
    Shutdown(shutdown::ShutdownArgs),
}

impl Command {
    fn run(self, out: &mut dyn Write) -> Outcome {
        match self {
            Self::Run(args) => args.run(),
            #[cfg(feature = "simulator")]
            Self::Dev(args) => args.run(out),
            #[cfg(feature = "simulator")]
            Self::Simulate(args) => args.run(out),
            Self::Check(args) => args.run(out),
            Self::Sign(args) => args.run(out),
            #[cfg(feature = "simulator")]
            Self::SendWebhook(args) => args.run(out),
            Self::Verify(args) => args.run(out),
            Self::Keygen(args) => args.run(out),
            Self::Wait(args) => args.run(out),
            Self::Rotate(args) => args.run(out),
            Self::Shutdown(args) => args.run(out),
        }
    }
}

/// Parses the arguments of the process, runs the command and returns its exit code.
#[must_use]
pub fn run() -> ExitCode {
    process::close();
    let _last_lines = telemetry::FlushOnDrop;
    let mut out = UntilClosed::new(io::stdout().lock());
    let outcome = match Arguments::try_parse() {
        Ok(arguments) => arguments.command.run(&mut out),
        Err(stopped) => usage::answer(&stopped, &mut out),
    };
    match outcome.and_then(|()| Ok(out.flush()?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// How a command ends.
type Outcome = Result<(), Failure>;

/// The error for standard error, and the exit code.
#[derive(Debug)]
struct Failure {
    error: anyhow::Error,
    code: u8,
}

/// Bad usage or configuration.
const USAGE: u8 = 64;

impl Failure {
    /// An argument, a file or a setting must change: exit code 64.
    fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { error: error.into(), code: USAGE }
    }

    /// The check failed, or something outside prevents the command: exit code 1.
    fn no(error: impl Into<anyhow::Error>) -> Self {
        Self { error: error.into(), code: 1 }
    }

    /// A server could not start.
    fn start(error: StartError) -> Self {
        let code = if error.is_configuration() { USAGE } else { 1 };
        Self { error: anyhow::Error::from(error).context("start"), code }
    }

    fn report(self) -> ExitCode {
        // A path or a library's text may contain line ends and other control characters.
        let line: String = format!("{:#}", self.error).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        telemetry::say(&format!("wonder-signer: {line}"));
        ExitCode::from(self.code)
    }
}

/// An error that no command marks as usage has exit code 1.
impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::no(error)
    }
}
