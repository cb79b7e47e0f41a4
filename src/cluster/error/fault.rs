//! What is wrong with a kubeconfig, or with what it asks for.

/// What is wrong with a kubeconfig, without anything of what is in it: it holds tokens.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KubeconfigFault {
    /// It is not YAML, or not a kubeconfig.
    #[error("line {line}, column {column} is not what a kubeconfig has there")]
    Yaml {
        /// The line, counted from 1.
        line: u64,
        /// The column, counted from 1.
        column: u64,
    },
    /// The user's token can't be sent in a header.
    #[error("the user's token has line breaks or other characters that no HTTP header can have")]
    Token,
    /// What it names can't be found or read.
    #[error(transparent)]
    Other(Box<kube::config::KubeconfigError>),
}

impl From<kube::config::KubeconfigError> for KubeconfigFault {
    fn from(error: kube::config::KubeconfigError) -> Self {
        use kube::config::KubeconfigError;
        match error {
            // Its own words show the lines around the fault.
            KubeconfigError::Parse(error) => {
                let at = error.location();
                let (line, column) = at.map_or((0, 0), |at| (at.line(), at.column()));
                Self::Yaml { line, column }
            }
            error => Self::Other(Box::new(error)),
        }
    }
}

/// Why the connection can't be set up, without what an exec plugin printed: that is a login.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupFault {
    /// The exec plugin ended with a failure.
    #[error("the exec plugin \"{program}\" ended with {status}")]
    Plugin {
        /// Its command, cut and escaped.
        program: String,
        /// How the plugin ended: exit code or signal.
        status: std::process::ExitStatus,
    },
    /// The plugin answered something else than a login.
    #[error("the answer of the exec plugin is not an ExecCredential")]
    PluginAnswer,
    /// A request to the API server failed.
    #[error(transparent)]
    Other(Box<kube::Error>),
}

impl From<kube::Error> for SetupFault {
    fn from(error: kube::Error) -> Self {
        use kube::client::AuthError;
        match error {
            kube::Error::Auth(AuthError::AuthExecRun { cmd, out }) => {
                Self::Plugin { program: crate::foreign::escape(&cmd, 200), status: out.status }
            }
            kube::Error::Auth(AuthError::AuthExecParse(_)) => Self::PluginAnswer,
            error => Self::Other(Box::new(error)),
        }
    }
}
