//! The exit codes of every command: one enum, so that the documentation is made from it.

use std::fmt;

/// How a command ended, as its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitCode {
    /// Everything that was asked for is done.
    Done,
    /// It failed, for a reason that none of the other codes names.
    Failed,
    /// Bad usage or configuration; nothing was begun.
    Usage,
    /// The results name nothing to sign, or name it wrongly; nothing was signed.
    Results,
    /// The registry or the cluster refused the credentials.
    Refused,
    /// Some subjects are signed and some are not. Safe to run again.
    Partial,
}

impl ExitCode {
    /// Every code, in the order of its number.
    pub const ALL: [Self; 6] =
        [Self::Done, Self::Failed, Self::Usage, Self::Results, Self::Refused, Self::Partial];

    /// The number the process ends with.
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

    /// What the code says, as the documentation shows it.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "everything that was asked for is done",
            Self::Failed => "failed",
            Self::Usage => "bad usage or configuration; nothing was begun",
            Self::Results => "the results name nothing to sign, or name it wrongly; nothing was signed",
            Self::Refused => "the registry or the cluster refused the credentials",
            Self::Partial => "some subjects are signed and some are not; safe to run again",
        }
    }

    /// The code of a run in which one subject ended with `self` and another with `other`.
    ///
    /// A run that did part of its work is [`Partial`](Self::Partial), whatever the rest failed of;
    /// two different failures are [`Failed`](Self::Failed).
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
    fn numbers_are_the_documented_ones() {
        let numbers: Vec<u8> = ExitCode::ALL.iter().map(|code| code.number()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn merging_keeps_a_shared_code_and_says_partial_when_something_was_done() {
        use ExitCode::{Done, Failed, Partial, Refused};
        assert_eq!(Done.and(Done), Done);
        assert_eq!(Refused.and(Refused), Refused);
        assert_eq!(Done.and(Refused), Partial);
        assert_eq!(Partial.and(Refused), Partial);
        assert_eq!(Refused.and(Failed), Failed);
    }

    #[test]
    fn only_what_is_done_in_all_parts_is_done_and_the_order_does_not_matter() {
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
