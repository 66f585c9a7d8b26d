package review

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Files where programs of each kind keep their migrations, and files that only look like
// migrations.
func TestMigrationPlaces(t *testing.T) {
	for _, name := range []string{
		"pkg/migration/20190324205606.go", "synapse/storage/schema/main/delta/94/05_x.sql", "synapse/storage/schema/main/delta/92/01_remove_trigger.sql.postgres",
		"synapse/storage/schema/main/delta/30/as_users.py",
		"server/channels/db/migrations/postgres/000123_x.up.sql", "migrations/1_initialize.up.sql", "internal/db/migrate/0001_x.up.sql", "goose/migrations/00001_x.go",
		"src/core/migrations/0028_remove_x.py", "alembic/versions/ae1027a6acf_add.py", "superset/migrations/versions/2024_x.py", "migrations/models/0_2024_x.py",
		"db/migrate/20240201000000_b.rb", "db/post_migrate/20240201000000_b.rb", "ee/db/geo/migrate/20240201000000_b.rb", "modules/costs/db/migrate/20240201000000_b.rb",
		"prisma/migrations/15_add_share/migration.sql", "drizzle/0003_x.sql", "app/gen-server/migration/1536634251710-Initial.ts", "server/migrations/20260603000000-x.js",
		"packages/db/src/migrations/common/1620821879465-UniqueNames.ts", "src/meta/migrations/v2/nc_001_init.ts", "api/src/database/migrations/20240101A-add.ts", "pb_migrations/1700000000_x.js",
		"core/server/data/migrations/versions/5.100/2024-01-01-x.js", "server/startup/migrations/v300.ts", "store/migration/sqlite/0.28/00__x.sql",
		"src/main/resources/db/migration/V2__more.sql", "src/main/java/db/migration/V1_2__Name.java", "conf/evolutions/default/1.sql", "DbScripts/2024-01-01_00_X.sql",
		"core/Migrations/Version13000Date20170705121758.php", "database/migrations/2024_01_01_000000_create_users.php", "Modules/Shop/Database/Migrations/2024_01_01_x.php", "migrations/m150101_000000_init.php",
		"priv/repo/migrations/20240101000000_x.exs", "migrations/2024-01-01-000000_x/up.sql", "migration/src/m20220101_000001_create.rs", "src/app/database/migrations/0001_x.cr",
		"kong/db/migrations/core/003_100_to_110.lua", "Data/Migrations/20240101000000_Name.cs", "models/migrations/v1_23/v300.go", "models/forgejo_migrations/v14a_x.go",
		"roomserver/storage/postgres/deltas/20201028212440_x.go", "addons/x/migrations/17.0.1.0/pre-migrate.py", "resources/migrations/060/20260311_x.yaml",
		"META-INF/jpa-changelog-26.0.0.xml", "config/liquibase/master.changelog.yaml", "schema/0007_more.py",
	} {
		if got := reviewed(t, Sources{Before: memorySource(nil), After: memorySource(sourceFiles{name: "<databaseChangeLog>"})}); len(got) != 1 || !strings.HasPrefix(got[0], "migration ") {
			t.Errorf("%s: %q", name, got)
		}
	}
	for _, name := range []string{
		"src/migrations/__init__.py", "migrations/env.py", "src/migrations/index.ts", "migrations/0001_x.down.sql", "migrations/2024-01-01-000000_x/down.sql", "Migrations/2024_Name.Designer.cs",
		"pkg/migration/20190324205606_test.go", "tests/migrations/0001_x.py", "src/core/tests/migrations/test_0001.py", "spec/dummy/db/migrate/20240101000000_x.rb", "internal/testing/migrations/0001_x.sql",
		"vendor/github.com/x/y/migrations/0001_x.sql", "node_modules/x/migrations/0001-x.js", "examples/shop/migrations/0001_x.py", "docs/migrations/0001_x.sql",
		"docs/migrations/1.0-to-2.0.md", "frontend/src/views/migrate/Migrate.vue", "pkg/modules/migration/todoist/todoist.go", "cmd/migrate/main.go",
		"api/schema/v2/types.go", "schema/2020-12/core.py", "schemas/user.py", "ent/migrate/schema.go", "drizzle/meta/0001_snapshot.json",
		"changelog.yml", ".changeset/config.yaml",
	} {
		if got := reviewed(t, Sources{Before: memorySource(nil), After: memorySource(sourceFiles{name: "content"})}); len(got) != 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestReviewMigrations(t *testing.T) {
	const code = "package database\n\nvar migrations = []func(tx *sql.Tx) error{\n\tfunc(tx *sql.Tx) error {\n\t\t_, err := tx.Exec(`CREATE TABLE users (id serial)`)\n\t\treturn err\n\t},\n"
	for _, test := range []struct {
		name          string
		before, after sourceFiles
		want          []string
	}{
		{"numbers in a folder of each version, and names that end in a database's",
			sourceFiles{"schema/delta/93/01_a.sql": "1", "schema/delta/94/02_b.sql.sqlite": "1"},
			sourceFiles{"schema/delta/93/01_a.sql": "2", "schema/delta/94/02_b.sql.sqlite": "1", "schema/delta/94/03_c.sql.postgres": "1", "schema/delta/94/04_d.py": "1"},
			[]string{"migration schema/delta/93: changed: 01_a", "migration schema/delta/94: new: 03_c, 04_d"}},
		{"the same in another folder",
			sourceFiles{"db/postgresql/migrations/01_init/migration.sql": "CREATE TABLE a (b int);", "db/mysql/migrations/01_init/migration.sql": "1"},
			sourceFiles{"prisma/migrations/01_init/migration.sql": "CREATE TABLE a (b int);", "prisma/migrations/02_more/migration.sql": "CREATE TABLE a (b int);"},
			[]string{"migration db/mysql/migrations: gone: 01_init", "migration prisma/migrations: new: 02_more"}},
		{"a folder whose name a file's begins with", // of a/b and a.b, a walk has a/b first
			sourceFiles{"a/migrations/0001_x.py": "1", "a.b/migrations/0001_x.py": "1", "a-b/migrations/0001_x.py": "1"},
			sourceFiles{"a/migrations/0001_x.py": "2", "a.b/migrations/0001_x.py": "2", "a-b/migrations/0001_x.py": "2"},
			[]string{"migration a-b/migrations: changed: 0001_x", "migration a.b/migrations: changed: 0001_x", "migration a/migrations: changed: 0001_x"}},
		{"statements in one file of Go",
			sourceFiles{"internal/database/migrations.go": code + "}\n"},
			sourceFiles{"internal/database/migrations.go": code + "\tfunc(tx *sql.Tx) error {\n\t\tsql := `\n\t\t\tALTER TABLE feeds ADD COLUMN language text not null default '';\n\t\t\tALTER TABLE entries\n\t\t\t\tADD COLUMN language text;\n\t\t\tcreate index if not exists i on entries(language);\n\t\t`\n\t\t_, err := tx.Exec(\"DROP TABLE IF EXISTS old\")\n\t},\n}\n"},
			[]string{"migration internal/database/migrations.go: new: ALTER TABLE feeds ADD COLUMN language text not null default '', ALTER TABLE entries ADD COLUMN language text, create index if not exists i on entries(language), DROP TABLE IF EXISTS old"}},
		{"statements in other languages, with names that code puts there",
			nil,
			sourceFiles{
				"a.py": "cur.execute('CREATE UNIQUE INDEX x ON y (z)')", "b.ts": "await db.run(`ALTER TABLE ${name} ADD x int`)", "c.php": "$db->query(\"ALTER TABLE {$wpdb->prefix}posts ADD x int\");",
				"d.rb": "execute \"create table x (y int)\"", "e.go": `tx.Exec("CREATE TABLE " + name + " (x int)")`, "f.sql": "CREATE UNLOGGED TABLE cache (k text);", "g.py": "sql = 'DROP TABLE %s' % name",
				"h.java": "s.execute(\"alter table if exists only public.a add x int\")", "i.ex": "execute(\"drop table old cascade\")",
			},
			[]string{
				"migration a.py: new: CREATE UNIQUE INDEX x ON y (z)", "migration b.ts: new: ALTER TABLE ${name} ADD x int", "migration c.php: new: ALTER TABLE {$wpdb->prefix}posts ADD x int",
				"migration d.rb: new: create table x (y int)", "migration e.go: new: CREATE TABLE", "migration f.sql: new: CREATE UNLOGGED TABLE cache (k text)", "migration g.py: new: DROP TABLE %s",
				"migration h.java: new: alter table if exists only public.a add x int", "migration i.ex: new: drop table old cascade",
			}},
		{"statements that moved, in other letters and lines",
			sourceFiles{"old.go": "`CREATE TABLE a (\nid int)`\n`ALTER  TABLE a ADD b int`", "kept.go": "`ALTER TABLE c ADD d int`"},
			sourceFiles{"new.go": "`create table a (\nid int)`\n`ALTER TABLE a\n  ADD b int`", "kept.go": "// more\n`ALTER TABLE c ADD d int`"}, nil},
		{"words, comments, tests, documentation, what others wrote",
			nil,
			sourceFiles{
				"a.go": "// ALTER TABLE x is slow\n * CREATE TABLE y\n", "b.py": "# CREATE TABLE x\n", "c.sql": "-- DROP TABLE x;\n", "d.ts": "t('Create table'); t('drop table of contents'); x.startsWith('CREATE TABLE ')",
				"e_test.go": "`CREATE TABLE x (y int)`", "tests/f.py": "'CREATE TABLE x (y int)'", "src/x.spec.ts": "`CREATE TABLE x (y int)`", "XTest.java": "\"CREATE TABLE x (y int)\"", "test_g.py": "'CREATE TABLE x (y int)'",
				"docs/h.sql": "CREATE TABLE x (y int)", "examples/i.py": "'CREATE TABLE x (y int)'", "README.md": "CREATE TABLE x (y int)", "vendor/j.go": "`CREATE TABLE x (y int)`", "dist/k.min.js": "'CREATE TABLE x (y int)'",
				"l.json": "{\"sql\": \"CREATE TABLE x (y int)\"}", "m.go": "`CREATE TEMPORARY TABLE x (y int)`", "UPTABLE.go": "RECREATE TABLE_NAME",
			}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, reviewed(t, Sources{Before: memorySource(test.before), After: memorySource(test.after)})); diff != "" {
				t.Error(diff)
			}
		})
	}
}
