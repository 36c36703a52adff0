//! Control of flow, errors, transactions, calls.

use super::*;
use crate::sql::procedure::Given;

#[test]
fn control_of_flow() {
    let bed = Bed::new();
    let s = bed.sa();
    assert_eq!(
        s.rows("DECLARE @i int = 0, @t nvarchar(20) = N''
            WHILE @i < 10 BEGIN SET @i += 1 IF @i = 3 CONTINUE IF @i > 5 BREAK SET @t = @t + CAST(@i AS nvarchar(2)) END
            SELECT @t IF @i = 6 SELECT 'six' ELSE SELECT 'other'"),
        ["1245", "six"]
    );
    assert_eq!(
        s.said("PRINT N'hello ' + CAST(1 AS nvarchar(3))"),
        ["info 0 line 1: hello 1"]
    );
    assert_eq!(
        s.said("RAISERROR('%s is %d', 10, 1, 'x', 5) WITH NOWAIT"),
        ["info 50000 line 1: x is 5"]
    );
    assert_eq!(
        s.rows(
            "EXEC('SELECT 1'); EXEC sp_executesql N'SELECT @a + @b', N'@a int, @b int', 2, @b = 3"
        ),
        ["1", "5"]
    );
    assert_eq!(
        s.rows("DECLARE @o int, @r int; EXEC @r = sp_executesql N'SET @x = 41 + 1; RETURN 7', N'@x int OUTPUT', @x = @o OUTPUT; SELECT @o, @r"),
        ["42|7"]
    );
    assert_eq!(
        s.errors("SELECT 1/0; SELECT 'x' + 1; SELECT 2"),
        [8134, 245],
        "the second one ends the batch"
    );
    let said = s.said("SELECT 1\n\nSELECT 1/0");
    assert!(
        said.contains(&"error 8134 line 3: Divide by zero error encountered.".to_owned()),
        "{said:?}"
    );
}

#[test]
fn errors_are_caught() {
    let bed = Bed::new();
    let s = bed.sa();
    assert_eq!(
        s.rows("BEGIN TRY SELECT 1/0 END TRY BEGIN CATCH SELECT ERROR_NUMBER(), ERROR_MESSAGE(), ERROR_LINE() END CATCH SELECT ERROR_NUMBER()"),
        ["8134|Divide by zero error encountered.|1", "NULL"]
    );
    assert_eq!(
        s.errors(
            "BEGIN TRY EXEC('SELECT * FROM nothing') END TRY BEGIN CATCH THROW END CATCH SELECT 1"
        ),
        [208]
    );
    assert_eq!(
        s.rows("SET XACT_ABORT ON; BEGIN TRAN; BEGIN TRY SELECT 1/0 END TRY BEGIN CATCH SELECT XACT_STATE(), @@TRANCOUNT; ROLLBACK END CATCH; SELECT @@TRANCOUNT"),
        ["began", "-1|1", "rolled back", "0"]
    );
}

#[test]
fn transactions() {
    let bed = Bed::new();
    let s = bed.sa();
    s.ok("CREATE DATABASE d");
    s.ok("USE d; CREATE TABLE t (n int)");
    assert_eq!(
        s.said("BEGIN TRAN; INSERT t VALUES (1); SAVE TRAN here; INSERT t VALUES (2); ROLLBACK TRAN here; COMMIT; SELECT COUNT(*) FROM t"),
        ["began", "(1)", "(1)", "committed", "columns  int", "1", "(1)"]
    );
    assert_eq!(s.said("BEGIN TRAN; CREATE TABLE gone (n int); DELETE t; ROLLBACK; SELECT n FROM t; SELECT OBJECT_ID('gone')"), [
        "began", "(1)", "rolled back", "columns n int", "1", "(1)", "columns  int", "NULL", "(1)"
    ]);
    assert_eq!(s.errors("COMMIT"), [3902]);
    assert_eq!(s.errors("ROLLBACK"), [3903]);
    // Another session reads what was last committed, and waits to write.
    let other = bed.login("sa", PASSWORD, "d").unwrap();
    s.ok("BEGIN TRAN; UPDATE t SET n = 5");
    assert_eq!(other.one("SELECT n FROM t"), "1");
    assert_eq!(
        other.errors("SET LOCK_TIMEOUT 100; UPDATE t SET n = 6"),
        [1222]
    );
    s.ok("COMMIT");
    assert_eq!(other.one("SELECT n FROM t"), "5");
    other.ok("SET IMPLICIT_TRANSACTIONS ON; INSERT t VALUES (7)");
    assert_eq!(other.one("SELECT @@TRANCOUNT"), "1");
    drop(other);
    assert_eq!(
        s.one("SELECT COUNT(*) FROM t"),
        "1",
        "what was not committed ends with its session"
    );
    assert_eq!(s.errors("BEGIN TRAN; CREATE DATABASE x"), [226]);
}

#[test]
fn procedures_and_prepared_texts() {
    let bed = Bed::new();
    let s = bed.sa();
    s.ok("CREATE DATABASE d");
    s.ok("USE d");
    s.ok("CREATE PROCEDURE dbo.twice @n int, @out int OUTPUT, @word nvarchar(10) = N'x' AS BEGIN SET NOCOUNT ON; SET @out = @n * 2; SELECT @word AS w; RETURN 3 END");
    assert_eq!(
        s.rows("DECLARE @o int, @r int; EXEC @r = twice 21, @o OUTPUT; SELECT @o, @r"),
        ["x", "42|3"]
    );
    assert_eq!(s.errors("EXEC twice"), [201]);
    assert_eq!(s.errors("EXEC twice 1, 2, N'a', 4"), [8144]);
    let mut out = Recorder::default();
    let given = |v: Value, ty: Type| Given {
        name: String::new(),
        ty,
        value: Some(v),
        output: false,
    };
    let handle = Given {
        name: "@handle".into(),
        ty: Type::Int,
        value: Some(Value::Null),
        output: true,
    };
    let text = |t: &str| given(Value::text(t), Type::NVarChar(100));
    let call = |name: &str, given: Vec<Given>, out: &mut Recorder| {
        s.serve(
            Request::Call {
                name: vec![name.into()],
                given,
            },
            out,
        )
        .unwrap();
    };
    call(
        "sp_prepexec",
        vec![
            handle,
            text("@p int"),
            text("SELECT @p + 1 AS v"),
            given(Value::Int(1), Type::Int),
        ],
        &mut out,
    );
    assert_eq!(
        out.lines,
        [
            "columns v int",
            "2",
            "(1)",
            "status 0",
            "returned 0 @handle = 1"
        ]
    );
    let mut out = Recorder::default();
    call(
        "sp_execute",
        vec![
            given(Value::Int(1), Type::Int),
            given(Value::Int(9), Type::Int),
        ],
        &mut out,
    );
    assert_eq!(out.lines, ["columns v int", "10", "(1)", "status 0"]);
    let mut out = Recorder::default();
    call(
        "sp_unprepare",
        vec![given(Value::Int(1), Type::Int)],
        &mut out,
    );
    call(
        "sp_execute",
        vec![given(Value::Int(1), Type::Int)],
        &mut out,
    );
    assert!(
        out.lines.iter().any(|l| l.starts_with("error 8179")),
        "{:?}",
        out.lines
    );
}

#[test]
fn an_attention_ends_a_loop() {
    let bed = Bed::new();
    let s = bed.sa();
    let control = Arc::clone(&s.control);
    let waker = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        control
            .cancel
            .store(true, std::sync::atomic::Ordering::Release);
    });
    assert!(
        s.said("WHILE 1 = 1 SELECT 1 WHERE 1 = 0")
            .iter()
            .all(|l| !l.starts_with("error"))
    );
    waker.join().unwrap();
    s.control
        .cancel
        .store(false, std::sync::atomic::Ordering::Release);
    assert_eq!(s.one("SELECT 1"), "1");
}

