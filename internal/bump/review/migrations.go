package review

import (
	"bytes"
	"crypto/sha256"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
)

// Folders for migrations. A file in them is a migration if it is SQL or has a number.
var (
	migrationFolder = lazyregexp.New(`(?i)^(?:.+[-_.])?(?:migrations?|migrate)(?:[-_.].+)?$|^(?:deltas?|alembic|drizzle|evolutions|dbscripts)$`)
	// An API can also have a schema, so only files with numbers like migrations count.
	schemaFolder = lazyregexp.New(`(?i)^schemas?$`)

	sqlFile  = lazyregexp.New(`(?i)\.(?:sql|ddl|cql|psql|pgsql|mysql)(?:\.\w+)?$`)
	codeFile = lazyregexp.New(`(?i)\.(?:py|go|rb|php|[cm]?[jt]s|exs?|cs|fs|rs|java|kts?|scala|groovy|cljs?|cr|lua|p[lm]|dart|swift|sh)$`)
	dataFile = lazyregexp.New(`(?i)\.(?:xml|ya?ml)$`) // of Liquibase and Hasura

	// The start of a name with a number or a time: 0001_x, 20190324205606, 1.x, v300,
	// V1_2__X (Flyway), m20220101_x (SeaORM, Yii), Version2024 (Doctrine, Nextcloud),
	// 20240101A-x (Directus), nc_001_x (NocoDB).
	migrationNumber = lazyregexp.New(`^(?:[VvUm]|Version|[a-z]+_(?:[0-9]{2}))?[0-9]+(?:Date[0-9]+|[A-Za-z])?(?:[-_.]|$)`)
	schemaNumbered  = lazyregexp.New(`^[0-9]{2,}[-_]|^[0-9]{8,}`)
	versionFolder   = lazyregexp.New(`^[vV]?[0-9][\w.-]*$`) // of Ghost, Odoo, Gitea

	laravelMigration = lazyregexp.New(`(?i)(?:^|/)database/migrations/.*\.php$`)
	alembicMigration = lazyregexp.New(`(?:^|/)(?:alembic|migrations)/(?:.*/)?versions/.*\.py$`)
	changeLog        = lazyregexp.New(`(?i)(?:^|[-_.])(?:db\.?)?(?:change-?(?:log|set)s?|liquibase)(?:[-_.][\w.-]+)?\.(?:xml|ya?ml)$`)

	// Scripts for going back are not part of an update. The others only describe migrations.
	notMigration = lazyregexp.New(`(?:^|/)(?:__init__\.py|index\.[jt]s|mod\.rs|env\.py)$|\.d\.ts$|\.Designer\.cs$|(?:^|[/._-])(?:down|rollback|undo)\.(?:sql|rb|js|ts|ya?ml)$`)
	// Tests make tables of their own, and documentation shows examples.
	otherFolder = lazyregexp.New(`(?i)^(?:.+[-_.])?(?:tests?|testing|testutils?|specs?|e2e|cypress|playwright|fixtures?|mocks?|bench(?:marks?)?|examples?|samples?|demos?)(?:[-_.].+)?$|^__\w+__$`)
	otherFile   = lazyregexp.New(`(?i)^(?:test_.*|conftest)\.py$|[-_.](?:tests?|spec)\.\w+$|^test[-_].*\.(?:[cm]?[jt]s|rb|php|sh|sql)$`)
	otherClass  = lazyregexp.New(`Tests?\.(?:java|kt|cs|php|scala|groovy)$`) // but not latest.php
	documents   = lazyregexp.New(`(?i)^(?:docs?|documentation)/`)
)

// isOther matches files of tests, examples and documentation.
func isOther(name string) bool {
	base := path.Base(name)
	return documents().MatchString(name) || otherFile().MatchString(base) || otherClass().MatchString(base) ||
		slices.ContainsFunc(foldersOf(name), otherFolder().MatchString)
}

func foldersOf(name string) []string {
	folders := strings.Split(name, "/")
	return folders[:len(folders)-1]
}

