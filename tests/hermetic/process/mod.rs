//! What protects the process, as seen from outside: what it gives away, what it passes on to the programs that it starts, and
//! which files it can use. The binary runs in a folder as a step has it, with a registry over real HTTP.

mod landlock;
mod landlock_inputs;
mod secrets;
mod wrong_place;
