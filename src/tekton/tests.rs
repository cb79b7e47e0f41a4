use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;
use crate::exit::ExitCode;
use crate::explain::Explain as _;
use crate::explain::Explanation;
use crate::hint::{Hint, Value, ValueError};
use crate::input::Folder;

struct Tree {
    root: tempfile::TempDir,
}

impl Tree {
    fn new() -> Self {
        let tree = Self { root: tempfile::tempdir().unwrap() };
        fs::create_dir(tree.path("results")).unwrap();
        tree
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, value: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, value).unwrap();
    }

    /// A step as Tekton's entrypoint makes it: two links to one folder.
    fn step(&self, number: usize, name: &str) {
        fs::create_dir_all(self.path("steps")).unwrap();
        fs::create_dir_all(self.path(&format!("run/{number}/status"))).unwrap();
        let target = self.path(&format!("run/{number}/status"));
        symlink(&target, self.path(&format!("steps/{number}"))).unwrap();
        symlink(&target, self.path(&format!("steps/step-{name}"))).unwrap();
    }

    fn places(&self) -> Places {
        Places { results_dir: self.path("results"), steps_dir: self.path("steps") }
    }

    fn discover(&self) -> Discovered {
        discover(&self.places()).unwrap()
    }
}

fn places(found: &Discovered) -> Vec<String> {
    found.hints.iter().map(Hint::place).collect()
}

/// The reasons of all hints without a value.
fn reasons(found: &Discovered) -> Vec<String> {
    let reason = |hint: &Hint| hint.value.as_ref().err().map(|error| format!("{}: {error}", hint.place()));
    found.hints.iter().filter_map(reason).collect()
}

#[test]
fn hints_come_sorted_from_the_results_and_then_from_the_steps_in_their_order() {
    let tree = Tree::new();
    tree.write("results/b-IMAGE_URL", "registry.example/b\n");
    tree.write("results/a-IMAGE_URL", "registry.example/a");
    tree.write("results/commit", "0123");
    for (number, name) in [(0, "zulu"), (2, "bravo"), (10, "alpha"), (1, "mike")] {
        tree.step(number, name);
        tree.write(&format!("run/{number}/status/results/IMAGES"), "x");
    }
    let found = tree.discover();
    assert_eq!(
        places(&found),
        [
            "result a-IMAGE_URL",
            "result b-IMAGE_URL",
            "step zulu result IMAGES",
            "step mike result IMAGES",
            "step bravo result IMAGES",
            "step alpha result IMAGES",
        ]
    );
    assert_eq!(found.hints[1].value.as_ref().unwrap(), &Value::Text("registry.example/b".into()));
    assert!(found.problems.is_empty() && found.notes.is_empty());
    assert_eq!(found.looked[0].count, 3);
    assert_eq!(found.looked[0].names, ["a-IMAGE_URL", "b-IMAGE_URL", "commit"]);
}

#[test]
fn relative_links_and_plain_folders_of_steps_are_read_too() {
    let tree = Tree::new();
    tree.write("run/0/status/results/IMAGES", "x");
    tree.write("steps/step-local/results/IMAGES", "y");
    tree.write("steps/README", "not a step");
    symlink("../run/0/status", tree.path("steps/step-linked")).unwrap();
    symlink("../run/7/status", tree.path("steps/step-later")).unwrap();
    let found = tree.discover();
    assert_eq!(places(&found), ["step linked result IMAGES", "step local result IMAGES"]);
    assert!(found.problems.is_empty());
}

#[test]
fn a_step_that_only_has_a_number_is_called_by_it() {
    let tree = Tree::new();
    tree.write("run/3/status/results/IMAGES", "x");
    fs::create_dir(tree.path("steps")).unwrap();
    symlink("../run/3/status", tree.path("steps/3")).unwrap();
    assert_eq!(places(&tree.discover()), ["step 3 result IMAGES"]);
}

#[test]
fn a_link_out_of_run_is_not_followed_and_shows_nothing() {
    let tree = Tree::new();
    tree.write("secret/results/IMAGES", "s3cret");
    tree.write("run/other/results/IMAGES", "fine");
    fs::create_dir(tree.path("steps")).unwrap();
    symlink(tree.path("secret"), tree.path("steps/step-abs")).unwrap();
    symlink("../run/../secret", tree.path("steps/step-dots")).unwrap();
    symlink("../run", tree.path("steps/step-root")).unwrap();
    symlink("../running", tree.path("steps/step-prefix")).unwrap();
    symlink("/", tree.path("steps/step-slash")).unwrap();
    let found = tree.discover();
    assert!(found.hints.is_empty());
    let places: Vec<&str> = found.problems.iter().map(|problem| problem.place.as_str()).collect();
    assert_eq!(places, ["step abs", "step dots", "step prefix", "step root", "step slash"]);
    assert!(found.problems.iter().all(|problem| problem.what.contains("leads out of")));
    assert!(!format!("{found:?}").contains("s3cret"));
}