// isMigration reports whether a file changes a database from one version to the next,
// judging by its path.
func isMigration(source fs.FS, name string) bool {
	if notMigration().MatchString(name) || isOther(name) {
		return false
	}
	folders, base := foldersOf(name), path.Base(name)
	sql, code := sqlFile().MatchString(base), codeFile().MatchString(base)
	at := slices.IndexFunc(folders, migrationFolder().MatchString)
	switch {
	case changeLog().MatchString(base):
		return isChangeLog(source, name)
	case !sql && !code && !dataFile().MatchString(base):
		return false
	case slices.ContainsFunc(folders, schemaFolder().MatchString) && schemaNumbered().MatchString(base):
		return true
	case at < 0:
		return false
	}
	return sql || migrationNumber().MatchString(base) ||
		code && slices.ContainsFunc(folders[at+1:], versionFolder().MatchString) ||
		laravelMigration().MatchString(name) || alembicMigration().MatchString(name)
}

// isChangeLog distinguishes a change log of Liquibase from a change log for people.
// https://docs.liquibase.com/concepts/changelogs/home.html
func isChangeLog(source fs.FS, name string) bool {
	start, err := readStart(source, name, 16<<10)
	return err == nil && bytes.Contains(start, []byte("databaseChangeLog"))
}

// migrationOf returns the folder and the name of a migration. Prisma, Diesel and Hasura use one
// folder for each migration.
func migrationOf(name string) (folder, migration string) {
	switch path.Base(name) {
	case "migration.sql", "up.sql", "up.yaml":
		return path.Dir(path.Dir(name)), path.Base(path.Dir(name))
	}
	base := sqlFile().ReplaceAllString(path.Base(name), "")
	if base == path.Base(name) {
		base = strings.TrimSuffix(base, path.Ext(base))
	}
	return path.Dir(name), strings.TrimSuffix(base, ".up")
}

var migrationFile = subject{kind: MigrationFinding, size: maxSmallFile}

// withoutMoved drops migrations that only moved to another folder.
func (r *reviewer) withoutMoved(added, gone []string) (new, dropped []string) {
	type migration struct {
		name    string
		content [sha256.Size]byte
	}
	read := func(source fs.FS, name string) (m migration, ok bool) {
		data, ok := r.read(source, migrationFile, name, true)
		_, m.name = migrationOf(name)
		m.content = sha256.Sum256(data)
		return m, ok
	}
	from := map[migration]string{}
	for _, name := range gone {
		if m, ok := read(r.Before, name); ok {
			from[m] = name
		}
	}
	moved := map[string]bool{}
	for _, name := range added {
		if len(from) == 0 {
			break
		}
		m, ok := read(r.After, name)
		if old := from[m]; ok && old != "" {
			moved[name], moved[old] = true, true
			delete(from, m)
		}
	}
	isMoved := func(name string) bool { return moved[name] }
	return slices.DeleteFunc(added, isMoved), slices.DeleteFunc(gone, isMoved)
}

// compareMigrations reports, for each folder, which migrations are new, gone or changed.
func (r *reviewer) compareMigrations(before, after []string) {
	type folderChanges struct{ added, gone, changed []string }
	folders := map[string]*folderChanges{}
	var order []string
	at := func(name string) (*folderChanges, string) {
		folder, migration := migrationOf(name)
		if folders[folder] == nil {
			folders[folder] = &folderChanges{}
			order = append(order, folder)
		}
		return folders[folder], migration
	}
	added, gone := r.withoutMoved(differences(before, after))
	for _, name := range added {
		f, migration := at(name)
		f.added = append(f.added, migration)
	}
	for _, name := range gone {
		f, migration := at(name)
		f.gone = append(f.gone, migration)
	}
	for _, name := range before {
		if !listsName(after, name) {
			continue
		}
		was, wasOK := r.read(r.Before, migrationFile, name, true)
		is, isOK := r.read(r.After, migrationFile, name, true)
		if wasOK && isOK && !bytes.Equal(was, is) {
			f, migration := at(name)
			f.changed = append(f.changed, migration)
		}
	}
	slices.Sort(order)
	for _, folder := range order {
		f := folders[folder]
		text := addedAndGone(f.added, f.gone)
		if len(f.changed) > 0 {
			text = strings.TrimPrefix(text+"; changed: "+namesOf(f.changed), "; ")
		}
		r.report(MigrationFinding, folder, text)
	}
}
