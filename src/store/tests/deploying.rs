//! Functions, their code, and the keys of callers.

use super::{Fixture, config, deploy, digest, name, namespace};
use crate::error::Kind;
use crate::model::function::{Config, Namespace, Only};
use crate::model::key::Scope;
use crate::model::query::PageLimit;
use crate::store::functions::{Content, Haste};

/// Bytes that do not compress and span chunks.
fn package(seed: u64, size_bytes: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33).to_le_bytes()[0]
    };
    (0..size_bytes).map(|_| next()).collect()
}

fn packages(fixture: &Fixture) -> (i64, i64) {
    let sql = "SELECT (SELECT count(*) FROM package), (SELECT count(*) FROM package_chunk)";
    fixture.other_program().query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

#[test]
fn a_function_comes_back_as_it_was_deployed() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let deployed = deploy(&store, "hello");
    assert_eq!(store.function(&namespace(), &name("hello")).unwrap(), Some(deployed.clone()));
    assert_eq!(deployed.version.config, config());
    assert_eq!(store.function(&namespace(), &name("other")).unwrap(), None);
    let elsewhere = Namespace::parse("elsewhere").unwrap();
    assert_eq!(store.function(&elsewhere, &name("hello")).unwrap(), None);
}

#[test]
fn each_deploy_is_a_new_version_of_the_same_function() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let (first, second) = (deploy(&store, "hello"), deploy(&store, "hello"));
    assert_eq!(first.id, second.id);
    assert!(second.version.id > first.version.id);
    assert_eq!(first.created_us, second.created_us);
    store.delete_function(&namespace(), &name("hello")).unwrap();
    assert!(deploy(&store, "hello").version.id > second.version.id);
}

#[test]
fn code_is_stored_once_and_goes_with_its_last_user() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let bytes = package(1, 2_500_000);
    for function in ["one", "two"] {
        store
            .deploy(
                &namespace(),
                &name(function),
                &config(),
                Content::New(bytes.clone(), digest(&bytes)),
                Haste::AtOnce(Only::Always),
            )
            .unwrap();
    }
    assert_eq!(packages(&fixture), (1, 3));
    assert_eq!(store.package(digest(&bytes)).unwrap().as_ref(), Some(&bytes));
    store.delete_function(&namespace(), &name("one")).unwrap();
    assert_eq!(packages(&fixture), (1, 3));
    deploy(&store, "two");
    assert_eq!(packages(&fixture), (1, 1));
    assert_eq!(store.package(digest(&bytes)).unwrap(), None);
}

#[test]
fn an_upload_that_was_cut_off_is_swept_at_the_next_start() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let bytes = package(2, 2_500_000);
    store.upload(digest(&bytes), bytes.clone()).unwrap();
    assert_eq!(store.package(digest(&bytes)).unwrap(), None);
    drop(store);
    let store = fixture.open();
    assert_eq!(packages(&fixture), (0, 0));
    store
        .deploy(
            &namespace(),
            &name("hello"),
            &config(),
            Content::New(bytes.clone(), digest(&bytes)),
            Haste::AtOnce(Only::Always),
        )
        .unwrap();
    assert_eq!(store.package(digest(&bytes)).unwrap(), Some(bytes));
}

#[test]
fn deploys_and_deletes_of_the_same_code_at_once_never_lose_it() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let bytes = package(3, 3_000_000);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (store, bytes) = (&store, &bytes);
            scope.spawn(move || {
                let function = name(&format!("fn{thread}"));
                for _ in 0..5 {
                    store
                        .deploy(
                            &namespace(),
                            &function,
                            &config(),
                            Content::New(bytes.clone(), digest(bytes)),
                            Haste::AtOnce(Only::Always),
                        )
                        .unwrap();
                    assert_eq!(store.package(digest(bytes)).unwrap().as_ref(), Some(bytes));
                    store.delete_function(&namespace(), &function).unwrap();
                }
            });
        }
    });
    assert_eq!(packages(&fixture), (0, 0));
}

#[test]
fn damaged_code_is_not_handed_out() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let function = deploy(&store, "hello");
    fixture.other_program().execute("UPDATE package_chunk SET bytes = x'00'", []).unwrap();
    assert_eq!(store.package(function.version.package).unwrap_err().kind, Kind::Internal);
}

#[test]
fn functions_are_listed_by_name_a_page_at_a_time() {
    let fixture = Fixture::new();
    let store = fixture.open();
    for function in ["cc", "aa", "bb"] {
        deploy(&store, function);
    }
    let list = |after: Option<&str>| {
        let page = store.functions(&namespace(), after, PageLimit::new(2).unwrap()).unwrap();
        (page.rows.iter().map(|f| f.name.to_string()).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(list(None), (vec!["aa".to_owned(), "bb".to_owned()], Some("bb".to_owned())));
    assert_eq!(list(Some("bb")), (vec!["cc".to_owned()], None));
}

#[test]
fn deleting_what_is_not_there_says_so() {
    let fixture = Fixture::new();
    let store = fixture.open();
    assert_eq!(store.delete_function(&namespace(), &name("hello")).unwrap_err().kind, Kind::NotFound);
}

#[test]
fn the_public_views_show_no_environment_and_no_key() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let secret = Config { env: vec![("TOKEN".to_owned(), "hunter2".to_owned())], ..config() };
    let bytes = b"code".to_vec();
    let address = digest(&bytes);
    store
        .deploy(
            &namespace(),
            &name("hello"),
            &secret,
            Content::New(bytes, address),
            Haste::AtOnce(Only::Always),
        )
        .unwrap();
    let other = fixture.other_program();
    for view in ["functions", "invocations", "logs"] {
        let mut statement = other.prepare(&format!("SELECT * FROM {view}")).unwrap();
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        assert!(!columns.iter().any(|column| column.contains("env") && column != "event"), "{columns:?}");
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..columns.len() {
                assert!(!format!("{:?}", row.get_ref(column).unwrap()).contains("hunter2"));
            }
        }
    }
}

#[test]
fn keys_are_kept_by_name_and_hash() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let key = store.create_key("ci", Scope::Invoke, [1; 32], None).unwrap();
    assert_eq!(store.keys().unwrap(), std::slice::from_ref(&key));
    assert_eq!(store.create_key("ci", Scope::Admin, [2; 32], None).unwrap_err().kind, Kind::Conflict);
    store.revoke_key(key.id).unwrap();
    assert_eq!(store.keys().unwrap(), []);
    assert_eq!(store.revoke_key(key.id).unwrap_err().kind, Kind::NotFound);
}
