package review

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	exampleWord = regexp.MustCompile(`(?i)^(?:\.?env|.+\.env)(?:[._-][\w-]+)*[._-](?:example|sample|dist|template)s?(?:[._-][\w-]+)*$`)
	exampleEnv  = regexp.MustCompile(`(?i)^(?:.*[._-])?(?:example|sample|dist|template)[._-]env$`)
	envFolder   = regexp.MustCompile(`(?:^|/)env\.d/`)
	// A setting may be there as a comment only.
	setting = regexp.MustCompile(`(?m)^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.]{0,127})[ \t]*=|^[ \t]*#[ \t]*(?:export[ \t]+)?([A-Z][A-Z0-9_]{1,127})=`)
)

// isExample finds files of environment variables that are there to be copied.
func isExample(_ *reviewer, name string) bool {
	base := path.Base(name)
	return exampleWord.MatchString(base) || exampleEnv.MatchString(base) || envFolder.MatchString(name)
}

// compareSettings tells names of settings only: a value may be a secret.
func compareSettings(_ *reviewer, _ string, before, after []byte) []string {
	text := addedAndGone(differences(settingsOf(before), settingsOf(after)))
	if text == "" {
		return nil
	}
	return []string{text}
}

func settingsOf(data []byte) []string {
	var keys []string
	for _, found := range setting.FindAllSubmatch(data, -1) {
		keys = append(keys, string(found[1])+string(found[2]))
	}
	return keys
}

// Where frameworks keep migrations of a database.
var migrationPlaces = []*regexp.Regexp{
	// Django, Knex, TypeORM, Go programs: a number or a time in front.
	regexp.MustCompile(`(?:^|/)migrations?/(?:.*/)?[0-9]{3,}[-_][\w.-]+\.(?:py|js|cjs|mjs|ts|go|rb|php)$`),
	regexp.MustCompile(`(?:^|/)db/(?:\w+_)?migrate/[0-9]+_\w+\.rb$`),          // Rails
	regexp.MustCompile(`(?:^|/)database/migrations/(?:.*/)?[\w-]+\.php$`),     // Laravel
	regexp.MustCompile(`(?:^|/)migrations/(?:.*/)?Version[0-9]{8,}\w*\.php$`), // Doctrine
	regexp.MustCompile(`(?:^|/)(?:alembic|migrations)/versions/[\w-]+\.py$`),  // Alembic
	regexp.MustCompile(`(?:^|/)migrations?/(?:.*/)?[\w. -]+\.sql$`),           // Prisma, Flyway, golang-migrate
}

var notMigration = regexp.MustCompile(`(?:^|/)__init__\.py$|_test\.go$|\.d\.ts$|[._](?:spec|test)\.\w+$|\.down\.sql$`)

func isMigration(name string) bool {
	return !notMigration.MatchString(name) &&
		slices.ContainsFunc(migrationPlaces, func(place *regexp.Regexp) bool { return place.MatchString(name) })
}

// migrationOf is the folder and the name of a migration. Prisma has a folder for
// each.
func migrationOf(name string) (folder, migration string) {
	if path.Base(name) == "migration.sql" {
		name = path.Dir(name)
	}
	base := path.Base(name)
	for _, ending := range []string{".sql", ".up", path.Ext(base)} {
		base = strings.TrimSuffix(base, ending)
	}
	return path.Dir(name), base
}

// compareMigrations tells for each folder which migrations came, went or are other
// ones than before.
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
	added, gone := differences(before, after)
	for _, name := range added {
		f, migration := at(name)
		f.added = append(f.added, migration)
	}
	for _, name := range gone {
		f, migration := at(name)
		f.gone = append(f.gone, migration)
	}
	s := subject{kind: MigrationFinding, size: maxSmallFile}
	for _, name := range before {
		if !listsName(after, name) {
			continue
		}
		was, wasOK := r.read(r.Before, s, name, true)
		is, isOK := r.read(r.After, s, name, true)
		if wasOK && isOK && string(was) != string(is) {
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
