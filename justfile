# Everyday commands: `just` lists them. Each is one line, so that it also works without just.

_list:
    @just --list --unsorted

# Every test that needs nothing but Rust
test *ARGS:
    cargo test {{ARGS}}

# One module of the hermetic tests, as in `just module sign::tags`
module NAME:
    cargo test --test hermetic {{NAME}}

# Formatting and lints, as CI checks them
check:
    cargo fmt --all --check
    rustfmt --edition 2024 --check src/store/*.rs
    cargo clippy --all-targets --locked -- -D warnings

# Formats everything, also the stores and the fuzz targets
fmt:
    cargo fmt --all
    rustfmt --edition 2024 src/store/*.rs
    cargo fmt --manifest-path fuzz/Cargo.toml

# Spelling, shell scripts and workflows
lint:
    .ci/lint

# Writes the generated parts of docs/ again
bless:
    BLESS=1 cargo test --test hermetic documentation::
    BLESS=1 cargo test --test hermetic registries::

# The tests against cosign, crane and other real programs, as in `just peers verify`
peers *ARGS:
    tests/peers/run {{ARGS}}

# The scenarios on a real Kubernetes with Tekton
cluster *ARGS:
    tests/cluster/run {{ARGS}}

# A few seconds of each fuzz target
fuzz:
    fuzz/smoke

# The static binary
static:
    release/build

# Everything that must pass before a change lands
ci:
    .ci/run
