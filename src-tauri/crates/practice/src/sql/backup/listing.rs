//! What a backup says of itself: `HEADERONLY`, `FILELISTONLY`, `LABELONLY`.
//!
//! Every column of SQL Server 2022 is there, in its order. Log sequence numbers are NULL: a backup of the practice host
//! has none.

use sha2::{Digest, Sha256};

use super::{
    PAGE,
    media::{Header, Set},
};
use crate::sql::{
    decimal::Decimal,
    output::Column,
    server::database_version,
    system::when,
    types::{MAX, Type},
    value::{Row, Value},
};

/// Microsoft's number as a vendor of software, which readers expect.
const VENDOR: i64 = 4608;

fn columns(list: &[(&str, Type)]) -> Vec<Column> {
    list.iter().map(|(n, t)| Column::new(*n, *t)).collect()
}

fn text(t: &Option<String>) -> Value {
    Value::opt_text(t.as_ref())
}

fn n(n: impl Into<i64>) -> Value {
    Value::Int(n.into())
}

fn bytes(n: u64) -> Value {
    Value::Decimal(Decimal::from_int(i64::try_from(n).unwrap_or(i64::MAX)))
}

/// A GUID that was kept as text, or one that follows from it.
fn guid(text: &str, of: &str) -> Value {
    if of.is_empty()
        && let Ok(guid) = uuid::Uuid::parse_str(text)
    {
        return Value::Guid(*guid.as_bytes());
    }
    let hash: [u8; 32] = Sha256::digest(format!("{text} {of}")).into();
    let mut guid = [0; 16];
    for (to, from) in guid.iter_mut().zip(hash) {
        *to = from;
    }
    Value::Guid(guid)
}

/// 4: it was read-only; 8: one user alone; 16: with checksums; 512 is in every backup.
fn flags(h: &Header) -> i64 {
    [
        (h.read_only, 4),
        (h.access == 1, 8),
        (h.checksum, 16),
        (true, 512),
    ]
    .iter()
    .filter(|(is, _)| *is)
    .map(|(_, flag)| flag)
    .sum()
}

/// What SQL Server keeps least for a log file.
const LOG: u64 = 64 * PAGE;

pub(super) fn files(set: &Set) -> (Vec<Column>, Vec<Row>) {
    let name = Type::NVarChar(128);
    let size = Type::Decimal(20, 0);
    let lsn = Type::Decimal(25, 0);
    let columns = columns(&[
        ("LogicalName", name),
        ("PhysicalName", Type::NVarChar(260)),
        ("Type", Type::Char(1)),
        ("FileGroupName", name),
        ("Size", size),
        ("MaxSize", size),
        ("FileId", Type::BigInt),
        ("CreateLSN", lsn),
        ("DropLSN", lsn),
        ("UniqueId", Type::Guid),
        ("ReadOnlyLSN", lsn),
        ("ReadWriteLSN", lsn),
        ("BackupSizeInBytes", Type::BigInt),
        ("SourceBlockSize", Type::Int),
        ("FileGroupId", Type::Int),
        ("LogGroupGUID", Type::Guid),
        ("DifferentialBaseLSN", lsn),
        ("DifferentialBaseGUID", Type::Guid),
        ("IsReadOnly", Type::Bit),
        ("IsPresent", Type::Bit),
        ("TDEThumbprint", Type::VarBinary(32)),
        ("SnapshotUrl", Type::NVarChar(360)),
    ]);
    let f = &set.header.files;
    let row = |id: i64, name: &str, path: &str, kind: &str, group: Option<&str>, size: u64| {
        vec![
            Value::text(name),
            Value::text(path),
            Value::text(kind),
            Value::opt_text(group),
            bytes(size),
            bytes(35_184_372_080_640),
            n(id),
            Value::Null,
            Value::Null,
            guid(&f.family, kind),
            Value::Null,
            Value::Null,
            n(if kind == "D" {
                i64::try_from(set.bytes).unwrap_or(i64::MAX)
            } else {
                0
            }),
            n(512),
            n(i64::from(kind == "D")),
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Bit(set.header.read_only),
            Value::Bit(true),
            Value::Null,
            Value::Null,
        ]
    };
    let rows = vec![
        row(
            1,
            &f.data_name,
            &f.data_path,
            "D",
            Some("PRIMARY"),
            set.bytes,
        ),
        row(2, &f.log_name, &f.log_path, "L", None, LOG),
    ];
    (columns, rows)
}

pub(super) fn label(sets: &[Set]) -> (Vec<Column>, Vec<Row>) {
    let columns = columns(&[
        ("MediaName", Type::NVarChar(128)),
        ("MediaSetId", Type::Guid),
        ("FamilyCount", Type::Int),
        ("FamilySequenceNumber", Type::Int),
        ("MediaFamilyId", Type::Guid),
        ("MediaSequenceNumber", Type::Int),
        ("MediaLabelPresent", Type::TinyInt),
        ("MediaDescription", Type::NVarChar(255)),
        ("SoftwareName", Type::NVarChar(128)),
        ("SoftwareVendorId", Type::Int),
        ("MediaDate", Type::DateTime),
        ("Mirror_Count", Type::Int),
        ("IsCompressed", Type::Bit),
    ]);
    let rows = sets
        .first()
        .map(|set| {
            let h = &set.header;
            vec![
                text(&h.media_name),
                guid(&h.set, "media"),
                n(1),
                n(1),
                guid(&h.set, "family"),
                n(1),
                n(0),
                Value::Null,
                Value::text("Berth practice SQL engine"),
                n(VENDOR),
                when(&h.started),
                n(1),
                Value::Bit(false),
            ]
        })
        .into_iter()
        .collect();
    (columns, rows)
}

