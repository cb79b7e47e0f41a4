//! `stepseal demo`: the whole job in one process, shown step by step.

use clap::ArgMatches;

use super::environment::Environment;
use super::output::Output;
use crate::demo::{Sample, SampleError, Tour, verify};
use crate::exit::ExitCode;
use crate::explain::Explain;
use crate::flow::job::{JobRuntime, RuntimeError, interrupted};
use crate::process::landlock;

pub(super) fn run(matches: &ArgMatches, out: &mut Output) -> ExitCode {
    // Its commands run one after the other, beside the registry and its files.
    landlock::forgo();
    let port = matches.get_one::<u16>("port").copied().unwrap_or(0);
    match show(port, matches.get_flag("referrers"), matches.get_flag("keep"), out) {
        Ok(code) => code,
        Err(error) => {
            out.error(&error);
            error.exit()
        }
    }
}

fn show(port: u16, referrers: bool, keep: bool, out: &mut Output) -> Result<ExitCode, SampleError> {
    let sample = Sample::start(port)?;
    let tour = Tour::new(&sample, referrers);
    out.print(&format!(
        "1. A registry with a password runs on {}, with two images: team/app, and team/tools, an index.\n",
        sample.registry.host()
    ));
    out.print(&format!(
        "2. {} holds what a step has mounted: results, a new encrypted key, registry credentials.\n",
        sample.folder().display()
    ));
    for name in ["IMAGE_URL", "IMAGE_DIGEST", "IMAGES"] {
        let text = std::fs::read_to_string(sample.results().join(name)).map_err(SampleError::Write)?;
        out.print(&format!("   results/{name}: {}\n", text.trim()));
    }
    let steps = [
        ("3. What is there to sign?", tour.plan()),
        ("4. Sign it, push the signatures, read them back.", tour.sign()),
        ("5. The same again adds nothing.", tour.sign()),
    ];
    for (title, command) in steps {
        let code = step(title, &command, out);
        if code != ExitCode::Done {
            return Ok(code);
        }
    }
    out.print("\n6. Verify, with the public key alone.\n");
    let verified = check(&sample, referrers, out)?;
    closing(&sample, &tour, keep, out)?;
    Ok(if verified { ExitCode::Done } else { ExitCode::Failed })
}

/// Shows a command line and runs it, as the program itself would, without the caller's environment.
fn step(title: &str, command: &[String], out: &mut Output) -> ExitCode {
    out.print(&format!("\n{title}\n   $ {}\n", command.join(" \\\n       ")));
    super::dispatch(command.iter().map(Into::into), &Environment::default(), out)
}

fn check(sample: &Sample, referrers: bool, out: &mut Output) -> Result<bool, SampleError> {
    let job = JobRuntime::start().map_err(|RuntimeError(source)| SampleError::Start(source))?;
    let verdicts = job.part(verify(sample, referrers));
    for verdict in &verdicts {
        out.print(&format!("{verdict}\n"));
    }
    Ok(!verdicts.is_empty() && verdicts.iter().all(|verdict| verdict.result.is_ok()))
}

fn closing(sample: &Sample, tour: &Tour, keep: bool, out: &mut Output) -> Result<(), SampleError> {
    let while_kept = if keep { "" } else { " (with --keep, while the registry runs)" };
    out.print(&format!("\ncosign says the same{while_kept}:\n"));
    for command in tour.cosign(sample) {
        out.print(&format!("   {command}\n"));
    }
    if !keep {
        return Ok(());
    }
    out.print(&format!("\nThe registry keeps running on {}; Ctrl-C ends it.\n", sample.registry.host()));
    let job = JobRuntime::start().map_err(|RuntimeError(source)| SampleError::Start(source))?;
    job.part(async { interrupted().await });
    Ok(())
}
