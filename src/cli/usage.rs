//! The error for arguments that cannot be parsed: one line without their values, which may be secrets.

use std::{error::Error as _, io::Write};

use anyhow::anyhow;
use clap::{
    CommandFactory as _,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{Arguments, Failure, Outcome};

/// Prints the help or the version if the user requested it. Everything else is bad usage.
pub(super) fn answer(stopped: &clap::Error, out: &mut dyn Write) -> Outcome {
    if matches!(stopped.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Ok(write!(out, "{}", stopped.render())?);
    }
    Err(Failure::usage(anyhow!("usage: {}; try --help", cause(stopped))))
}

/// The cause, built from names only, because clap's own texts repeat the values.
fn cause(stopped: &clap::Error) -> String {
    let argument = match stopped.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => Some(argument.as_str()),
        _ => None,
    };
    match (stopped.kind(), argument, stopped.source()) {
        (ErrorKind::ValueValidation, Some(argument), Some(reason)) => format!("{argument}: {reason}"),
        (ErrorKind::UnknownArgument, Some(argument), _) => {
            match argument.split('=').next().filter(|name| is_option(name)) {
                Some(name) => format!("unexpected argument {name}{}", suggestion(stopped)),
                None => stray(argument),
            }
        }
        (ErrorKind::InvalidValue, Some(argument), _) => match stopped.get(ContextKind::ValidValue) {
            Some(ContextValue::Strings(words)) if !words.is_empty() => {
                format!("{argument}: must be one of {}", words.join(", "))
            }
            _ => format!("{argument}: needs a value"),
        },
        (ErrorKind::InvalidSubcommand, ..) => {
            elsewhere(stopped).unwrap_or_else(|| format!("no such command{}", command_suggestion(stopped)))
        }
        (ErrorKind::TooManyValues | ErrorKind::WrongNumberOfValues, Some(argument), _) => {
            format!("{argument}: has too many values")
        }
        // clap's texts for these kinds contain only names of options and commands.
        (ErrorKind::MissingRequiredArgument | ErrorKind::MissingSubcommand | ErrorKind::ArgumentConflict, ..) => {
            let text = stopped.render().to_string();
            let first = text.split("\n\n").next().unwrap_or_default();
            first.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ")
        }
        (_, Some(argument), _) if is_option(argument) => format!("{argument} cannot be parsed"),
        _ => "the arguments cannot be parsed".to_owned(),
    }
}

/// Whether a text can only be the name of an option.
fn is_option(text: &str) -> bool {
    let name = text.trim_start_matches('-');
    let dashes = text.len() - name.len();
    (1..=2).contains(&dashes)
        && (1..=40).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

/// Names a positional argument by its place, because its text may be a secret. No command has positional arguments.
fn stray(argument: &str) -> String {
    let words: Vec<_> = std::env::args_os().collect();
    let all = Arguments::command();
    let command = words.get(1).and_then(|name| all.find_subcommand(name));
    let name = command.map_or_else(String::new, |command| format!("{} takes options only, but ", command.get_name()));
    let place = words.iter().position(|word| word == argument).unwrap_or_default();
    // If one option alone is required, the value was most likely meant for it.
    let mut options =
        command.into_iter().flat_map(clap::Command::get_arguments).filter(|option| option.is_required_set());
    let meant = match (options.next(), options.next()) {
        (Some(option), None) => option.get_long().map(|long| format!(" (did you mean --{long} before it?)")),
        _ => None,
    };
    format!(
        "{name}word {place} after the program's name belongs to no option{}; write --option=VALUE for a value that begins with a \
         dash, and quote one that has spaces or & in it",
        meant.unwrap_or_default()
    )
}

/// Names the image that has the command. The sidecar's image has no simulator.
fn elsewhere(stopped: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(command)) = stopped.get(ContextKind::InvalidSubcommand) else { return None };
    // A build with the simulator has both commands, and clap rejects neither.
    ["dev", "simulate", "send-webhook"].contains(&command.as_str()).then(|| {
        format!(
            "{command} is not in this program, which is built without the simulator; use the image wonder-simulator, or a build \
             with the cargo feature simulator"
        )
    })
}

/// The command that the user most likely meant, or all commands.
fn command_suggestion(stopped: &clap::Error) -> String {
    match stopped.get(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(names)) if !names.is_empty() => format!(" (did you mean {}?)", names.join(" or ")),
        Some(ContextValue::String(name)) => format!(" (did you mean {name}?)"),
        _ => {
            let all = Arguments::command();
            let names: Vec<&str> = all.get_subcommands().map(clap::Command::get_name).collect();
            format!("; the commands are {}", names.join(", "))
        }
    }
}

fn suggestion(stopped: &clap::Error) -> String {
    match stopped.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(name)) => format!(" (did you mean {name}?)"),
        _ => String::new(),
    }
}