#[test]
fn a_step_that_makes_its_own_folders_links_is_refused() {
    let tree = Tree::new();
    tree.write("secret/results/IMAGES", "s3cret");
    for (number, name) in [(0, "status"), (1, "results"), (2, "file"), (3, "number")] {
        tree.step(number, name);
    }
    fs::remove_dir(tree.path("run/0/status")).unwrap();
    symlink(tree.path("secret"), tree.path("run/0/status")).unwrap();
    symlink(tree.path("secret/results"), tree.path("run/1/status/results")).unwrap();
    fs::create_dir(tree.path("run/2/status/results")).unwrap();
    symlink(tree.path("secret/results/IMAGES"), tree.path("run/2/status/results/IMAGES")).unwrap();
    fs::remove_dir_all(tree.path("run/3")).unwrap();
    tree.write("run/3", "a file");
    let found = tree.discover();
    let told: Vec<String> =
        found.problems.iter().map(|problem| format!("{}: {}", problem.place, problem.what)).collect();
    assert_eq!(
        told,
        [
            "step status: its folder \"status\" is a symbolic link, and none is followed here",
            "step results: its folder \"results\" is a symbolic link, and none is followed here",
            "step number: its \"3\" is not a folder",
        ]
    );
    assert_eq!(
        reasons(&found),
        [
            "step file result IMAGES: it is a symbolic link, and none is followed here; write the value itself into \
             the file"
        ]
    );
    assert!(!format!("{found:?}").contains("s3cret"));
}

#[test]
fn only_regular_files_of_a_bounded_size_are_read() {
    let tree = Tree::new();
    tree.write("secret", "s3cret");
    symlink(tree.path("secret"), tree.path("results/a-IMAGE_URL")).unwrap();
    symlink(tree.path("nowhere"), tree.path("results/b-IMAGE_URL")).unwrap();
    mknodat(CWD, tree.path("results/c-IMAGE_URL"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
    let _socket = UnixListener::bind(tree.path("results/d-IMAGE_URL")).unwrap();
    fs::create_dir(tree.path("results/e-IMAGE_URL")).unwrap();
    tree.write("results/f-IMAGE_URL", vec![b'x'; 1024 * 1024 + 1]);
    tree.write("results/g-IMAGE_URL", b"\xff\xfe");
    // Links and FIFOs that aren't hints are ignored.
    symlink(tree.path("secret"), tree.path("results/log")).unwrap();
    let link = "it is a symbolic link, and none is followed here; write the value itself into the file";
    let found = tree.discover();
    assert_eq!(
        reasons(&found),
        [
            format!("result a-IMAGE_URL: {link}"),
            format!("result b-IMAGE_URL: {link}"),
            "result c-IMAGE_URL: it is a FIFO, and only regular files are read; write the value into a file".into(),
            "result d-IMAGE_URL: it is a socket, and only regular files are read; write the value into a file".into(),
            "result e-IMAGE_URL: it is a folder, and only regular files are read; write the value into a file".into(),
            "result f-IMAGE_URL: it is larger than 1024 KiB, more than any result holds".into(),
            "result g-IMAGE_URL: it is not UTF-8 text".into(),
        ]
    );
    assert!(!format!("{found:?}").contains("s3cret"));
}

#[test]
fn all_results_together_have_a_limit() {
    let tree = Tree::new();
    for at in 0..9 {
        tree.write(&format!("results/r{at}-IMAGE_URL"), vec![b'x'; 1024 * 1024]);
    }
    assert_eq!(
        reasons(&tree.discover()),
        ["result r8-IMAGE_URL: the results before it filled the 8 MiB that are read in all"]
    );
}

#[test]
fn a_folder_with_endless_entries_is_an_error() {
    let tree = Tree::new();
    for at in 0..=MAX_ENTRIES {
        tree.write(&format!("results/{at}"), "");
    }
    let error = discover(&tree.places()).unwrap_err();
    assert!(matches!(error, TektonError::TooMany { .. }));
    assert_eq!(error.exit(), ExitCode::Results);
}

#[test]
fn a_file_swapped_for_a_link_after_the_listing_is_refused() {
    let tree = Tree::new();
    tree.write("secret", "s3cret");
    tree.write("results/IMAGES", "x");
    let folder = Folder::open_named(&tree.path("results")).unwrap();
    let name = Budget::default().names(&folder).unwrap().remove(0);
    fs::remove_file(tree.path("results/IMAGES")).unwrap();
    symlink(tree.path("secret"), tree.path("results/IMAGES")).unwrap();
    assert!(matches!(Budget::default().read(&folder, &name), Err(ValueError::Link)));
}

#[test]
fn a_file_that_is_swapped_all_the_time_never_shows_what_a_link_leads_to() {
    let tree = Tree::new();
    tree.write("secret", "s3cret");
    tree.write("results/IMAGES", "x");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                symlink(tree.path("secret"), tree.path("next")).unwrap();
                fs::rename(tree.path("next"), tree.path("results/IMAGES")).unwrap();
                fs::write(tree.path("next"), "x").unwrap();
                fs::rename(tree.path("next"), tree.path("results/IMAGES")).unwrap();
            }
        });
        let folder = Folder::open_named(&tree.path("results")).unwrap();
        let read = |_| Budget::default().read(&folder, "IMAGES".as_ref());
        let good = (0..5000).map(read).filter_map(Result::ok).all(|bytes| bytes == b"x");
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(good);
    });
}

