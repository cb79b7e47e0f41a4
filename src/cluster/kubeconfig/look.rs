//! What connecting with the kubeconfigs may read and run, found without connecting.
//!
//! Nothing here is an error: what is wrong with a kubeconfig, reading it says.

use std::path::{Path, PathBuf};

use kube::config::{AuthInfo, Cluster, Kubeconfig};

use super::{FILE_NAME, Found, HomeFolder, Kubeconfigs, NAMED_BYTES, content, program};
use crate::{foreign, input};

/// How much of a program's name is shown.
const SHOWN_BYTES: usize = 200;

/// What connecting may read and run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The kubeconfigs, and the files that the current context names.
    pub files: Vec<PathBuf>,
    /// Folders of tokens, which a newer file may replace.
    pub token_folders: Vec<PathBuf>,
    /// The program that has to run, or why that isn't known; `None`: none has to.
    pub program: Option<String>,
}

impl Kubeconfigs {
    /// Looks at the kubeconfigs that connecting would read; `in_pod`: a pod's token goes before the one below `$HOME`.
    pub fn look(&self, in_pod: bool) -> Look {
        match (&self.named, &self.home) {
            (Some(paths), _) => look_at(paths),
            (None, _) if in_pod => Look::default(),
            (None, Some(HomeFolder::Private(folder))) => look_at(&[folder.join(FILE_NAME)]),
            (None, Some(HomeFolder::Shared(folder))) => {
                let path = folder.path().join(FILE_NAME);
                let Found::File(file) = folder.find(Path::new(FILE_NAME)) else { return Look::default() };
                let text = content(file).ok();
                let text = text.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
                let mut look = Look { files: vec![path], ..Look::default() };
                // A kubeconfig that names a program is refused.
                look.add(text.and_then(|text| parse(text, folder.path())), false);
                look
            }
            (None, None) => Look::default(),
        }
    }
}

impl Look {
    /// Adds what the current context of `kubeconfig` names.
    fn add(&mut self, kubeconfig: Option<Kubeconfig>, may_run: bool) {
        let Some(kubeconfig) = kubeconfig else { return };
        let current = kubeconfig.current_context.as_ref();
        let context = kubeconfig.contexts.iter().find(|named| Some(&named.name) == current);
        let Some(context) = context.and_then(|named| named.context.as_ref()) else { return };
        let cluster = kubeconfig.clusters.iter().find(|named| named.name == context.cluster);
        let cluster = cluster.and_then(|named| named.cluster.as_ref());
        self.files
            .extend(cluster.and_then(|cluster| cluster.certificate_authority.as_ref()).map(PathBuf::from));
        let user = kubeconfig.auth_infos.iter().find(|named| Some(&named.name) == context.user.as_ref());
        let Some(user) = user.and_then(|named| named.auth_info.as_ref()) else { return };
        let files = [&user.client_certificate, &user.client_key, &user.token_file];
        self.files.extend(files.into_iter().flatten().map(PathBuf::from));
        let folder = user.token_file.as_deref().and_then(|path| Path::new(path).parent());
        // The folder of a bare name is the working folder.
        let folder = folder.map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
        self.token_folders.extend(folder.filter(|folder| *folder != Path::new("/")).map(Path::to_owned));
        if let Some(program) = program(user).filter(|_| may_run) {
            let program = foreign::escape(program, SHOWN_BYTES);
            self.program = Some(format!("the kubeconfig's plugin \"{program}\" may have to run"));
        }
    }
}

/// Looks at the files at `paths`, merged.
fn look_at(paths: &[PathBuf]) -> Look {
    let mut look = Look::default();
    let mut merged = Some(Kubeconfig::default());
    for path in paths.iter().filter(|path| path.exists()) {
        look.files.push(path.clone());
        // A FIFO can be read only once, and may have no writer.
        let Ok(bytes) = input::read_trusted(path, NAMED_BYTES) else {
            let path = foreign::escape(&path.display().to_string(), SHOWN_BYTES);
            look.program = Some(format!("which program the kubeconfig {path} runs isn't known in advance"));
            return look;
        };
        let next = std::str::from_utf8(&bytes).ok();
        let next = next.and_then(|text| parse(text, path.parent().unwrap_or(Path::new(""))));
        merged = merged.zip(next).and_then(|(merged, next)| merged.merge(next).ok());
    }
    look.add(merged, true);
    look
}

/// The kubeconfig in `text`, with the paths that it names relative to `folder` made whole.
fn parse(text: &str, folder: &Path) -> Option<Kubeconfig> {
    let mut kubeconfig = Kubeconfig::from_yaml(text).ok()?;
    // `join` keeps an absolute path as it is.
    let whole = |path: &mut Option<String>| {
        *path = path.take().map(|path| folder.join(path).to_string_lossy().into_owned());
    };
    for named in &mut kubeconfig.clusters {
        if let Some(Cluster { certificate_authority, .. }) = &mut named.cluster {
            whole(certificate_authority);
        }
    }
    for named in &mut kubeconfig.auth_infos {
        if let Some(AuthInfo { client_certificate, client_key, token_file, .. }) = &mut named.auth_info {
            [client_certificate, client_key, token_file].into_iter().for_each(whole);
        }
    }
    Some(kubeconfig)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(named: &[PathBuf]) -> Look {
        Kubeconfigs { named: Some(named.to_vec()), ..Kubeconfigs::default() }.look(true)
    }

    const CONTEXTS: &str = "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
        contexts: [{name: c, context: {cluster: k, user: u}}, {name: d, context: {cluster: k, user: other}}]\n";

    #[test]
    fn the_current_context_names_files_and_programs_across_kubeconfigs() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        std::fs::write(&one, CONTEXTS).unwrap();
        let users = "users: [{name: u, user: {tokenFile: sub/token}}, {name: other, user: {exec: {command: x}}}]\n\
                     clusters: [{name: k, cluster: {server: 'https://h', certificate-authority: /etc/ca}}]\n";
        std::fs::write(&two, format!("apiVersion: v1\nkind: Config\n{users}")).unwrap();
        let found = look(&[one.clone(), folder.path().join("absent"), two.clone()]);
        let token = folder.path().join("sub/token");
        assert_eq!(found.files, [one.clone(), two.clone(), "/etc/ca".into(), token]);
        assert_eq!((found.token_folders, found.program), (vec![folder.path().join("sub")], None));
        std::fs::write(&one, CONTEXTS.replace("current-context: c", "current-context: d")).unwrap();
        let program = look(&[one, two]).program;
        assert_eq!(program.as_deref(), Some("the kubeconfig's plugin \"x\" may have to run"));
    }

    #[test]
    fn what_can_be_read_only_once_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(look(&[fifo]).program.unwrap().contains("isn't known"));
        assert_eq!(look(&[folder.path().join("absent")]), Look::default());
    }

    #[test]
    fn the_folder_of_a_bare_name_is_the_working_folder() {
        let text = format!(
            "{CONTEXTS}users: [{{name: u, user: {{tokenFile: tok}}}}]\nclusters: [{{name: k, cluster: {{}}}}]\n"
        );
        let mut look = Look::default();
        look.add(parse(&text, Path::new("")), true);
        assert_eq!((look.files, look.token_folders), (vec!["tok".into()], vec![PathBuf::from(".")]));
    }
}
