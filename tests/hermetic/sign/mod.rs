//! `stepseal sign` from outside: the binary, a folder as a step has it, and a registry over real HTTP.

mod bad_input;
mod boundary;
mod concurrency;
mod echoes;
mod elsewhere;
mod encodings;
mod everyday;
mod faults;
mod home;
mod identities;
mod interrupted;
mod key_forms;
mod killed;
mod load;
mod network;
mod other_hosts;

mod overwritten;
mod own_results;
mod product_answers;
mod products;
mod registry_flags;
mod replaced;
mod stopped;
mod tags;
mod token_service;
