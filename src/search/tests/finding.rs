//! Query and line: found or not.

use super::*;

/// Each query of `found` finds a line with that message, each of `missed` does not.
fn check(message: &str, found: &[&str], missed: &[&str]) {
    let line = Line::new(message);
    for text in found {
        assert!(finds(&query(text), &line), "{text} finds {message}");
    }
    for text in missed {
        assert!(!finds(&query(text), &line), "{text} finds {message}");
    }
}

#[test]
fn words_and_phrases() {
    check(
        "2026-01-31 12:00:01 ERROR [db] errorMessage=timeout after 3.5s, user_id=42 path=/api/v1/users?x=1",
        &[
            "",
            " ",
            "*",
            "error",
            "ERROR",
            "[db]",
            "db",
            "error*",
            "errorM*",
            "\"error db\"",
            "'after 3.5s'",
            "3.5s",
            "after/3.5s",
            "\"timeout aft*\"",
            "user_id",
            "\"user_id=42\"",
            "/api/v1/users",
            "/api/*",
            "v1/users\\?x",
            "12\\:00",
            "12:00:01",
            "2026-01-31",
            "2026-*",
            "\"path=/api\"",
            "error timeout",
            "timeout error",
            "\"[db] *\"",
        ],
        &[
            "rror",
            "message",
            "errorMess",
            "\"db error\"",
            "\"timeout aft\"",
            "user",
            "id",
            "3.5",
            "api/users",
            "error nothing",
            "2026",
        ],
    );
}

#[test]
fn operators_and_what_binds_tighter() {
    check(
        "alpha beta",
        &[
            "alpha beta",
            "alpha AND beta",
            "alpha and beta",
            "alpha && beta",
            "alpha&&beta",
            "alpha OR gamma",
            "gamma or beta",
            "gamma || beta",
            "NOT gamma",
            "not gamma",
            "!gamma",
            "alpha NOT gamma",
            "alpha AND NOT gamma",
            "NOT NOT alpha",
            "NOT (alpha gamma)",
            "alpha OR beta AND gamma",
            "gamma AND beta OR alpha",
            "NOT gamma AND beta",
            "(gamma OR alpha) beta",
            "((alpha))(beta)",
            "NOT gamma OR gamma",
            "And OR alpha",
        ],
        &[
            "alpha gamma",
            "NOT alpha",
            "(alpha OR beta) AND gamma",
            "gamma AND (beta OR alpha)",
            "NOT (gamma OR beta)",
            "NOT alpha OR gamma",
            "\"and\"",
            "alpha And beta",
            "NOT *",
            "alpha \"OR\" gamma",
        ],
    );
}

#[test]
fn keys_of_json_lines() {
    check(
        r#"{"level":"error","msg":"caf\u00e9 closed: no milk","n":5.0,"big":9007199254740993,"ok":true,"user id":7,
            "none":null,"tags":["red","green"],"time":"2026-01-31T12:00:00Z","size":"12","k\u0065y":"x","n":-1e2}"#,
        &[
            "level:error",
            "level:ERR*",
            "level:\"error\"",
            "level=error",
            "level:=error",
            "level!=warn",
            "level:(warn OR error)",
            "level:(NOT warn)",
            "msg:\"closed no\"",
            "msg:café",
            "café",
            "\"CAFÉ closed\"",
            "msg:/^caf. /",
            "msg:(café milk)",
            "n:5",
            "n:5.0",
            "n=5",
            "n:-100",
            "n>4",
            "n > 4",
            "n:>=5",
            "n<=5",
            "n:<-99",
            "n:[1 TO 5]",
            "n:[5 TO 6}",
            "n:{4 TO *]",
            "n in (4 5]",
            "n in (0, 100]",
            "big:9007199254740993",
            "ok:true",
            "ok=true",
            "none:null",
            "none:*",
            "level:*",
            "\"user id\":7",
            "'user id'>6",
            "tags:red",
            "tags:\"red green\"",
            "size:12",
            "size>11",
            "size=12.0",
            "key:x",
            "time>2026-01",
            "time:[2026-01-31 TO 2026-02-01}",
            "n!=6",
            "missing!=1",
            "NOT missing:*",
        ],
        &[
            "level:err",
            "level=err",
            "Level:error",
            "level:warn",
            "msg=café",
            "n:6",
            "n:{5 TO 6]",
            "n in (5 6]",
            "n>5",
            "big:9007199254740992",
            "ok:false",
            "ok>0",
            "missing:*",
            "missing:1",
            "red:*",
            "size:12.0",
            "size>12",
            "time>5",
            "level>5",
            "none>0",
            "n>a",
            "time>2026-02",
            "level:\"\"",
        ],
    );
}

