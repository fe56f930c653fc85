//! Code archives that are built to do harm, by way of the door. What each rule refuses is tested beside the rule
//! (`instance/package`); here it is that a refusal leaves nothing behind.

use std::fs;

use crate::server::{Place, Server, test_data};

const TARGET: &str = "/v1/functions/victim?runtime=Python3.10&handler=index.main_handler";

/// Sends an archive that must be refused, with 400 or 413.
#[track_caller]
fn refused(server: &Server, archive: &[u8]) -> String {
    let answer = server.call("PUT", TARGET, archive);
    assert!(matches!(answer.status, 400 | 413), "{} {}", answer.status, answer.text());
    answer.refusal()
}

/// No function is there and nothing was unpacked.
#[track_caller]
fn nothing_is_left(server: &Server) {
    assert_eq!(server.get("/v1/functions")["functions"].as_array().unwrap().len(), 0);
    assert_eq!(packages(server.place()), Vec::<String>::new());
}

fn packages(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(place.file("fnlite.db.d/packages")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name != ".boot").collect()
}

/// snyk/zip-slip-vulnerability, where it is there: files that climb out of their folder, as zip and as tar.
#[test]
fn the_public_zip_slips_are_refused() {
    let folder = test_data().join("zip-slip");
    let Ok(entries) = fs::read_dir(&folder) else {
        eprintln!("SKIPPED: the public zip-slip archives are not in {}", folder.display());
        return;
    };
    let server = Server::start(&[]);
    let mut tried = 0;
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|end| end == "zip" || end == "tar") {
            let said = refused(&server, &fs::read(&path).unwrap());
            assert!(said.contains("archive"), "{}: {said}", path.display());
            tried += 1;
        }
    }
    assert!(tried >= 4, "{tried}");
    nothing_is_left(&server);
}
