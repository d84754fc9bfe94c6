//! The simulator, asked over real sockets.

mod customers;
mod gate;
mod page;
mod serving;
mod tokens;
mod world;
