package main

import (
	"testing"
	"testing/fstest"
)

func TestLoadMigrations(t *testing.T) {
	tests := []struct {
		name  string
		files []string
		want  string // the error, "" for none
	}{
		{"none", nil, ""},
		{"in order", []string{"0002_b.sql", "0001_a.sql"}, ""},
		{"a gap", []string{"0001_a.sql", "0003_c.sql"}, "migration 0003_c.sql: expected a name that starts with 0002_"},
		{"twice", []string{"0001_a.sql", "0001_b.sql"}, "migration 0001_b.sql: expected a name that starts with 0002_"},
		{"no zeros", []string{"1_a.sql"}, "migration 1_a.sql: expected a name that starts with 0001_"},
		{"no number", []string{"a.sql"}, "migration a.sql: expected a name that starts with 0001_"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			files := fstest.MapFS{}
			for _, name := range test.files {
				files["migrations/"+name] = &fstest.MapFile{Data: []byte("-- " + name)}
			}
			migrations, err := loadMigrations(files)
			if test.want != "" {
				if err == nil || err.Error() != test.want {
					t.Fatalf("got error %v, want %s", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for i, m := range migrations {
				if m.version != i+1 || m.sql != "-- "+m.name {
					t.Errorf("migration %d is %+v", i+1, m)
				}
			}
		})
	}
}

func TestEmbeddedMigrationsLoad(t *testing.T) {
	migrations, err := loadMigrations(migrationFiles)
	if err != nil {
		t.Fatal(err)
	}
	if len(migrations) == 0 {
		t.Fatal("no migrations are embedded")
	}
}