#[test]
fn application_locks_keep_others_out() {
    let bed = Bed::new();
    let (a, b) = (bed.sa(), bed.sa());
    let take = "DECLARE @r int; EXEC @r = sp_getapplock @Resource = 'migrations', @LockMode = 'Exclusive', @LockOwner = 'Session', @LockTimeout = 20; SELECT @r";
    assert_eq!(a.one(take), "0");
    assert_eq!(a.one(take), "0", "its own holder takes it again");
    assert_eq!(b.one(take), "-1", "somebody else has it");
    let give = "EXEC sp_releaseapplock @Resource = 'migrations', @LockOwner = 'Session'";
    a.ok(give);
    assert_eq!(b.one(take), "-1", "it was taken twice");
    a.ok(give);
    assert_eq!(b.one(take), "0");
    assert_eq!(a.errors(give), [1223]);
    drop(b);
    assert_eq!(a.one(take), "0", "locks end with their session");
    assert_eq!(a.errors("EXEC sp_getapplock 'x', 'Exclusive'"), [3918]);
}

#[test]
fn no_batch_takes_more_than_its_share() {
    let bed = Bed::new();
    let s = bed.sa();
    assert_eq!(
        s.errors("DECLARE @s nvarchar(max) = N'x'; WHILE 1 = 1 SET @s = @s + @s"),
        [701]
    );
    assert_eq!(
        s.errors("SELECT REPLICATE(CAST('x' AS varchar(max)), 2000000000)"),
        [701]
    );
    assert_eq!(s.one("SELECT 1"), "1");
}
