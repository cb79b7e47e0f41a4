//! The exit codes of every command, in one enum from which the documentation is generated.

use std::fmt;

/// The exit code of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitCode {
    /// The command did everything that was requested.
    Done,
    /// The command failed for a reason that no other code covers.
    Failed,
    /// Bad usage or configuration; the command did nothing.
    Usage,
    /// The results name nothing to sign, or are malformed; nothing was signed.
    Results,
    /// The registry or the cluster refused the credentials.
    Refused,
    /// Some subjects are signed and some are not. Safe to run again.
    Partial,
}

impl ExitCode {
    /// Every code, ordered by number.
    pub const ALL: [Self; 6] =
        [Self::Done, Self::Failed, Self::Usage, Self::Results, Self::Refused, Self::Partial];

    /// The number that the process exits with.
    pub const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Results => 3,
            Self::Refused => 4,
            Self::Partial => 5,
        }
    }

    /// The meaning of the code as the documentation shows it.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "everything that was requested is done",
            Self::Failed => "failed",
            Self::Usage => "bad usage or configuration; nothing was done",
            Self::Results => "the results name nothing to sign, or are malformed; nothing was signed",
            Self::Refused => "the registry or the cluster refused the credentials",
            Self::Partial => "some subjects are signed and some are not; safe to run again",
        }
    }

    /// Combines the codes of two subjects of a run into the code of the run.
    ///
    /// A run that did part of its work is [`Partial`](Self::Partial), whatever the other failures are.
    /// Two different failures are [`Failed`](Self::Failed).
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (one, two) if one == two => one,
            (Self::Done, _) | (_, Self::Done) | (Self::Partial, _) | (_, Self::Partial) => Self::Partial,
            _ => Self::Failed,
        }
    }
}

impl fmt::Display for ExitCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.number(), self.meaning())
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_match_the_documentation() {
        let numbers: Vec<u8> = ExitCode::ALL.iter().map(|code| code.number()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn merging_keeps_a_shared_code_and_is_partial_when_some_work_was_done() {
        use ExitCode::{Done, Failed, Partial, Refused};
        assert_eq!(Done.and(Done), Done);
        assert_eq!(Refused.and(Refused), Refused);
        assert_eq!(Done.and(Refused), Partial);
        assert_eq!(Partial.and(Refused), Partial);
        assert_eq!(Refused.and(Failed), Failed);
    }

    #[test]
    fn a_run_is_done_only_if_every_part_is_done_in_any_order() {
        for one in ExitCode::ALL {
            for two in ExitCode::ALL {
                let done = one == ExitCode::Done && two == ExitCode::Done;
                assert_eq!(one.and(two) == ExitCode::Done, done, "{one} {two}");
                assert_eq!(one.and(two), two.and(one), "{one} {two}");
                for three in ExitCode::ALL {
                    assert_eq!(one.and(two).and(three), one.and(two.and(three)), "{one} {two} {three}");
                }
            }
        }
    }
}
