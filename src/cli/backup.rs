//! `fnlite backup`: the database as one file, taken while the server runs.

use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::cli::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::text;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to; - for standard output
    file: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let mut api = context.api()?;
    if args.file == Path::new("-") {
        if io::stdout().is_terminal() {
            return Err(Failure::usage(
                "a database is nothing for a terminal; name a file, or redirect the output",
            ));
        }
        api.download("POST", "/v1/backup", Vec::new(), &mut io::stdout().lock())?;
        return Ok(Exit::Done);
    }
    if args.file.exists() && !args.force {
        return Err(Failure::new(
            Exit::Unusable,
            format!("{} is there already; --force replaces it", args.file.display()),
        ));
    }
    let bytes = keep(&args.file, |file| api.download("POST", "/v1/backup", Vec::new(), file))?;
    let name = args.file.display().to_string();
    if context.out.json {
        context.out.data(serde_json::json!({ "file": name, "size_bytes": bytes }).to_string().as_bytes())?;
    } else {
        context.out.note(&format!("{} in {name}", text::size(bytes)));
    }
    Ok(Exit::Done)
}

/// Fills a file that appears under its name only once it is whole and on the disk.
fn keep(path: &Path, fill: impl FnOnce(&mut fs::File) -> Result<(), Failure>) -> Result<u64, Failure> {
    let unusable = |cause: io::Error| {
        Failure::new(Exit::Unusable, format!("{} cannot be written: {cause}", path.display()))
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // It holds keys' digests, code and everything functions were given: for its owner only.
    let only_owner = fs::Permissions::from_mode(0o600);
    let mut file = tempfile::Builder::new()
        .prefix(".fnlite-backup-")
        .permissions(only_owner)
        .tempfile_in(folder)
        .map_err(unusable)?;
    fill(file.as_file_mut())?;
    let bytes = file.as_file().metadata().map_err(unusable)?.len();
    file.as_file().sync_all().map_err(unusable)?;
    file.persist(path).map_err(|error| unusable(error.error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn half_a_backup_is_none() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x.db");
        let failed = keep(&path, |file| {
            file.write_all(b"half")?;
            Err(Failure::new(Exit::Error, "cut off"))
        });
        assert_eq!(failed.unwrap_err().message, "cut off");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
        keep(&path, |file| Ok(file.write_all(b"whole")?)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