pub(super) fn headers(sets: &[Set]) -> (Vec<Column>, Vec<Row>) {
    let name = Type::NVarChar(128);
    let size = Type::Decimal(20, 0);
    let lsn = Type::Decimal(25, 0);
    let columns = columns(&[
        ("BackupName", name),
        ("BackupDescription", Type::NVarChar(255)),
        ("BackupType", Type::SmallInt),
        ("ExpirationDate", Type::DateTime),
        ("Compressed", Type::TinyInt),
        ("Position", Type::SmallInt),
        ("DeviceType", Type::TinyInt),
        ("UserName", name),
        ("ServerName", name),
        ("DatabaseName", name),
        ("DatabaseVersion", Type::Int),
        ("DatabaseCreationDate", Type::DateTime),
        ("BackupSize", size),
        ("FirstLSN", lsn),
        ("LastLSN", lsn),
        ("CheckpointLSN", lsn),
        ("DatabaseBackupLSN", lsn),
        ("BackupStartDate", Type::DateTime),
        ("BackupFinishDate", Type::DateTime),
        ("SortOrder", Type::SmallInt),
        ("CodePage", Type::SmallInt),
        ("UnicodeLocaleId", Type::Int),
        ("UnicodeComparisonStyle", Type::Int),
        ("CompatibilityLevel", Type::TinyInt),
        ("SoftwareVendorId", Type::Int),
        ("SoftwareVersionMajor", Type::Int),
        ("SoftwareVersionMinor", Type::Int),
        ("SoftwareVersionBuild", Type::Int),
        ("MachineName", name),
        ("Flags", Type::Int),
        ("BindingID", Type::Guid),
        ("RecoveryForkID", Type::Guid),
        ("Collation", name),
        ("FamilyGUID", Type::Guid),
        ("HasBulkLoggedData", Type::Bit),
        ("IsSnapshot", Type::Bit),
        ("IsReadOnly", Type::Bit),
        ("IsSingleUser", Type::Bit),
        ("HasBackupChecksums", Type::Bit),
        ("IsDamaged", Type::Bit),
        ("BeginsLogChain", Type::Bit),
        ("HasIncompleteMetaData", Type::Bit),
        ("IsForceOffline", Type::Bit),
        ("IsCopyOnly", Type::Bit),
        ("FirstRecoveryForkID", Type::Guid),
        ("ForkPointLSN", lsn),
        ("RecoveryModel", Type::NVarChar(60)),
        ("DifferentialBaseLSN", lsn),
        ("DifferentialBaseGUID", Type::Guid),
        ("BackupTypeDescription", Type::NVarChar(60)),
        ("BackupSetGUID", Type::Guid),
        ("CompressedBackupSize", Type::BigInt),
        ("Containment", Type::TinyInt),
        ("KeyAlgorithm", Type::NVarChar(32)),
        ("EncryptorThumbprint", Type::VarBinary(20)),
        ("EncryptorType", Type::NVarChar(MAX)),
    ]);
    let rows = sets
        .iter()
        .zip(1_i64..)
        .map(|(set, position)| row(set, position))
        .collect();
    (columns, rows)
}

fn row(set: &Set, position: i64) -> Row {
    let h = &set.header;
    let part = |at: usize| {
        let part = h.build.split('.').nth(at).and_then(|p| p.parse().ok());
        part.map_or(Value::Null, Value::Int)
    };
    let family = guid(&h.files.family, "");
    let flag = |b: bool| Value::Bit(b);
    vec![
        text(&h.name),
        text(&h.description),
        n(1),
        Value::Null,
        n(0),
        n(position),
        n(2),
        Value::text(&h.login),
        Value::text(&h.server),
        Value::text(&h.database),
        n(database_version(h.version)),
        when(&h.created),
        bytes(set.bytes),
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        when(&h.started),
        when(&h.finished),
        n(52),
        n(0),
        n(1033),
        n(196_609),
        n(h.compat),
        n(VENDOR),
        part(0),
        part(1),
        part(2),
        Value::text(&h.server),
        n(flags(h)),
        family.clone(),
        family.clone(),
        Value::text(&h.collation),
        family.clone(),
        flag(false),
        flag(false),
        flag(h.read_only),
        flag(h.access == 1),
        flag(h.checksum),
        flag(!set.whole),
        flag(false),
        flag(false),
        flag(false),
        flag(h.copy_only),
        family,
        Value::Null,
        Value::text(&h.recovery),
        Value::Null,
        Value::Null,
        Value::text("Database"),
        guid(&h.set, ""),
        n(i64::try_from(set.bytes).unwrap_or(i64::MAX)),
        n(0),
        Value::Null,
        Value::Null,
        Value::Null,
    ]
}