#[test]
fn near_misses_are_noted_unread_and_weak_ones_only_where_no_hint_is() {
    let tree = Tree::new();
    tree.write("secret", "s3cret");
    symlink(tree.path("secret"), tree.path("results/image_url")).unwrap();
    tree.write("results/IMAGE_REF", "registry.example/a");
    let found = tree.discover();
    let noted: Vec<&str> = found.notes.iter().map(|note| note.place.as_str()).collect();
    assert_eq!(noted, ["result IMAGE_REF", "result image_url"]);
    assert_eq!(
        found.notes[1].what,
        "no type hint has this name; if it names what was built, let it end in IMAGE_URL (as app-IMAGE_URL, with \
         app-IMAGE_DIGEST beside it)"
    );
    tree.write("results/IMAGES", "x");
    let found = tree.discover();
    let noted: Vec<&str> = found.notes.iter().map(|note| note.place.as_str()).collect();
    assert_eq!(noted, ["result image_url"]);
}

/// The results of public Tasks (tektoncd/catalog and others), and which of them are noted.
#[test]
fn results_of_a_source_or_a_page_get_no_advice() {
    for (results, noted) in [
        // git-clone, git-cli, github-open-pr, github-create-deployment, gist, buildah-manifest-push.
        (&["commit", "url", "committer-date"][..], &[][..]),
        (&["url", "short-commit", "commit-timestamp", "CHAINS-GIT_URL", "CHAINS-GIT_COMMIT"], &[]),
        (&["NUMBER", "URL"], &[]),
        (&["ID", "URL", "STATUSES_URL"], &[]),
        (&["gist_url", "server-url", "uri"], &[]),
        (&["MANIFEST_DIGEST", "MANIFEST_URL"], &[]),
        (&["commit", "url", "digest"], &["digest"]),
        (&["CHAINS-GIT_COMMIT", "URI", "digest"], &["digest"]),
        // kaniko before 0.6, and what its users write.
        (&["IMAGE-DIGEST"], &["IMAGE-DIGEST"]),
        (&["url", "digest"], &["digest", "url"]),
        (&["DIGEST", "URI"], &["DIGEST", "URI"]),
        (&["IMAGE-DIGEST", "URL"], &["IMAGE-DIGEST", "URL"]),
        (&["IMAGE_DIGEST", "digest", "url"], &[]),
        (&["commit", "image_url"], &["image_url"]),
    ] {
        let tree = Tree::new();
        for name in results {
            tree.write(&format!("results/{name}"), "x");
        }
        let found: Vec<String> = tree.discover().notes.into_iter().map(|note| note.place).collect();
        let noted: Vec<String> = noted.iter().map(|name| format!("result {name}")).collect();
        assert_eq!(found, noted, "{results:?}");
    }
}

#[test]
fn names_that_would_move_the_cursor_are_escaped_and_notes_have_an_end() {
    let tree = Tree::new();
    tree.write("results/\u{1b}[2J\nIMAGE_URL", "x");
    for at in 0..40 {
        tree.write(&format!("results/x{at}-image_url"), "x");
    }
    let found = tree.discover();
    assert!(found.hints.is_empty());
    assert_eq!(found.notes[0].place, "result \\u{1b}[2J\\nIMAGE_URL");
    assert_eq!(found.notes.len(), 21);
    assert_eq!(found.notes[20].what, "21 more results look like type hints and are none");
    assert!(found.looked[0].names.len() < 20);
}

