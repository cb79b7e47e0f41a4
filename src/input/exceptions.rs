//! The links that may lead to another mount.
//!
//! Each is named by its full path and leads to one place alone. A link elsewhere that leads to one of them is judged
//! by itself, so that none of these opens a way for it.

use std::path::Path;

/// A link that may lead to another mount.
#[derive(Debug)]
pub(super) struct Exception {
    /// Its full path; `NAME` stands for one name, `N` for a number.
    pub(super) link: &'static str,
    /// The only place where it may lead, written in the same way.
    pub(super) target: &'static str,
}

/// Every path that the rules except.
pub(super) const EXCEPTIONS: &[Exception] = &[
    // Tekton makes these before the first step begins, in a folder that no step can write to. A step's results are
    // named by them: $(steps.NAME.results.RESULT.path).
    Exception { link: "/tekton/steps/NAME", target: "/tekton/run/N/status" },
    // Distributions have this link in their root file system, and /run is a mount on many of them. Kubernetes mounts
    // Secrets of the ServiceAccount below /var/run.
    Exception { link: "/var/run", target: "/run" },
    // Systems that are installed as an image (ostree: Fedora CoreOS and Silverblue, RHEL for Edge) keep what users
    // write on a mount of its own, /var, and have these links in their read-only root.
    Exception { link: "/home", target: "/var/home" },
    Exception { link: "/mnt", target: "/var/mnt" },
    Exception { link: "/opt", target: "/var/opt" },
    Exception { link: "/root", target: "/var/roothome" },
    Exception { link: "/srv", target: "/var/srv" },
    Exception { link: "/usr/local", target: "/var/usrlocal" },
];

impl Exception {
    /// Whether the link at `link` is this exception, and leads where it may; both are full paths without links and `..`.
    pub(super) fn covers(&self, link: &Path, target: &Path) -> bool {
        matches(self.link, link) && matches(self.target, target)
    }
}

fn matches(pattern: &str, path: &Path) -> bool {
    let Some(path) = path.to_str() else { return false };
    let (mut wanted, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        let fits = match (wanted.next(), parts.next()) {
            (None, None) => return true,
            (Some("NAME"), Some(part)) => !part.is_empty(),
            (Some("N"), Some(part)) => !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()),
            (Some(wanted), Some(part)) => wanted == part,
            _ => false,
        };
        if !fits {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excepted(link: &str, target: &str) -> bool {
        EXCEPTIONS.iter().any(|exception| exception.covers(Path::new(link), Path::new(target)))
    }

    #[test]
    fn an_exception_is_one_link_to_one_place() {
        for (link, target) in [
            ("/tekton/steps/step-build", "/tekton/run/0/status"),
            ("/tekton/steps/0", "/tekton/run/12/status"),
            ("/var/run", "/run"),
            ("/home", "/var/home"),
        ] {
            assert!(excepted(link, target), "{link} to {target}");
        }
        for (link, target) in [
            ("/tekton/steps/step-build", "/tekton/run/0"),
            ("/tekton/steps/step-build", "/tekton/run/0/status/results"),
            ("/tekton/steps/step-build", "/tekton/run/x/status"),
            ("/tekton/steps/step-build", "/tekton/run//status"),
            ("/tekton/steps/step-build", "/etc/signing-secrets"),
            ("/tekton/steps", "/tekton/run/0/status"),
            ("/tekton/steps/", "/tekton/run/0/status"),
            ("/tekton/steps/a/b", "/tekton/run/0/status"),
            ("/workspace/tekton/steps/a", "/tekton/run/0/status"),
            ("tekton/steps/a", "/tekton/run/0/status"),
            ("/var/run", "/etc"),
            ("/var/run", "/run/secrets"),
            ("/var/run/x", "/run"),
            ("/workspace/var/run", "/run"),
            ("/var/run", "/var/home"),
            ("/home/user", "/var/home"),
            ("/home", "/var/home/user"),
        ] {
            assert!(!excepted(link, target), "{link} to {target}");
        }
    }
}
