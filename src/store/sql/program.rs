//! What a statement was compiled to: which tables and indexes its program opens, and which columns of them it takes.
//!
//! SQLite tells the program on request (`EXPLAIN`). Every b-tree is opened by its root page, every value is taken by the
//! instruction `Column`, so what is refused here cannot be read in any disguise. The look and the statement itself must be in
//! one transaction, and plans must not depend on the values of parameters (`QPSG`), or another program might run.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Row};

use crate::store::sql::allowed;

/// The flag by which an instruction says that its page is in a register: then nobody knows beforehand which.
const PAGE_IN_REGISTER: i64 = 0x10;

/// Calls of `strftime` in a statement. It is the slowest of SQLite's functions for its text's length: some 50 ms for a format of a
/// megabyte, and many of them in a row are not asked whether they have to end.
const FORMATS_MAX: usize = 20;

/// The b-trees of the file, by their root pages.
#[derive(Debug)]
pub(super) struct Trees(BTreeMap<i64, Tree>);

/// A table or an index.
#[derive(Debug)]
struct Tree {
    table: String,
    /// Columns that may not be taken, by their numbers; none at all may where there is no list.
    hidden: Option<Vec<i64>>,
}

/// An instruction.
struct Instruction {
    code: String,
    p1: i64,
    p2: i64,
    p3: i64,
    p5: i64,
}

/// What a program reads, as far as it matters.
#[derive(Default)]
struct Reads<'t> {
    /// Cursors on tables that hide columns.
    guarded: BTreeMap<i64, &'t Tree>,
    /// Cursors and the columns taken of them; whole rows without a column.
    taken: BTreeSet<(i64, Option<i64>)>,
}

impl Trees {
    /// Those of the file. An index counts as a table that may be read if all of its columns may.
    pub(super) fn of(conn: &Connection) -> rusqlite::Result<Trees> {
        let sql = "SELECT rootpage, tbl_name, iif(type = 'index', name, NULL) FROM sqlite_schema WHERE rootpage > 0";
        let mut statement = conn.prepare(sql)?;
        let rows = statement.query_map([], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?))
        })?;
        let mut trees = BTreeMap::new();
        for row in rows {
            let (root, table, index) = row?;
            let hidden = hidden(conn, &table, index.as_deref())?;
            trees.insert(root, Tree { table, hidden });
        }
        Ok(Trees(trees))
    }

    /// Whether a statement reads only what it may; otherwise what it may not, in words.
    pub(super) fn check(&self, conn: &Connection, sql: &str) -> rusqlite::Result<Result<(), String>> {
        let mut statement = conn.prepare(&format!("EXPLAIN {sql}"))?;
        let mut rows = statement.raw_query();
        let mut reads = Reads::default();
        let mut formats = 0;
        while let Some(row) = rows.next()? {
            formats += usize::from(calls(row, "strftime(")?);
            if formats > FORMATS_MAX {
                return Ok(Err(format!("calling strftime more than {FORMATS_MAX} times")));
            }
            if let Err(refused) = self.follow(&Instruction::of(row)?, &mut reads) {
                return Ok(Err(refused));
            }
        }
        // At the end, because instructions need not come in the order in which they run.
        Ok(reads.hidden().map_or(Ok(()), |table| Err(format!("reading some columns of {table}"))))
    }

    fn follow<'t>(&'t self, instruction: &Instruction, reads: &mut Reads<'t>) -> Result<(), String> {
        let cursor = instruction.p1;
        match instruction.code.as_str() {
            "OpenRead" | "ReopenIdx" => reads.open(cursor, self.opened(instruction)?),
            "OpenWrite" => return Err("a statement that changes something".to_owned()),
            "Column" => reads.take(cursor, Some(instruction.p2)),
            // The whole row at once.
            "RowData" | "RowCell" => reads.take(cursor, None),
            _ => {}
        }
        Ok(())
    }

    fn opened(&self, open: &Instruction) -> Result<&Tree, String> {
        const MAIN: i64 = 0;
        if open.p3 != MAIN || open.p5 & PAGE_IN_REGISTER != 0 {
            return Err("reading a temporary table".to_owned());
        }
        // The first page holds the schema, which is no row of itself.
        let tree = self.0.get(&open.p2).ok_or("reading the schema")?;
        if tree.hidden.is_some() { Ok(tree) } else { Err(allowed::reading(&tree.table, "")) }
    }
}

/// Whether an instruction calls the function whose name begins so.
fn calls(row: &Row<'_>, name: &str) -> rusqlite::Result<bool> {
    // A constant, whatever bytes it has, or what is called.
    let detail = row.get_ref(5)?.as_bytes_or_null().unwrap_or_default();
    Ok(detail.is_some_and(|detail| detail.starts_with(name.as_bytes())))
}

impl Instruction {
    fn of(row: &Row<'_>) -> rusqlite::Result<Instruction> {
        let (code, p1, p2) = (row.get(1)?, row.get(2)?, row.get(3)?);
        Ok(Instruction { code, p1, p2, p3: row.get(4)?, p5: row.get(6)? })
    }
}

impl<'t> Reads<'t> {
    fn open(&mut self, cursor: i64, tree: &'t Tree) {
        // A cursor may be opened anew on another tree: it counts as that which hides something.
        if tree.hidden.as_ref().is_some_and(|hidden| !hidden.is_empty()) {
            self.guarded.insert(cursor, tree);
        }
    }

    fn take(&mut self, cursor: i64, column: Option<i64>) {
        self.taken.insert((cursor, column));
    }

    /// A table of which something is taken that is hidden.
    fn hidden(&self) -> Option<&'t str> {
        let of = |(cursor, column): &(i64, Option<i64>)| {
            let tree = self.guarded.get(cursor)?;
            let is_hidden = |column: &i64| tree.hidden.iter().flatten().any(|hidden| hidden == column);
            column.as_ref().is_none_or(is_hidden).then_some(tree.table.as_str())
        };
        self.taken.iter().find_map(of)
    }
}

/// The numbers of a table's columns that may not be read. An index that has one may not be read at all.
fn hidden(conn: &Connection, table: &str, index: Option<&str>) -> rusqlite::Result<Option<Vec<i64>>> {
    let Some(allowed) = allowed::columns(table) else { return Ok(None) };
    let (sql, of) = match index {
        Some(index) => ("SELECT seqno, coalesce(name, '') FROM pragma_index_info(?1)", index),
        None => ("SELECT cid, name FROM pragma_table_xinfo(?1)", table),
    };
    let mut statement = conn.prepare_cached(sql)?;
    let columns = statement.query_map([of], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    let columns: Vec<(i64, String)> = columns.collect::<rusqlite::Result<_>>()?;
    let hidden = columns.into_iter().filter(|(_, name)| !allowed.contains(&name.as_str()));
    let hidden: Vec<i64> = hidden.map(|(number, _)| number).collect();
    Ok((index.is_none() || hidden.is_empty()).then_some(hidden))
}
