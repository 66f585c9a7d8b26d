package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// store keeps entries in PostgreSQL.
type store struct {
	pool       *pgxpool.Pool
	wantSchema int
}

// checkStart returns an error unless the database can be reached and has
// exactly the schema of this version.
func (s *store) checkStart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	have, err := schemaVersion(ctx, s.pool)
	switch {
	case err != nil:
		return err
	case have < s.wantSchema:
		return oldSchemaError(have, s.wantSchema)
	case have > s.wantSchema:
		return newerSchemaError(have, s.wantSchema)
	}
	return nil
}

// Ready returns an error unless the database can be reached and is migrated.
// A newer schema is fine here: while an upgrade rolls out, the migration has
// run already and the old processes go on serving.
func (s *store) Ready(ctx context.Context) error {
	have, err := schemaVersion(ctx, s.pool)
	if err != nil {
		return err
	}
	if have < s.wantSchema {
		return oldSchemaError(have, s.wantSchema)
	}
	return nil
}

// List returns at most limit entries with ids below before, newest first.
func (s *store) List(ctx context.Context, before int64, limit int) ([]entry, error) {
	rows, err := s.pool.Query(ctx, `
		select id, name, message, created_at
		from entries
		where id < $1
		order by id desc
		limit $2`, before, limit)
	if err != nil {
		return nil, fmt.Errorf("listing entries: %w", err)
	}
	entries, err := pgx.CollectRows(rows, pgx.RowToStructByPos[entry])
	if err != nil {
		return nil, fmt.Errorf("listing entries: %w", err)
	}
	return entries, nil
}

// Add keeps a new entry, and returns it with its id and time.
func (s *store) Add(ctx context.Context, n newEntry) (entry, error) {
	e := entry{Name: n.Name, Message: n.Message}
	err := s.pool.QueryRow(ctx, `
		insert into entries (name, message)
		values ($1, $2)
		returning id, created_at`, n.Name, n.Message).Scan(&e.ID, &e.CreatedAt)
	if err != nil {
		return entry{}, fmt.Errorf("adding an entry: %w", err)
	}
	return e, nil
}
