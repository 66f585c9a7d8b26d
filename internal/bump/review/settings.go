package review

import (
	"path"

	"github.com/libresh/libre/internal/lazyregexp"
)

var (
	exampleWord = lazyregexp.New(`(?i)^(?:\.?env|.+\.env)(?:[._-][\w-]+)*[._-](?:example|sample|dist|template)s?(?:[._-][\w-]+)*$`)
	exampleEnv  = lazyregexp.New(`(?i)^(?:.*[._-])?(?:example|sample|dist|template)[._-]env$`)
	envFolder   = lazyregexp.New(`(?:^|/)env\.d/`)
	// A setting may be commented out.
	setting = lazyregexp.New(`(?m)^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.]{0,127})[ \t]*=|^[ \t]*#[ \t]*(?:export[ \t]+)?([A-Z][A-Z0-9_]{1,127})=`)
)

// isExample matches example files of environment variables.
func isExample(_ *reviewer, name string) bool {
	base := path.Base(name)
	return exampleWord().MatchString(base) || exampleEnv().MatchString(base) || envFolder().MatchString(name)
}

// compareSettings compares only the names of settings, because a value may be a secret.
func compareSettings(_ *reviewer, _ string, before, after []byte) []string {
	text := addedAndGone(differences(settingsOf(before), settingsOf(after)))
	if text == "" {
		return nil
	}
	return []string{text}
}

func settingsOf(data []byte) []string {
	var keys []string
	for _, found := range setting().FindAllSubmatch(data, -1) {
		keys = append(keys, string(found[1])+string(found[2]))
	}
	return keys
}
