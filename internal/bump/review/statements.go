package review

import (
	"bytes"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
)

// maxCode is the number of code files that are read, and maxCodeFile their size limit in bytes.
const (
	maxCode     = 100_000
	maxCodeFile = 4 << 20
)

// Programs with migrations in code contain SQL statements. Two words in capitals, the usual way
// to write SQL, are enough. Otherwise the text after them decides.
var (
	statement = lazyregexp.New(`\b(?:` +
		`(?:CREATE|ALTER|DROP)\s+(?:(?:OR\s+REPLACE|UNLOGGED|FOREIGN|UNIQUE|FULLTEXT|SPATIAL)\s+)*(?:TABLE|INDEX)\s+(?:["']?[\w.]|[\x60[$%{<#:@]+\w|["']\s*(?:[+.&,]|\|\|))` +
		`|(?i:create\s+table\s+(?:if\s+not\s+exists\s+)?` + sqlName + `\s*\()` +
		`|(?i:create\s+(?:unique\s+)?index\s+(?:concurrently\s+)?(?:if\s+not\s+exists\s+)?` + sqlName + `\s+on\s)` +
		`|(?i:alter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?` + sqlName + `\s+(?:add|drop|alter|rename|modify|change|set)\s)` +
		`|(?i:drop\s+(?:table|index)\s+(?:if\s+exists\s+)?` + sqlName + `\s*(?:;|cascade))` +
		`)[^\n;]*`)
	// If a line ends before the name of the table, the next line has it.
	unfinished = lazyregexp.New(`(?i)(?:table|index|exists|concurrently|only)\s+(?:[\w.]+|"\w+"|\x60\w+\x60)\s*$`)
	// Code follows the end of a string.
	stringEnd = lazyregexp.New(`["\x60]\s*[,)%+].*`)
	comment   = lazyregexp.New(`^\s*(?://|#|--|\*|/\*|<!--)`)
)

const sqlName = "[\"'`\\[]?[\\w.$-]+[\"'`\\]]?"

// isCode reports whether a file may contain SQL statements.
func isCode(name string) bool {
	return (codeFile().MatchString(name) || sqlFile().MatchString(name)) && !isOther(name) && !notMigration().MatchString(name) &&
		!strings.Contains(name, ".min.")
}

// compareStatements reports files with statements that define tables, if no old file had them.
// So moved statements do not count.
func (r *reviewer) compareStatements(before, after []string) {
	s := subject{kind: MigrationFinding, size: maxCodeFile}
	was, is := map[string]bool{}, map[string][]string{}
	names := slices.Concat(before, after)
	slices.Sort(names)
	names = slices.Compact(names)
	for _, name := range names {
		old, oldOK := r.read(r.Before, s, name, listsName(before, name))
		now, nowOK := r.read(r.After, s, name, listsName(after, name))
		if !oldOK || !nowOK || bytes.Equal(old, now) {
			continue
		}
		for _, text := range statementsOf(old) {
			was[strings.ToLower(text)] = true
		}
		is[name] = statementsOf(now)
	}
	for _, name := range names {
		added := slices.DeleteFunc(is[name], func(text string) bool { return was[strings.ToLower(text)] })
		if text := addedAndGone(added, nil); text != "" {
			r.report(MigrationFinding, name, text)
		}
	}
}

const maxStatement = 300 // bytes to read of a statement, and of the line before it

// statementsOf lists the starts of statements that define tables, each once.
func statementsOf(data []byte) (texts []string) {
	seen := map[string]bool{}
	for _, at := range statement().FindAllIndex(data, -1) {
		before := data[max(0, at[0]-maxStatement):at[0]]
		if comment().Match(before[bytes.LastIndexByte(before, '\n')+1:]) {
			continue
		}
		text := data[at[0]:min(at[1], at[0]+maxStatement)]
		if rest := data[at[1]:]; unfinished().Match(text) && len(rest) > 0 && rest[0] == '\n' {
			next, _, _ := bytes.Cut(rest[1:min(len(rest), maxStatement)], []byte("\n"))
			next, _, _ = bytes.Cut(next, []byte(";"))
			text = slices.Concat(text, rest[:1], next)
		}
		if plain := unquoted(strings.Join(strings.Fields(string(text)), " ")); !seen[plain] {
			seen[plain] = true
			texts = append(texts, plain)
		}
	}
	return texts
}

// unquoted cuts off the surrounding code after a statement.
func unquoted(text string) string {
	text = stringEnd().ReplaceAllString(text, "")
	if strings.Count(text, "'")%2 == 1 {
		text = text[:strings.LastIndexByte(text, '\'')]
	}
	text = strings.TrimRight(text, "`\", ")
	for strings.HasSuffix(text, ")") && strings.Count(text, ")") > strings.Count(text, "(") {
		text = strings.TrimRight(strings.TrimSuffix(text, ")"), "`\", ")
	}
	return strings.TrimRight(text, "( ")
}
