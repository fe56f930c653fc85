//! The door as a caller sees it, over a real file.

use rusqlite::types::Type;

use crate::base::clock::SystemClock;
use crate::error::{Kind, Result};
use crate::model::function::Namespace;
use crate::model::sql::{Answer, Params, RowLimit, Statement, Value};
use crate::model::views;
use crate::store::Store;
use crate::store::sql::SqlFile;
use crate::store::tests::{Fixture, deploy, name, run};

mod answers;
mod functions;
mod walls;

/// A database in which something happened.
struct Door {
    store: Store,
    fixture: Fixture,
}

impl Door {
    fn new() -> Door {
        let fixture = Fixture::new();
        let store = fixture.open();
        let hello = deploy(&store, "hello");
        store.record(run(&store, &hello, &["one", r#"{"level":"warn","ms":7}"#])).unwrap();
        store.create_key("ci", crate::model::key::Scope::Read, [7; 32], None).unwrap();
        store.note_server("0.0.1", 3).unwrap();
        Door { store, fixture }
    }

    /// A database in which every view has a row.
    fn full() -> Door {
        let door = Door::new();
        let hello = door.store.function(&Namespace::default(), &name("hello")).unwrap().unwrap();
        door.store.record(run(&door.store, &hello, &["two"])).unwrap();
        door.store.record(run(&door.store, &hello, &[])).unwrap();
        // What a plain deploy leaves empty.
        let other = door.fixture.other_program();
        other
            .execute_batch(
                "INSERT INTO dead_letter SELECT id, function_id, created_us, 'it failed' FROM invocation LIMIT 1;
                 INSERT INTO alias VALUES (1, 'prod', '1', '2', 0.5, 'k', 'exact', 'x', '', 1, 1);
                 INSERT INTO layer_version (name, number, package_id, runtimes, description, license, created_us)
                 VALUES ('deps', 1, 1, '[]', '', '', 1);
                 INSERT INTO version_layer SELECT id, 0, 1 FROM version;
                 INSERT INTO provisioned SELECT id, '$LATEST', 1 FROM function;
                 INSERT INTO trigger_row VALUES (1, 1, 'timer', 'tick', '$DEFAULT', '{}', 1, '', '', 1, 1);
                 INSERT INTO trigger_state VALUES (1, 2, 1, 0, 1, 'x', 1, 1, NULL);
                 INSERT INTO bucket VALUES (1, 'b-1', 1);
                 INSERT INTO object VALUES (1, 1, x'61', 'f', 1, 'e', 0, 't', '{}', 'STANDARD', 1);
                 INSERT INTO upload VALUES (1, 1, x'62', 'u', 't', '{}', 'STANDARD', 1);",
            )
            .unwrap();
        door
    }

    fn try_ask(&self, sql: &str) -> Result<Answer> {
        self.try_ask_with(sql, Params::InOrder(Vec::new()), RowLimit::default())
    }

    fn try_ask_with(&self, sql: &str, params: Params, limit: RowLimit) -> Result<Answer> {
        self.store.sql(&Statement::new(sql.to_owned(), params, limit)?)
    }

    #[track_caller]
    fn ask(&self, sql: &str) -> Vec<Vec<Value>> {
        self.try_ask(sql).unwrap_or_else(|error| panic!("{sql}: {error:#}")).rows
    }

    /// The one value that a statement gives.
    #[track_caller]
    fn value(&self, sql: &str) -> Value {
        let rows = self.ask(sql);
        let [row] = &rows[..] else { panic!("{sql}: {rows:?}") };
        let [value] = &row[..] else { panic!("{sql}: {row:?}") };
        value.clone()
    }

    /// Why a statement is refused.
    #[track_caller]
    fn refusal(&self, sql: &str) -> String {
        match self.try_ask(sql) {
            Ok(answer) => panic!("{sql}: {answer:?}"),
            Err(error) => {
                assert_eq!(error.kind, Kind::Invalid, "{sql}: {error:#}");
                error.message
            }
        }
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn every_column_of_every_view_is_described() {
    let door = Door::new();
    let other = door.fixture.other_program();
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'view'";
    let mut statement = other.prepare(sql).unwrap();
    let mut found: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap();
    let mut described: Vec<&str> = views::VIEWS.iter().map(|view| view.name).collect();
    found.sort();
    described.sort_unstable();
    assert_eq!(found, described);
    for view in views::VIEWS {
        let statement = other.prepare(&format!("SELECT * FROM {}", view.name)).unwrap();
        let described: Vec<&str> = view.columns.iter().map(|column| column.name).collect();
        assert_eq!(statement.column_names().collect::<Vec<_>>(), described, "{}", view.name);
    }
}

#[test]
fn values_are_of_the_types_described() {
    let door = Door::full();
    let other = door.fixture.other_program();
    for view in views::VIEWS {
        let mut statement = other.prepare(&format!("SELECT * FROM {}", view.name)).unwrap();
        let mut rows = statement.query([]).unwrap();
        let row = rows.next().unwrap().unwrap_or_else(|| panic!("{} is empty", view.name));
        for (number, column) in view.columns.iter().enumerate() {
            let expected = match column.kind {
                views::Kind::Text => Type::Text,
                views::Kind::Integer => Type::Integer,
                views::Kind::Real => Type::Real,
            };
            let found = row.get_ref(number).unwrap().data_type();
            let what = format!("{}.{} is {found}", view.name, column.name);
            assert!(found == expected || found == Type::Null && column.says.contains("NULL"), "{what}");
        }
    }
}

/// What SQLite takes of a table depends on the index it finds fit: one that has more columns than the view needs must be allowed,
/// too.
#[test]
fn every_view_is_read_through_the_door() {
    let door = Door::full();
    for view in views::VIEWS {
        assert!(!door.ask(&format!("SELECT * FROM {}", view.name)).is_empty(), "{} is empty", view.name);
        door.value(&format!("SELECT count(*) FROM {}", view.name));
        for column in view.columns {
            door.ask(&format!("SELECT {0} FROM {1} ORDER BY {0}", column.name, view.name));
        }
    }
    let rows = door.ask("SELECT bucket, objects, size_bytes, uploads FROM buckets");
    let one = Value::Integer(1);
    assert_eq!(rows, [[text("b-1"), one.clone(), one.clone(), one]]);
}

#[test]
fn a_file_is_read_without_a_server_and_with_one() {
    let door = Door::new();
    let clock = std::sync::Arc::new(SystemClock) as _;
    let Door { store, fixture } = door;
    let count = || {
        let sql = "SELECT count(*) FROM logs WHERE has_word(SCF_Message, 'one')".to_owned();
        let statement = Statement::new(sql, Params::InOrder(Vec::new()), RowLimit::default()).unwrap();
        SqlFile::open(&fixture.path()).unwrap().answer(&statement, &clock).unwrap().rows
    };
    assert_eq!(count(), [[Value::Integer(1)]]);
    drop(store);
    let before = listing(&fixture);
    assert_eq!(count(), [[Value::Integer(1)]]);
    assert_eq!(listing(&fixture), before, "nothing is written, and nothing made beside it");
}

/// Names, sizes and times of all files.
fn listing(fixture: &Fixture) -> Vec<(String, u64, std::time::SystemTime)> {
    let folder = std::fs::read_dir(fixture.path().parent().unwrap()).unwrap();
    let mut files: Vec<_> = folder
        .map(|entry| {
            let (entry, meta) = entry.map(|entry| (entry.file_name(), entry.metadata().unwrap())).unwrap();
            (entry.into_string().unwrap(), meta.len(), meta.modified().unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn what_is_no_database_of_ours_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    assert_eq!(SqlFile::open(&path).unwrap_err().kind, Kind::Invalid);
    std::fs::write(&path, "no database, but long enough to be taken for one: ".repeat(40)).unwrap();
    assert_eq!(SqlFile::open(&path).unwrap_err().kind, Kind::Invalid);
    let other = folder.path().join("y.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    assert_eq!(SqlFile::open(&other).unwrap_err().message, "the file is a database of another program");
}
