package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrationLock is the key of the advisory lock under which one process at a
// time migrates. Any number does that nobody else uses in this database.
const migrationLock = 720_117_513

// migration is one file migrations/NNNN_name.sql. It may hold many statements,
// and must not hold one that refuses to run in a transaction.
type migration struct {
	version int // 1, 2, 3, … without a gap
	name    string
	sql     string
}

// loadMigrations returns the files migrations/*.sql in order. The version of
// the schema is thus the number of migrations.
func loadMigrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql") // sorted, hence the leading zeros
	if err != nil {
		return nil, err
	}
	var migrations []migration
	for i, name := range names {
		base := path.Base(name)
		number, _, _ := strings.Cut(base, "_")
		if version, err := strconv.Atoi(number); err != nil || len(number) != 4 || version != i+1 {
			return nil, fmt.Errorf("migration %s: expected a name that starts with %04d_", base, i+1)
		}
		sql, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		migrations = append(migrations, migration{version: i + 1, name: base, sql: string(sql)})
	}
	return migrations, nil
}

// migrate applies the migrations that the database lacks, and returns them. All
// of them are applied or none: they share one transaction, and so does the lock,
// which makes a second process wait and then find nothing to do.
func migrate(ctx context.Context, conn *pgx.Conn, migrations []migration) ([]migration, error) {
	var applied []migration
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
			return fmt.Errorf("waiting for the migration lock: %w", err)
		}
		if _, err := tx.Exec(ctx, `create table if not exists schema_migrations (
			version    integer primary key,
			name       text not null,
			applied_at timestamptz not null default now()
		)`); err != nil {
			return fmt.Errorf("creating the table schema_migrations: %w", err)
		}
		current, err := schemaVersion(ctx, tx)
		if err != nil {
			return err
		}
		if current > len(migrations) {
			return newerSchemaError(current, len(migrations))
		}
		for _, m := range migrations[current:] {
			// Without arguments pgx takes the simple protocol, which allows
			// many statements in one string.
			if _, err := tx.Exec(ctx, m.sql); err != nil {
				return fmt.Errorf("applying migration %s: %w", m.name, err)
			}
			if _, err := tx.Exec(ctx, "insert into schema_migrations (version, name) values ($1, $2)", m.version, m.name); err != nil {
				return fmt.Errorf("recording migration %s: %w", m.name, err)
			}
			applied = append(applied, m)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return applied, nil
}

// schemaVersion returns the version of the last migration that the database
// has had, 0 for a database that has had none.
func schemaVersion(ctx context.Context, db interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}) (int, error) {
	const undefinedTable = "42P01" // https://www.postgresql.org/docs/current/errcodes-appendix.html
	var version int
	err := db.QueryRow(ctx, "select coalesce(max(version), 0) from schema_migrations").Scan(&version)
	if pgErr := (*pgconn.PgError)(nil); errors.As(err, &pgErr) && pgErr.Code == undefinedTable {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the schema version: %w", err)
	}
	return version, nil
}

func newerSchemaError(have, know int) error {
	return fmt.Errorf("the database is at schema version %d, and this guestbook (%s) knows only %d: use a newer guestbook", have, version, know)
}

func oldSchemaError(have, want int) error {
	return fmt.Errorf("the database is at schema version %d, and this guestbook (%s) needs %d: run \"guestbook migrate\" first", have, version, want)
}