#[test]
fn lines_that_are_no_objects_have_no_keys() {
    for message in
        ["level:error", "[{\"level\":\"error\"}]", "{\"level\":\"error\"} ", "{\"level\":\"error\"} x"]
    {
        let is_object = message.ends_with("} ");
        assert_eq!(finds(&query("level:error"), &Line::new(message)), is_object, "{message}");
    }
}

#[test]
fn fields() {
    check(
        "anything",
        &[
            "SCF_FunctionName:orders-EU",
            "scf_functionname:\"orders-EU\"",
            "SCF_FunctionName:orders*",
            "SCF_FunctionName:/^ORDERS/",
            "SCF_FunctionName:(x OR orders-EU)",
            "SCF_Namespace:default",
            "SCF_Qualifier:$LATEST",
            "SCF_Qualifier:\"$LATEST\"",
            "SCF_Alias:\"\"",
            "NOT SCF_Alias:*",
            "SCF_Level:info",
            "SCF_Type:custom",
            "SCF_StatusCode:433",
            "SCF_StatusCode=433.0",
            "SCF_StatusCode:4*",
            "SCF_StatusCode:[400 TO 499]",
            "SCF_StatusCode:>400",
            "SCF_Duration in (0 100]",
            "SCF_Duration:[0.1 TO 12.5]",
            "SCF_MemUsage<30",
            "SCF_RetryNum:0",
            "SCF_RetryNum:*",
            "SCF_LogTime:1769860800000",
            "SCF_LogTime>=2026-01-31T12:00:00Z",
            "SCF_LogTime:\"2026-01-31T20:00:00+08:00\"",
            "SCF_LogTime:[2026-01-31T00:00:00Z TO 2026-02-01T00:00:00Z}",
            "SCF_StartTime<2026-01-31T12:00:00Z",
            "SCF_Message:anything",
            "SCF_Message=ANYTHING",
            "SCF_Message:any*",
            "/^any.*g$/",
            "SCF_Message:/THING/",
            "/no match/ OR anything",
        ],
        &[
            "SCF_FunctionName:orders-eu",
            "SCF_FunctionName:orders",
            "SCF_FunctionName!=orders-EU",
            "SCF_Qualifier:latest",
            "SCF_Alias:*",
            "SCF_Level:inf",
            "SCF_StatusCode:43",
            "SCF_StatusCode:5*",
            "SCF_StatusCode:>433",
            "SCF_Duration in (12.5 100]",
            "SCF_LogTime>2026-01-31T12:00:00Z",
            "SCF_LogTime>2026-01-31T12:00:00.001Z",
            "SCF_Message:thing",
            "SCF_Message=any",
            "/^thing/",
            "orders-EU",
        ],
    );
}

