//! What is said when the arguments are not understood: one line, without the values, which may be secrets.

use std::{error::Error as _, io::Write};

use anyhow::anyhow;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{Failure, Outcome};

/// Prints the help or the version that was asked for; all else is bad usage.
pub(super) fn answer(stopped: &clap::Error, out: &mut dyn Write) -> Outcome {
    if matches!(stopped.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Ok(write!(out, "{}", stopped.render())?);
    }
    Err(Failure::usage(anyhow!("usage: {}; try --help", cause(stopped))))
}

fn cause(stopped: &clap::Error) -> String {
    let argument = match stopped.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => Some(argument),
        _ => None,
    };
    match (stopped.kind(), argument, stopped.source()) {
        (ErrorKind::ValueValidation, Some(argument), Some(reason)) => format!("{argument}: {reason}"),
        (ErrorKind::UnknownArgument, Some(argument), _) if argument.starts_with('-') => {
            let name = argument.split('=').next().unwrap_or_default();
            format!("unexpected argument {name}{}", suggestion(stopped))
        }
        (ErrorKind::UnknownArgument, _, _) => {
            "a value that belongs to no option (quote a value that has spaces or & in it)".to_owned()
        }
        _ => {
            let text = stopped.render().to_string();
            let first = text.split("\n\n").next().unwrap_or_default();
            first.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ")
        }
    }
}

fn suggestion(stopped: &clap::Error) -> String {
    match stopped.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(name)) => format!(" (did you mean {name}?)"),
        _ => String::new(),
    }
}
