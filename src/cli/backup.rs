//! `fnlite backup`: the database as one file, taken while the server runs; and the files of the objects in it.

use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::base::text;
use crate::cli::Context;
use crate::cli::client::Address;
use crate::cli::exit::{Exit, Failure};
use crate::config;
use crate::store::objects::backup::{Copied, copy_files};
use crate::store::objects::files::folder_beside;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to; - for standard output
    file: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    /// Copy the objects of the object storage, too, into this folder; only on the host of the server. What is there already stays,
    /// so one folder can hold those of many backups
    #[arg(long, value_name = "FOLDER")]
    objects: Option<PathBuf>,
}

/// How often it is begun anew where objects were deleted between the database's copy and theirs.
const TRIES: u32 = 5;

pub(super) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let mut api = context.api()?;
    if args.file == Path::new("-") {
        if args.objects.is_some() {
            return Err(Failure::usage("objects belong to a file: name one"));
        }
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
    let mut take = || keep(&args.file, |file| api.download("POST", "/v1/backup", Vec::new(), file));
    let name = args.file.display().to_string();
    let Some(folder) = &args.objects else {
        let bytes = take()?;
        return say(
            context,
            &format!("{} in {name}", text::size(bytes)),
            json!({ "file": name, "size_bytes": bytes }),
        );
    };
    let (bytes, copied) = with_objects(take, &args.file, &objects_here(context)?, folder)?;
    let Copied { files, bytes: of_objects, .. } = copied;
    say(
        context,
        &format!(
            "{} in {name}, {files} objects of {} in {}",
            text::size(bytes),
            text::size(of_objects),
            folder.display()
        ),
        json!({ "file": name, "size_bytes": bytes, "objects": files, "objects_bytes": of_objects }),
    )
}

/// A copy of the database, and of the files that it names.
fn with_objects(
    mut take: impl FnMut() -> Result<u64, Failure>,
    file: &Path,
    from: &Path,
    to: &Path,
) -> Result<(u64, Copied), Failure> {
    for _ in 0..TRIES {
        let bytes = take()?;
        let copied = copy_files(file, from, to)?;
        if copied.missing == 0 {
            return Ok((bytes, copied));
        }
    }
    let sentence = "objects that the copy names are not there: they are deleted faster than copied, or lost (fnlite check)";
    Err(Failure::new(Exit::Error, sentence))
}

/// Where the files of objects are, if that is on this host.
fn objects_here(context: &Context) -> Result<PathBuf, Failure> {
    if !matches!(context.api()?.address(), Address::Unix(_)) {
        return Err(Failure::usage("objects are copied on the host of the server; there, leave --url out"));
    }
    let db = config::database(context.place.clone()).map_err(|error| Failure::unusable(&error))?;
    Ok(folder_beside(&db))
}

fn say(context: &Context, sentence: &str, data: Value) -> Result<Exit, Failure> {
    if context.out.json {
        context.out.data(data.to_string().as_bytes())?;
    } else {
        context.out.note(sentence);
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