#[test]
fn folders_that_are_missing_or_none() {
    let tree = Tree::new();
    let at = |results: &str, steps: &str| {
        discover(&Places { results_dir: tree.path(results), steps_dir: tree.path(steps) })
    };
    assert!(at("results", "steps").unwrap().hints.is_empty());
    let told = Explanation::of(&at("nowhere", "steps").unwrap_err()).to_string();
    assert!(told.starts_with("error: there is no results folder "), "{told}");
    assert!(told.contains("do:    not in a TaskRun?"), "{told}");

    tree.write("file", "");
    assert!(matches!(at("file", "steps"), Err(TektonError::NotAFolder { what: "not a folder", .. })));
    symlink(tree.path("results"), tree.path("link")).unwrap();
    assert!(matches!(at("link", "steps"), Err(TektonError::NotAFolder { what: "a symbolic link", .. })));
    assert!(matches!(at("link/", "steps"), Err(TektonError::NotAFolder { what: "a symbolic link", .. })));
    assert!(matches!(at("results", "link"), Err(TektonError::NotAFolder { .. })));
}

#[test]
fn a_result_that_may_not_be_read_says_so() {
    let tree = Tree::new();
    tree.write("results/IMAGES", "x");
    fs::set_permissions(tree.path("results/IMAGES"), fs::Permissions::from_mode(0o000)).unwrap();
    let found = tree.discover();
    // A user with the right to read everything, such as root, gets the value.
    match fs::read(tree.path("results/IMAGES")) {
        Ok(_) => assert!(found.hints[0].value.is_ok()),
        Err(_) => assert!(matches!(found.hints[0].value, Err(ValueError::Unreadable(_)))),
    }
}

#[test]
fn arguments_are_hints_in_their_order() {
    let found = from_arguments(&["registry.example/b@x".into(), " ".into(), "a,b".into()]);
    assert_eq!(places(&found), ["argument 1", "argument 2", "argument 3"]);
    assert_eq!(found.hints[1].value.as_ref().unwrap(), &Value::Blank);
    assert_eq!(found.hints[2].value.as_ref().unwrap(), &Value::Text("a,b".into()));
}

#[test]
fn a_list_has_names_comments_and_blank_lines() {
    let tree = Tree::new();
    tree.write("images.txt", "# built\n\na, b # two\r\n  \nc\n");
    let found = from_file(&tree.path("images.txt")).unwrap();
    assert_eq!(places(&found), ["images.txt line 3", "images.txt line 3", "images.txt line 5"]);
    let values: Vec<_> = found.hints.iter().map(|hint| hint.value.as_ref().unwrap()).collect();
    let text = |text: &str| Value::Text(text.into());
    assert_eq!(values, [&text("a"), &text("b"), &text("c")]);

    tree.write("named.txt", "a@x  i \t j # k\nb , c l\n");
    let found = from_file(&tree.path("named.txt")).unwrap();
    let values: Vec<_> = found.hints.iter().map(|hint| hint.value.as_ref().unwrap()).collect();
    let named = |name: &str, identities: &[&str]| Value::Named {
        name: name.into(),
        identities: identities.iter().map(|text| (*text).to_owned()).collect(),
    };
    assert_eq!(values, [&named("a@x", &["i", "j"]), &text("b"), &named("c", &["l"])]);

    // As a ConfigMap is mounted.
    symlink(tree.path("images.txt"), tree.path("link")).unwrap();
    assert_eq!(from_file(&tree.path("link")).unwrap().hints.len(), 3);
}

#[test]
fn lists_that_are_none() {
    let tree = Tree::new();
    let error = |name: &str| from_file(&tree.path(name)).unwrap_err();
    assert!(matches!(error("nowhere"), TektonError::List { .. }));
    assert!(matches!(error("results"), TektonError::List { source: InputError::NotAFile { .. }, .. }));
    mknodat(CWD, tree.path("fifo"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
    assert!(matches!(error("fifo"), TektonError::List { source: InputError::NotAFile { .. }, .. }));
    tree.write("big", vec![b'#'; 1024 * 1024 + 1]);
    assert!(matches!(error("big"), TektonError::List { source: InputError::TooLarge { .. }, .. }));
    tree.write("binary", b"\xff");
    assert!(matches!(error("binary"), TektonError::ListNotText { .. }));
    tree.write("letters", "a,".repeat(images::MAX_LISTED + 1));
    assert!(matches!(error("letters"), TektonError::ListTooLong { .. }));
    for name in ["nowhere", "results", "big", "binary", "letters"] {
        assert!(error(name).hint().is_some());
        assert_eq!(error(name).exit(), ExitCode::Usage);
    }
}

#[test]
fn a_long_path_does_not_hide_the_line() {
    let place = images::from_list("x", &"p".repeat(50)).unwrap().hints[0].place();
    assert!(place.ends_with(" line 1"), "{place}");
}