#[test]
fn request_ids() {
    let plain = ID.replace('-', "");
    let bare = [ID.to_owned(), ID.to_uppercase(), format!("\"{ID}\""), plain.clone()];
    let keyed = bare.clone().map(|id| format!("SCF_RequestId:{id}"));
    for stored in [ID.to_owned(), plain] {
        let line = Line { request_id: stored, ..Line::new("a line of the run") };
        for text in bare.iter().chain(&keyed) {
            assert!(finds(&query(text), &line), "{text}");
            assert!(!finds(&query(&text.replace('7', "8")), &line), "{text}");
        }
        assert!(finds(&query("SCF_RequestId:4CA7089C*"), &line));
    }
    let elsewhere = Line { request_id: "0".repeat(32), ..Line::new(&format!("cause: {ID}")) };
    assert!(finds(&query(ID), &elsewhere) && !finds(&query(&keyed[0]), &elsewhere));
    assert_eq!(query(ID).only_request_id(), RequestId::parse(ID));
    for text in [&keyed[0], "a", "*", &format!("{ID} a"), &format!("NOT {ID}"), &format!("{ID} OR a")] {
        assert_eq!(query(text).only_request_id(), None, "{text}");
    }
}

#[test]
fn the_official_recipes() {
    let report = format!("Report RequestId: {ID} Duration:1ms Memory:128MB MemUsage:29.734375MB");
    for message in [report.clone(), report.replace(": ", ":")] {
        let line = Line { kind: "Platform", ..Line::new(&message) };
        let recipe = format!("SCF_RequestId:\"{ID}\" AND SCF_Type:Platform AND SCF_Message:Report*");
        for text in
            [&format!("SCF_RequestId:\"{ID}\""), &recipe, "\"Report RequestId\"", "\"Report RequestId:\""]
        {
            assert!(finds(&query(text), &line), "{text}");
        }
        for text in [
            "\"Report Duration\"",
            &recipe.replace("Report*", "START*"),
            &recipe.replace("Platform", "Custom"),
        ] {
            assert!(!finds(&query(text), &line), "{text}");
        }
        let spaced = format!("\"Report RequestId: {ID}\"");
        assert!(finds(&query(&spaced), &line) && finds(&query(&spaced.replace(": ", ":")), &line));
    }
}

#[test]
fn text_without_blanks_and_text_without_words() {
    check(
        "用户Login失败：连接超时 🎉 -> ok (日本語) ทดสอบ",
        &[
            "失败",
            "连接超时",
            "用户login失败",
            "超*",
            "login",
            "日本",
            "ทดส",
            "🎉",
            "->",
            "\"超时 🎉\"",
            "失败 ok",
            "'：'",
        ],
        &["\"失 败\"", "败失", "logi", "🎊", "<-", "\"失败 ok\""],
    );
}

#[test]
fn case() {
    let line = Line::new(r#"{"Level":"Error","m":"Straße ΟΔΟΣ"}"#);
    for (text, matters) in [
        ("Error", true),
        ("error", false),
        ("Level:Error", true),
        ("Level:ERR*", false),
        ("Level=error", false),
        ("/Error/", true),
        ("/error/", false),
        ("STRAßE", false),
        ("οδος", false),
        ("Straß*", true),
        ("SCF_Type:custom", false),
        ("Level>=error", false),
    ] {
        assert!(finds(&query(text), &line), "{text}");
        assert_eq!(finds(&Query::parse(text, Case::Matters).unwrap(), &line), matters, "{text}");
    }
}

#[test]
fn escapes_and_what_only_looks_like_an_operator() {
    check(
        r#"a*b "quoted" it's C:\new\dir 5 * 3 https://host:80/x?q=1 List<String> x -> y --force -5 a&b"#,
        &[
            r"a\*b",
            r#""a\*b""#,
            r#""say \"quoted\"" OR \"quoted\""#,
            "it's",
            r#"'it\'s'"#,
            r"C\:\new\dir",
            r#""C:\new\dir""#,
            r#""5 * 3""#,
            r"https://host:80/x\?q",
            "\"https://host:80/x?q=1\"",
            "\"List<String>\"",
            "x -> y",
            "--force",
            "-5",
            "a&b",
            "\"-5\"",
        ],
        &[r"C:\new\dir", "List<String>", "https:host"],
    );
}
