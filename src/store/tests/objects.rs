//! Objects: rows and files that belong together.

use std::sync::Arc;

use crate::base::id::SystemIds;
use crate::error::{About, Kind};
use crate::model::object::{BucketName, Listing, Object, ObjectKey, Part, Said, Upload};
use crate::store::Store;
use crate::store::objects::files::{ObjectFiles, Staged, joined_etag};
use crate::store::objects::{Joined, Putting};
use crate::store::tests::Fixture;

/// A store with a bucket, and its files.
struct Storage {
    _fixture: Fixture,
    store: Store,
    files: Arc<ObjectFiles>,
    bucket: BucketName,
}

impl Storage {
    fn new() -> Storage {
        let fixture = Fixture::new();
        let store = fixture.open();
        let files = ObjectFiles::open(&store, Arc::new(SystemIds)).unwrap();
        let bucket = BucketName::parse("b-1").unwrap();
        store.create_bucket(&bucket).unwrap();
        Storage { _fixture: fixture, store, files, bucket }
    }

    fn stage(&self, bytes: &[u8]) -> Staged {
        self.files.write(bytes, bytes.len() as u64).unwrap()
    }

    fn putting(&self, key: &str, staged: &Staged) -> Putting {
        let (key, content) = (key_of(key), staged.content.clone());
        let object = Object { key, content, said: Said::default(), modified_us: 1 };
        Putting { bucket: self.bucket.clone(), object, upload: None, may_replace: true, events: Vec::new() }
    }

    fn put(&self, key: &str, bytes: &[u8]) {
        let staged = self.stage(bytes);
        let left_over = self.store.put_object(self.putting(key, &staged)).unwrap();
        staged.keep();
        left_over.iter().for_each(|file| self.files.remove(file));
    }

    fn begin(&self, key: &str, id: &str) {
        let upload = Upload { id: id.into(), key: key_of(key), said: Said::default(), created_us: 1 };
        self.store.begin_upload(&self.bucket, upload).unwrap();
    }

    /// Keys and ids of a page of uploads.
    fn uploads(&self, marker: &str, id_marker: &str, most: u32) -> String {
        let (marker, id_marker) = (marker.to_owned(), id_marker.to_owned());
        let listing = Listing { marker, id_marker, most, ..Listing::default() };
        let page = self.store.list_uploads(&self.bucket, &listing).unwrap();
        let told: Vec<String> =
            page.found.iter().map(|upload| format!("{}:{}", upload.key, upload.id)).collect();
        told.join(" ")
    }

    fn sweep(&self) -> u64 {
        self.files.sweep(&self.store, || false).unwrap()
    }
}

fn key_of(text: &str) -> ObjectKey {
    ObjectKey::parse(text).unwrap()
}

#[test]
fn a_file_lasts_as_long_as_a_row_names_it() {
    let storage = Storage::new();
    let content = storage.stage(b"never named").content.clone();
    assert!(storage.files.read(&content.file).unwrap().is_none(), "what is dropped is gone");
    let pinned = storage.stage(b"on its way");
    assert_eq!(storage.sweep(), 0, "what is on its way is not swept");
    pinned.keep();
    assert_eq!(storage.sweep(), 1, "what nobody came to name is");
    storage.put("a", b"one");
    storage.put("a", b"two");
    assert_eq!(storage.sweep(), 0);
    let object = storage.store.object(&storage.bucket, &key_of("a")).unwrap();
    let link = storage.files.link(&object.content).unwrap();
    assert_eq!((link.content.size, &link.content.etag), (3, &object.content.etag));
    let copied = link.content.file.clone();
    link.keep();
    storage.files.remove(&object.content.file);
    assert!(storage.files.read(&copied).unwrap().is_some(), "a copy needs its original no more");
    assert_eq!(storage.files.link(&object.content).unwrap_err().kind, Kind::Conflict);
}

#[test]
fn parts_are_joined_with_the_checksum_of_the_whole() {
    let storage = Storage::new();
    let parts = [&b"first"[..], b"", b"second"].map(|bytes| storage.stage(bytes));
    let contents: Vec<_> = parts.iter().map(|part| &part.content).collect();
    let joined = storage.files.join(&contents, joined_etag(&contents)).unwrap();
    let whole = storage.stage(b"firstsecond");
    assert_eq!((joined.content.size, joined.content.crc64), (11, whole.content.crc64));
    assert!(
        joined.content.etag.ends_with("-3") && joined.content.etag.len() == 34,
        "{}",
        joined.content.etag
    );
}

#[test]
fn an_upload_ends_with_the_parts_that_were_joined() {
    let storage = Storage::new();
    storage.begin("a", "u");
    let put = |number, bytes: &[u8]| {
        let staged = storage.stage(bytes);
        let part = Part { number, content: staged.content.clone(), modified_us: 1 };
        let before = storage.store.put_part(&storage.bucket, &key_of("a"), "u", part.clone()).unwrap();
        staged.keep();
        (part, before)
    };
    let (first, _) = put(1, b"1");
    let (_, before) = put(1, b"2");
    assert_eq!(before, Some(first.content.file.clone()));
    let staged = storage.stage(b"1");
    let end = |file| {
        let upload = Some(Joined { upload_id: "u".into(), parts: vec![(1, file)] });
        storage.store.put_object(Putting { upload, ..storage.putting("a", &staged) })
    };
    let replaced = end(first.content.file).unwrap_err();
    assert_eq!((replaced.kind, replaced.about), (Kind::Conflict, About::Upload), "it was replaced meanwhile");
    let (_, parts) = storage.store.upload_of(&storage.bucket, &key_of("a"), "u").unwrap();
    let file = parts[0].content.file.clone();
    assert_eq!(end(file.clone()).unwrap(), [file], "the parts' files are of no use any more");
    assert_eq!(end(parts[0].content.file.clone()).unwrap_err().kind, Kind::NotFound, "it has ended");
}

#[test]
fn uploads_of_one_key_are_listed_by_their_ids() {
    let storage = Storage::new();
    for (key, id) in [("a", "1"), ("b", "2"), ("b", "3"), ("b", "4"), ("c", "0")] {
        storage.begin(key, id);
    }
    assert_eq!(storage.uploads("", "", 1000), "a:1 b:2 b:3 b:4 c:0");
    assert_eq!(storage.uploads("", "", 2), "a:1 b:2");
    assert_eq!(storage.uploads("b", "2", 2), "b:3 b:4");
    assert_eq!(storage.uploads("b", "", 9), "c:0");
    assert_eq!(storage.uploads("b", "4", 9), "c:0");
}

#[test]
fn a_bucket_goes_when_nothing_is_in_it() {
    let storage = Storage::new();
    storage.put("a", b"");
    let refused = |about| {
        let error = storage.store.delete_bucket(&storage.bucket).unwrap_err();
        assert_eq!((error.kind, error.about), (Kind::Conflict, about));
    };
    refused(About::Object);
    let keys = ["a", "nobody"].map(|key| (key_of(key), Vec::new()));
    let deleted = storage.store.delete_objects(&storage.bucket, keys.into()).unwrap();
    assert_eq!(deleted.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false]);
    storage.begin("a", "u");
    refused(About::Object);
    storage.store.abort_upload(&storage.bucket, &key_of("a"), "u").unwrap();
    storage.store.delete_bucket(&storage.bucket).unwrap();
    assert_eq!(storage.store.delete_bucket(&storage.bucket).unwrap_err().about, About::Bucket);
}
